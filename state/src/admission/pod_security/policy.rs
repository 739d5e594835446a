//! Levels and versions of the pod security standards, and what a namespace's labels say of them.
use model::Cause;
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::fmt;

/// What all of the labels begin with.
const PREFIX: &str = "pod-security.kubernetes.io/";

/// How much a pod may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Anything.
    Privileged,
    /// Nothing that is known to lead out of a container.
    Baseline,
    /// Only what hardened pods do.
    Restricted,
}

impl Level {
    /// From a label or the configuration.
    ///
    /// # Errors
    /// The sentence for a person.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "privileged" => Ok(Self::Privileged),
            "baseline" => Ok(Self::Baseline),
            "restricted" => Ok(Self::Restricted),
            _ => Err("must be one of privileged, baseline, restricted"),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        })
    }
}

/// The release of Kubernetes as which a level is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// `v1.N`.
    Minor(u32),
    /// The newest one.
    Latest,
}

impl Version {
    /// From a label or the configuration.
    ///
    /// # Errors
    /// The sentence for a person.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let digits = text.strip_prefix("v1.").filter(|d| d.bytes().all(|b| b.is_ascii_digit()) && (*d == "0" || !d.starts_with('0')));
        digits.and_then(|d| d.parse().ok()).map(Self::Minor).ok_or("must be \"latest\" or \"v1.x\"")
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    /// The latest one is newer than any that has a number.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Minor(a), Self::Minor(b)) => a.cmp(b),
            (Self::Latest, Self::Latest) => Ordering::Equal,
            (Self::Latest, Self::Minor(_)) => Ordering::Greater,
            (Self::Minor(_), Self::Latest) => Ordering::Less,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minor(minor) => write!(f, "v1.{minor}"),
            Self::Latest => f.write_str("latest"),
        }
    }
}

/// `restricted:latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standard {
    /// The level.
    pub level: Level,
    /// As which release has it.
    pub version: Version,
}

impl Standard {
    /// Anything goes.
    pub const PRIVILEGED: Self = Self { level: Level::Privileged, version: Version::Latest };

    /// Whether both allow the same: of what allows anything the version doesn't matter.
    fn is_like(&self, other: &Self) -> bool {
        self == other || (self.level == Level::Privileged && other.level == Level::Privileged)
    }
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.level, self.version)
    }
}

/// What holds in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What pods must obey.
    pub enforce: Standard,
    /// What the audit log is told of.
    pub audit: Standard,
    /// What clients are warned of.
    pub warn: Standard,
}

impl Default for Policy {
    fn default() -> Self {
        Self { enforce: Standard::PRIVILEGED, audit: Standard::PRIVILEGED, warn: Standard::PRIVILEGED }
    }
}

impl Policy {
    /// Whether nothing is looked at.
    pub fn allows_anything(&self) -> bool {
        [self.enforce, self.audit, self.warn].iter().all(|s| s.level == Level::Privileged)
    }
    /// Whether both come to the same.
    pub fn is_like(&self, other: &Self) -> bool {
        self.enforce.is_like(&other.enforce) && self.audit.is_like(&other.audit) && self.warn.is_like(&other.warn)
    }
    /// What a namespace's labels make of the cluster's `defaults`, and which of them are wrong. A wrong level is enforced as the strictest, and
    /// neither audited nor warned of; a wrong version is the latest.
    pub fn of(labels: Option<&Map<String, Value>>, defaults: &Self) -> (Self, Vec<Cause>) {
        let labels = Labels { all: labels, wrong: Vec::new() };
        let mut policy = *defaults;
        let mut labels = labels;
        let enforced = labels.mode("enforce", &mut policy.enforce, Level::Restricted);
        labels.mode("audit", &mut policy.audit, Level::Privileged);
        labels.mode("warn", &mut policy.warn, Level::Privileged);
        // what is enforced is warned of, unless something is said about warnings
        if enforced && !labels.has("warn") && policy.enforce.level > policy.warn.level {
            policy.warn.level = policy.enforce.level;
            if !labels.has("warn-version") {
                policy.warn.version = policy.enforce.version;
            }
        }
        (policy, labels.wrong)
    }
    /// The modes that labels set to more than nothing: `enforce=baseline:latest, warn=…`.
    pub fn set_by(&self, labels: Option<&Map<String, Value>>) -> String {
        let given = |mode: &str| labels.is_some_and(|l| l.contains_key(&format!("{PREFIX}{mode}")) || l.contains_key(&format!("{PREFIX}{mode}-version")));
        let modes = [("enforce", self.enforce), ("audit", self.audit), ("warn", self.warn)];
        let set = modes.into_iter().filter(|(mode, standard)| standard.level != Level::Privileged && given(mode));
        set.map(|(mode, standard)| format!("{mode}={standard}")).collect::<Vec<_>>().join(", ")
    }
}

struct Labels<'a> {
    all: Option<&'a Map<String, Value>>,
    wrong: Vec<Cause>,
}

impl Labels<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.all?.get(&format!("{PREFIX}{name}")).and_then(Value::as_str)
    }
    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
    /// Reads one mode's two labels; returns whether the level is a right one.
    fn mode(&mut self, name: &str, standard: &mut Standard, if_wrong: Level) -> bool {
        let mut right = false;
        if let Some(text) = self.get(name).map(str::to_owned) {
            let level = Level::parse(&text);
            right = level.is_ok();
            standard.level = level.unwrap_or(if_wrong);
            self.refuse(name, &text, level.err());
        }
        let version = format!("{name}-version");
        if let Some(text) = self.get(&version).map(str::to_owned) {
            let parsed = Version::parse(&text);
            standard.version = parsed.unwrap_or(Version::Latest);
            self.refuse(&version, &text, parsed.err());
        }
        right
    }
    fn refuse(&mut self, name: &str, text: &str, why: Option<&str>) {
        self.wrong.extend(why.map(|why| Cause::invalid(format_args!("metadata.labels[{PREFIX}{name}]"), &text.into(), why)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(labels: Value) -> (String, Vec<String>) {
        let labels = labels.as_object().unwrap().iter().map(|(k, v)| (format!("{PREFIX}{k}"), v.clone())).collect();
        let (policy, wrong) = Policy::of(Some(&labels), &Policy::default());
        (format!("{} {} {}", policy.enforce, policy.audit, policy.warn), wrong.into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect())
    }

    #[test]
    fn labels() {
        let level = "must be one of privileged, baseline, restricted";
        let rows = [
            (json!({}), "privileged:latest privileged:latest privileged:latest", vec![]),
            (json!({"enforce": "baseline"}), "baseline:latest privileged:latest baseline:latest", vec![]),
            (json!({"enforce": "restricted", "enforce-version": "v1.25"}), "restricted:v1.25 privileged:latest restricted:v1.25", vec![]),
            (json!({"enforce": "restricted", "warn-version": "v1.30"}), "restricted:latest privileged:latest restricted:v1.30", vec![]),
            (json!({"enforce": "restricted", "warn": "privileged"}), "restricted:latest privileged:latest privileged:latest", vec![]),
            (json!({"enforce": "baseline", "warn": "restricted", "audit": "restricted"}), "baseline:latest restricted:latest restricted:latest", vec![]),
            (
                json!({"enforce": "foo"}),
                "restricted:latest privileged:latest privileged:latest",
                vec![format!("metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"foo\": {level}")],
            ),
            (
                json!({"warn": "", "audit": "Baseline"}),
                "privileged:latest privileged:latest privileged:latest",
                vec![
                    format!("metadata.labels[pod-security.kubernetes.io/audit]: Invalid value: \"Baseline\": {level}"),
                    format!("metadata.labels[pod-security.kubernetes.io/warn]: Invalid value: \"\": {level}"),
                ],
            ),
            (
                json!({"enforce": "baseline", "enforce-version": "1.25"}),
                "baseline:latest privileged:latest baseline:latest",
                vec!["metadata.labels[pod-security.kubernetes.io/enforce-version]: Invalid value: \"1.25\": must be \"latest\" or \"v1.x\"".to_owned()],
            ),
        ];
        for (given, policy, wrong) in rows {
            assert_eq!(of(given.clone()), (policy.to_owned(), wrong), "{given}");
        }
    }

    #[test]
    fn versions() {
        for (text, right) in [("latest", true), ("v1.0", true), ("v1.37", true), ("v1.9999", true)] {
            assert_eq!(Version::parse(text).is_ok_and(|v| v.to_string() == text), right, "{text}");
        }
        for text in ["", "v1", "v1.", "v1.01", "v2.1", "v1.-1", "v1.99999999999999999999", "Latest", "v1.1.1", "v1.+1"] {
            assert!(Version::parse(text).is_err(), "{text}");
        }
        assert!(Version::Latest > Version::Minor(u32::MAX) && Version::Minor(9) < Version::Minor(10));
    }
}
