//! Query parameters and `DeleteOptions`, as Kubernetes reads them.
use model::{ApiError, Cause, Reason};
use serde::Deserialize;
use state_client::node::{ExecOptions, LogOptions};
use state_client::{Options, Propagation, Verb};
use std::time::Duration;

/// A query string, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

/// Longest name of a field manager, in bytes.
const MANAGER_MAX: usize = 128;

/// In whose name a client owns fields that doesn't say it: its program, as Kubernetes takes it from the user agent.
pub fn manager(user_agent: Option<&str>) -> String {
    let program = user_agent.unwrap_or_default().split('/').next().unwrap_or_default();
    let mut name: String = program.chars().filter(|c| !c.is_control()).collect();
    while name.len() > MANAGER_MAX {
        name.pop();
    }
    if name.is_empty() { "unknown".to_owned() } else { name }
}

impl Query {
    /// From the part after `?`. Never fails: what can't be decoded is replaced.
    pub fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }
    /// From parameters that come one by one.
    pub fn of(parameters: Vec<(String, String)>) -> Self {
        Self(parameters)
    }
    /// Makes it a watch, of the object of this name where there is one.
    pub fn watch(&mut self, name: &str) {
        self.0.retain(|(n, _)| n != "watch");
        self.0.push(("watch".to_owned(), "true".to_owned()));
        if name.is_empty() {
            return;
        }
        let escaped = name.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
        let others = self.text("fieldSelector").to_owned();
        let only = if others.is_empty() { format!("metadata.name={escaped}") } else { format!("{others},metadata.name={escaped}") };
        self.0.retain(|(n, _)| n != "fieldSelector");
        self.0.push(("fieldSelector".to_owned(), only));
    }
    /// The first value of a parameter; `""` when absent.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    /// A boolean as Kubernetes converts it: present means true unless it says `false` or `0`.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| !(v.eq_ignore_ascii_case("false") || v == "0"))
    }
    /// A whole number.
    ///
    /// # Errors
    /// 400 when it isn't one.
    pub fn int(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.text(name) {
            "" => Ok(None),
            // the words of Go's parser, by which clients tell what is wrong
            text => text.parse().map(Some).map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))),
        }
    }

    /// How long a request may take; `None` where the client doesn't say, or says zero or less.
    ///
    /// # Errors
    /// 400 when it isn't a duration as Go writes it.
    pub fn timeout(&self) -> Result<Option<Duration>, ApiError> {
        let text = self.text("timeout");
        if text.is_empty() {
            return Ok(None);
        }
        let refusal = || ApiError::bad_request(format!("invalid timeout specified in the request URL - time: invalid duration {text:?}"));
        let seconds = go_duration(text).ok_or_else(refusal)?;
        Ok(Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero()))
    }

    /// The parameters that every request may have.
    ///
    /// # Errors
    /// 400 for numbers that aren't; 422 for values that Kubernetes' options refuse.
    pub fn options(&self, verb: Verb) -> Result<Options, ApiError> {
        let grace = self.int("gracePeriodSeconds")?;
        let limit = self.int("limit")?.unwrap_or_default();
        if matches!(verb, Verb::List | Verb::DeleteCollection) {
            self.int("timeoutSeconds")?;
        }
        Ok(Options {
            label_selector: self.text("labelSelector").to_owned(),
            field_selector: self.text("fieldSelector").to_owned(),
            limit: u64::try_from(limit).unwrap_or_default(),
            continue_token: self.text("continue").to_owned(),
            resource_version: self.text("resourceVersion").to_owned(),
            resource_version_match: self.text("resourceVersionMatch").to_owned(),
            dry_run: dry_run(verb, self.all("dryRun"))?,
            field_validation: field_validation(verb, self.text("fieldValidation"))?,
            field_manager: self.text("fieldManager").to_owned(),
            force: self.flag("force").unwrap_or_default(),
            grace_period_seconds: grace,
            propagation: propagation(self.text("propagationPolicy"), self.flag("orphanDependents"))?,
            send_initial_events: self.flag("sendInitialEvents").filter(|_| matches!(verb, Verb::List | Verb::DeleteCollection)),
            ..Options::default()
        })
    }

    /// `PodLogOptions`.
    ///
    /// # Errors
    /// 400 for numbers that aren't; 422 for numbers out of range and for two ways of saying since when.
    pub fn log_options(&self) -> Result<LogOptions, ApiError> {
        let since_time = Some(self.text("sinceTime").to_owned()).filter(|t| !t.is_empty());
        let options = LogOptions {
            container: self.text("container").to_owned(),
            follow: self.flag("follow").unwrap_or_default(),
            previous: self.flag("previous").unwrap_or_default(),
            since_seconds: self.int("sinceSeconds")?,
            since_time,
            timestamps: self.flag("timestamps").unwrap_or_default(),
            tail_lines: self.int("tailLines")?,
            limit_bytes: self.int("limitBytes")?,
        };
        let causes = log_causes(&options);
        if causes.is_empty() { Ok(options) } else { Err(ApiError::invalid("", "PodLogOptions", "", causes)) }
    }

    /// `PodExecOptions` and `PodAttachOptions`.
    pub fn exec_options(&self) -> ExecOptions {
        let flag = |name| self.flag(name).unwrap_or_default();
        ExecOptions {
            container: self.text("container").to_owned(),
            command: self.all("command").map(str::to_owned).collect(),
            stdin: flag("stdin"),
            stdout: flag("stdout"),
            stderr: flag("stderr"),
            tty: flag("tty"),
        }
    }
}

/// The seconds of a duration as Go's `time.ParseDuration` takes it: `0`, or numbers with units, `1h15m30.5s`, with a sign.
fn go_duration(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 8] = [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("μs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let numeric = |c: char| c.is_ascii_digit() || c == '.';
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut seconds = match rest {
        "0" => return Some(0.0),
        "" => return None,
        _ => 0.0,
    };
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c| !numeric(c))?);
        let (unit, after) = after.split_at(after.find(numeric).unwrap_or(after.len()));
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    Some(if text.starts_with('-') { -seconds } else { seconds })
}

fn log_causes(options: &LogOptions) -> Vec<Cause> {
    let mut causes = Vec::new();
    let below = |name: &str, value: Option<i64>, min: i64| {
        let detail = if min == 0 { "must be greater than or equal to 0" } else { "must be greater than 0" };
        value.filter(|v| *v < min).map(|v| Cause::invalid(name, &v.into(), detail))
    };
    causes.extend(below("tailLines", options.tail_lines, 0));
    causes.extend(below("limitBytes", options.limit_bytes, 1));
    causes.extend(below("sinceSeconds", options.since_seconds, 1));
    if options.since_seconds.is_some() && options.since_time.is_some() {
        causes.push(Cause::forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
    }
    if let Some(time) = options.since_time.as_ref().filter(|t| t.parse::<jiff::Timestamp>().is_err()) {
        causes.push(Cause::invalid("sinceTime", &time.as_str().into(), "must be an RFC 3339 time"));
    }
    causes
}

/// `Create` of `CreateOptions`: how refusals name the options of a verb.
fn options_kind(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "CreateOptions",
        Verb::Update => "UpdateOptions",
        Verb::Patch => "PatchOptions",
        Verb::Delete | Verb::DeleteCollection => "DeleteOptions",
        _ => "ListOptions",
    }
}

fn dry_run<'a>(verb: Verb, values: impl Iterator<Item = &'a str>) -> Result<bool, ApiError> {
    let mut dry = false;
    for value in values.filter(|v| !v.is_empty()) {
        if value != "All" {
            let cause = Cause::not_supported("dryRun", &value.into(), &["All"]);
            return Err(ApiError::invalid("meta.k8s.io", options_kind(verb), "", vec![cause]));
        }
        dry = true;
    }
    Ok(dry)
}

fn field_validation(verb: Verb, value: &str) -> Result<String, ApiError> {
    match value {
        "" | "Ignore" | "Warn" | "Strict" => Ok(value.to_owned()),
        other => {
            let cause = Cause::not_supported("fieldValidation", &other.into(), &["Ignore", "Strict", "Warn"]);
            Err(ApiError::invalid("meta.k8s.io", options_kind(verb), "", vec![cause]))
        }
    }
}

fn propagation(policy: &str, orphan: Option<bool>) -> Result<Option<Propagation>, ApiError> {
    match (policy, orphan) {
        ("", None) => Ok(None),
        ("", Some(true)) | ("Orphan", None) => Ok(Some(Propagation::Orphan)),
        ("", Some(false)) | ("Background", None) => Ok(Some(Propagation::Background)),
        ("Foreground", None) => Ok(Some(Propagation::Foreground)),
        (_, Some(_)) => {
            let cause = Cause::invalid("propagationPolicy", &policy.into(), "orphanDependents and deletionPropagation cannot be both set");
            Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", vec![cause]))
        }
        (other, None) => {
            let cause = Cause::not_supported("propagationPolicy", &other.into(), &["Foreground", "Background", "Orphan", "nil"]);
            Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", vec![cause]))
        }
    }
}

/// `metav1.DeleteOptions`, as a body.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeleteOptions {
    kind: Option<String>,
    grace_period_seconds: Option<i64>,
    orphan_dependents: Option<bool>,
    propagation_policy: Option<String>,
    dry_run: Option<Vec<String>>,
    preconditions: Option<Preconditions>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

/// Puts what a deletion's body says into `options`, over what its query said.
///
/// # Errors
/// 400 when the body isn't `DeleteOptions`; 422 for values that it refuses.
pub fn merge_delete_options(options: &mut Options, body: &[u8]) -> Result<(), ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    let given: DeleteOptions = serde_json::from_slice(body)
        .map_err(|e| ApiError::new(Reason::BadRequest, format!("the object provided is unrecognized (must be of type DeleteOptions): {e}")))?;
    if let Some(kind) = given.kind.filter(|k| k != "DeleteOptions" && !k.is_empty()) {
        return Err(ApiError::bad_request(format!("the object provided is unrecognized (must be of type DeleteOptions): it is a {kind}")));
    }
    options.grace_period_seconds = given.grace_period_seconds.or(options.grace_period_seconds);
    options.propagation = propagation(given.propagation_policy.as_deref().unwrap_or_default(), given.orphan_dependents)?.or(options.propagation);
    options.dry_run |= dry_run(Verb::Delete, given.dry_run.iter().flatten().map(String::as_str))?;
    let preconditions = given.preconditions.unwrap_or_default();
    options.precondition_uid = preconditions.uid.unwrap_or_default();
    options.precondition_resource_version = preconditions.resource_version.unwrap_or_default();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn flags_as_kubernetes_converts_them() {
        let q = Query::parse("a=true&b=0&c&d=False&e=1");
        assert_eq!(["a", "b", "c", "d", "e", "f"].map(|n| q.flag(n)), [Some(true), Some(false), Some(true), Some(false), Some(true), None]);
    }

    #[test]
    fn timeouts_as_go_writes_durations() {
        let of = |text: &str| Query::parse(&format!("timeout={}", text.replace('+', "%2B"))).timeout();
        let none = ["", "0", "0s", "-3ms", "-0"].map(|text| (text, None));
        let some = [("5s", 5_000), ("1h15m30.5s", 4_530_500), ("+.5h", 1_800_000), ("1.s", 1_000), ("100µs", 0)];
        for (text, millis) in some.into_iter().map(|(text, millis)| (text, Some(millis))).chain(none) {
            assert_eq!(of(text).unwrap().map(|t| t.as_millis()), millis, "{text}");
        }
        for bad in ["5", "s", "1x", "1.2.3s", ".s", "-", "5 s", "1h 2m", "abc"] {
            let error = of(bad).unwrap_err();
            assert_eq!((error.code(), error.message), (400, format!("invalid timeout specified in the request URL - time: invalid duration \"{bad}\"")));
        }
    }

    #[test]
    fn refusals() {
        let code = |q: &str| Query::parse(q).options(Verb::Create).map_err(|e| e.code()).err();
        assert_eq!(code("limit=x"), Some(400));
        assert_eq!(code("dryRun=Some"), Some(422));
        assert_eq!(code("fieldValidation=Loose"), Some(422));
        assert_eq!(code("propagationPolicy=Sideways"), Some(422));
        assert_eq!(code("dryRun=All&fieldValidation=Strict&limit=5"), None);
        assert_eq!(Query::parse("tailLines=-1").log_options().map_err(|e| e.code()).err(), Some(422));
    }

    #[test]
    fn the_body_of_a_delete_wins() {
        let mut o = Query::parse("gracePeriodSeconds=5&propagationPolicy=Orphan").options(Verb::Delete).unwrap();
        merge_delete_options(&mut o, br#"{"gracePeriodSeconds":0,"propagationPolicy":"Foreground","preconditions":{"uid":"u"},"dryRun":["All"]}"#).unwrap();
        assert_eq!((o.grace_period_seconds, o.propagation, o.precondition_uid.as_str(), o.dry_run), (Some(0), Some(Propagation::Foreground), "u", true));
        assert_eq!(merge_delete_options(&mut o, b"{nope").map_err(|e| e.code()), Err(400));
        assert_eq!(merge_delete_options(&mut o, br#"{"kind":"Pod"}"#).map_err(|e| e.code()), Err(400));
        assert_eq!(merge_delete_options(&mut o, b" "), Ok(()));
    }

    proptest! {
        #[test]
        fn never_panics(q in "\\PC{0,60}", body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let q = Query::parse(&q);
            q.log_options().ok();
            q.exec_options();
            let mut options = q.options(Verb::Delete).unwrap_or_default();
            merge_delete_options(&mut options, &body).ok();
        }
    }
}
