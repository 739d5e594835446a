//! Which functions there are, and of which types. The language's own stand in the CEL specification, "List of Standard Definitions"; the libraries are
//! those that Kubernetes 1.37 has (`k8s.io/apiserver/pkg/cel/environment`).
use crate::types::{Type, opaque};
use std::collections::HashMap;
use std::sync::LazyLock;

/// One way to call a function.
#[derive(Debug)]
pub struct Overload {
    /// Whether the first of the arguments stands before the name.
    pub member: bool,
    /// The types of the arguments.
    pub args: Vec<Type>,
    /// The type of what comes out.
    pub result: Type,
}

/// `function | arguments -> result`, where a member function's arguments have `.` after the first. `A` and `B` stand for any type; functions are written
/// once with several lines after them.
const TABLE: &str = include_str!("signatures.txt");

static FUNCTIONS: LazyLock<HashMap<&'static str, Vec<Overload>>> = LazyLock::new(|| {
    let mut out: HashMap<&'static str, Vec<Overload>> = HashMap::new();
    for line in TABLE.lines() {
        if let Some((name, overload)) = parsed(line) {
            out.entry(name).or_default().push(overload);
        }
    }
    out
});

fn parsed(line: &'static str) -> Option<(&'static str, Overload)> {
    let (name, signature) = line.split_once(" | ")?;
    let (args, result) = signature.split_once("->")?;
    let (member, args) = match args.split_once(" . ") {
        Some((target, rest)) => (true, std::iter::once(target).chain(rest.split(';')).collect::<Vec<_>>()),
        None => (false, args.split(';').collect()),
    };
    let args = args.into_iter().map(str::trim).filter(|a| !a.is_empty()).map(named).collect::<Option<Vec<_>>>()?;
    Some((name.trim(), Overload { member, args, result: named(result.trim())? }))
}

/// The type that a signature names.
fn named(text: &str) -> Option<Type> {
    if let Some((outer, inner)) = text.strip_suffix('>').and_then(|t| t.split_once('<')) {
        return Some(match outer {
            "list" => Type::list(named(inner)?),
            "optional" => Type::optional(named(inner)?),
            "type" => Type::Type(Some(named(inner)?.into())),
            "map" => {
                let (key, value) = inner.split_once(',')?;
                Type::map(named(key)?, named(value)?)
            }
            _ => return None,
        });
    }
    Some(match text {
        "A" => Type::Param(0),
        "B" => Type::Param(1),
        "null" => Type::Null,
        "duration" => Type::Duration,
        "timestamp" => Type::Timestamp,
        "IP" => Type::Opaque(opaque::IP),
        "CIDR" => Type::Opaque(opaque::CIDR),
        "URL" => Type::Opaque(opaque::URL),
        "Quantity" => Type::Opaque(opaque::QUANTITY),
        "Semver" => Type::Opaque(opaque::SEMVER),
        "Format" => Type::Opaque(opaque::FORMAT),
        "Authorizer" => Type::Opaque(opaque::AUTHORIZER),
        "PathCheck" => Type::Opaque(opaque::PATH_CHECK),
        "GroupCheck" => Type::Opaque(opaque::GROUP_CHECK),
        "ResourceCheck" => Type::Opaque(opaque::RESOURCE_CHECK),
        "Decision" => Type::Opaque(opaque::DECISION),
        other => Type::named(other)?,
    })
}

/// The ways to call a function.
pub fn overloads(function: &str) -> &'static [Overload] {
    FUNCTIONS.get(function).map_or(&[], Vec::as_slice)
}

/// Whether there is a function of this name.
pub fn is_function(name: &str) -> bool {
    FUNCTIONS.contains_key(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_signature() {
        for line in TABLE.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            assert!(parsed(line).is_some(), "{line}");
        }
        assert!(overloads("_+_").len() > 8);
        assert!(overloads("startsWith")[0].member);
    }
}
