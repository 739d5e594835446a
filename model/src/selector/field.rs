//! Field selectors: `status.phase=Running,spec.nodeName!=n1`.
use crate::error::ApiError;
use crate::kind::Kind;
use crate::object::Object;
use serde_json::Value;
use std::fmt;

/// What an absent field counts as, where that isn't the empty string.
const ABSENT: [(&str, &str); 4] = [("spec.unschedulable", "false"), ("spec.hostNetwork", "false"), ("status.replicas", "0"), ("status.successful", "0")];

/// Where a field is that counts in place of an empty one: who reports an event in the newer way has no `source`.
const INSTEAD: [(&str, &[&str]); 1] = [("source", &["reportingComponent"])];

/// One condition on one field.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    label: String,
    path: Vec<String>,
    equal: bool,
    value: String,
}

/// A conjunction of equalities and inequalities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

impl FieldSelector {
    /// Matches everything.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Parses a selector over the fields that may be selected for `kind`.
    ///
    /// # Errors
    /// 400 when the form is wrong, or the kind has no such selectable field.
    pub fn parse(text: &str, kind: &Kind) -> Result<Self, ApiError> {
        let mut terms = Vec::new();
        for part in split(text).into_iter().filter(|p| !p.is_empty()) {
            let (label, equal, value) =
                operator(&part).ok_or_else(|| ApiError::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'")))?;
            let path = path(kind, label).ok_or_else(|| ApiError::bad_request(format!("field label not supported: {label}")))?;
            terms.push(Term { label: label.to_owned(), path, equal, value: unescape(value).map_err(ApiError::bad_request)? });
        }
        Ok(Self { terms })
    }

    /// Whether an object meets every condition.
    pub fn matches(&self, object: &Object) -> bool {
        self.terms.iter().all(|term| {
            let path: Vec<&str> = term.path.iter().map(String::as_str).collect();
            let instead = INSTEAD.iter().find(|(label, _)| *label == term.label).and_then(|(_, path)| object.at(path));
            let found = object.at(&path).filter(|value| instead.is_none() || value.as_str().is_some_and(|text| !text.is_empty())).or(instead);
            (shown(found, &term.label) == term.value) == term.equal
        })
    }
    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
    /// The value that `field` must equal, if one is asked for: lets `metadata.name=x` become a get.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|t| t.equal && t.label == field).map(|t| t.value.as_str())
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            let escaped = term.value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            write!(f, "{}{}{}{escaped}", if i == 0 { "" } else { "," }, term.label, if term.equal { "=" } else { "!=" })?;
        }
        Ok(())
    }
}

/// Cluster-scoped kinds of which Kubernetes says itself what may be selected; of others it takes what every kind may have, a namespace as well.
const OWN_FIELDS: [&str; 4] = ["nodes", "namespaces", "certificatesigningrequests", "resourceslices"];

fn by_default(kind: &Kind) -> bool {
    kind.schema.builtin().is_some() && !OWN_FIELDS.contains(&&*kind.resource)
}

fn path(kind: &Kind, label: &str) -> Option<Vec<String>> {
    let of_all = |steps: [&str; 2]| Some(steps.map(str::to_owned).to_vec());
    match label {
        "metadata.name" => of_all(["metadata", "name"]),
        "metadata.namespace" if kind.namespaced() || by_default(kind) => of_all(["metadata", "namespace"]),
        _ => kind.selectable.iter().find(|field| *field.label == *label).map(|field| field.path.iter().map(ToString::to_string).collect()),
    }
}

/// A field as a selector compares it.
fn shown(value: Option<&Value>, label: &str) -> String {
    match value {
        None | Some(Value::Null) => ABSENT.iter().find(|(name, _)| *name == label).map_or(String::new(), |(_, v)| (*v).to_owned()),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Splits at commas that aren't escaped.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && !escaped {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

/// Label, whether equality is asked for, and the escaped value.
fn operator(part: &str) -> Option<(&str, bool, &str)> {
    let at = part.char_indices().find_map(|(i, _)| {
        let rest = part.get(i..)?;
        [("!=", false), ("==", true), ("=", true)].into_iter().find(|(op, _)| rest.starts_with(op)).map(|(op, equal)| (i, op.len(), equal))
    });
    let (i, length, equal) = at?;
    Some((part.get(..i)?.trim(), equal, part.get(i + length..)?.trim()))
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next @ ('\\' | ',' | '=')) => out.push(next),
                _ => return Err(format!("invalid field selector: invalid escape sequence: {value}")),
            },
            '=' => return Err(format!("invalid field selector: unescaped character in value: {value}")),
            other => out.push(other),
        }
    }
    Ok(out)
}
