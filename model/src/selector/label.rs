//! Set-based label selectors, from their text form and from `metav1.LabelSelector`.
use super::parse::parse;
use super::requirement::{Operator, Requirement};
use crate::error::ApiError;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// A conjunction of requirements, or what matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

impl LabelSelector {
    /// Matches everything.
    pub fn everything() -> Self {
        Self::default()
    }
    /// Matches nothing: what an absent `metav1.LabelSelector` means.
    pub fn nothing() -> Self {
        Self { requirements: Vec::new(), nothing: true }
    }
    /// Of these requirements, all of which must hold.
    pub fn of(requirements: Vec<Requirement>) -> Self {
        Self { requirements, nothing: false }
    }

    /// Parses the text form: `a=b,c in (d,e),!f`.
    ///
    /// # Errors
    /// 400 with the sentence that Kubernetes gives.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        parse(text).map(Self::of).map_err(ApiError::bad_request)
    }

    /// From a map of labels, all of which must be equal: a service's or replication controller's selector. `None` and an empty map match nothing.
    pub fn from_map(labels: Option<&Map<String, Value>>) -> Self {
        match labels {
            Some(labels) if !labels.is_empty() => Self::of(equalities(labels)),
            _ => Self::nothing(),
        }
    }

    /// From a `metav1.LabelSelector`: `null` matches nothing, `{}` everything.
    ///
    /// # Errors
    /// 400 with what is wrong with an expression.
    pub fn from_json(value: &Value) -> Result<Self, ApiError> {
        let Some(map) = value.as_object() else { return Ok(Self::nothing()) };
        let mut requirements = map.get("matchLabels").and_then(Value::as_object).map(equalities).unwrap_or_default();
        for expression in map.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            requirements.push(expression_requirement(expression).map_err(ApiError::bad_request)?);
        }
        Ok(Self::of(requirements))
    }

    /// Whether these labels meet every requirement.
    pub fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches(labels))
    }
    /// The same of labels that are kept in another way: `label` is asked for values by key.
    pub fn selects<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches_value(label(&r.key)))
    }
    /// The one value that a label must have, where a requirement says so.
    pub fn exact(&self, key: &str) -> Option<&str> {
        let one = |requirement: &&Requirement| requirement.key == key && requirement.operator == Operator::In && requirement.values.len() == 1;
        self.requirements().iter().find(one)?.values.first().map(String::as_str)
    }
    /// Whether it has no requirement and so matches everything.
    pub fn is_empty(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }
    /// Whether it matches nothing, whatever the labels.
    pub fn is_nothing(&self) -> bool {
        self.nothing
    }
    /// Its requirements.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for requirement in &self.requirements {
            if !std::mem::take(&mut first) {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

fn equalities(labels: &Map<String, Value>) -> Vec<Requirement> {
    let one = |v: &Value| BTreeSet::from([v.as_str().unwrap_or_default().to_owned()]);
    labels.iter().map(|(key, value)| Requirement { key: key.clone(), operator: Operator::In, values: one(value) }).collect()
}

fn expression_requirement(expression: &Value) -> Result<Requirement, String> {
    let text = |key: &str| expression.get(key).and_then(Value::as_str).unwrap_or_default();
    let operator = match text("operator") {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        other => return Err(format!("\"{other}\" is not a valid label selector operator")),
    };
    let values = expression.get("values").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    Requirement::new(text("key"), operator, values)
}
