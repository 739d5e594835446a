//! Set-based label selectors, from their text form and from `metav1.LabelSelector`.
use super::parse::parse;
use crate::error::ApiError;
use crate::names;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The value is one of the listed ones.
    In,
    /// The key is absent, or its value is none of the listed ones.
    NotIn,
    /// The key is there.
    Exists,
    /// The key isn't there.
    DoesNotExist,
    /// The value is an integer above the given one.
    GreaterThan,
    /// The value is an integer below the given one.
    LessThan,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How its value is compared.
    pub operator: Operator,
    /// With what.
    pub values: BTreeSet<String>,
}

impl Requirement {
    /// A checked requirement.
    ///
    /// # Errors
    /// The sentence for a person: a bad key or value, or the wrong number of values for the operator.
    pub fn new(key: impl Into<String>, operator: Operator, values: BTreeSet<String>) -> Result<Self, String> {
        let key = key.into();
        check_key(&key)?;
        let integer = |values: &BTreeSet<String>| values.iter().all(|v| v.parse::<i64>().is_ok());
        match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                return Err("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty".to_owned());
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                return Err("values: Invalid value: values set must be empty for exists and does not exist".to_owned());
            }
            Operator::GreaterThan | Operator::LessThan if values.len() != 1 => {
                return Err("values: Invalid value: for 'Gt', 'Lt' operators, exactly one value is required".to_owned());
            }
            Operator::GreaterThan | Operator::LessThan if !integer(&values) => {
                return Err("values[0]: Invalid value: for 'Gt', 'Lt' operators, the value must be an integer".to_owned());
            }
            _ => {}
        }
        for value in &values {
            if let Some(e) = names::label_value(value).first() {
                return Err(format!("values[0][{key}]: Invalid value: \"{value}\": {e}"));
            }
        }
        Ok(Self { key, operator, values })
    }

    /// Whether labels meet this condition.
    pub fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.matches_value(labels.and_then(|l| l.get(&self.key)).and_then(Value::as_str))
    }

    /// Whether a label's value (or its absence) meets this condition.
    pub fn matches_value(&self, value: Option<&str>) -> bool {
        let compare = |test: fn(i64, i64) -> bool| {
            let limit = self.values.first().and_then(|v| v.parse().ok());
            matches!((value.and_then(|v| v.parse().ok()), limit), (Some(v), Some(l)) if test(v, l))
        };
        match self.operator {
            Operator::In => value.is_some_and(|v| self.values.contains(v)),
            Operator::NotIn => value.is_none_or(|v| !self.values.contains(v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => compare(|v, limit| v > limit),
            Operator::LessThan => compare(|v, limit| v < limit),
        }
    }
}

/// Checks a label's key.
pub(super) fn check_key(key: &str) -> Result<(), String> {
    match names::qualified_name(key).as_slice() {
        [] => Ok(()),
        all => Err(format!("key: Invalid value: \"{key}\": {}", all.join("; "))),
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = self.values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        match self.operator {
            Operator::In if self.values.len() == 1 => write!(f, "{}={list}", self.key),
            Operator::NotIn if self.values.len() == 1 => write!(f, "{}!={list}", self.key),
            Operator::In => write!(f, "{} in ({list})", self.key),
            Operator::NotIn => write!(f, "{} notin ({list})", self.key),
            Operator::Exists => f.write_str(&self.key),
            Operator::DoesNotExist => write!(f, "!{}", self.key),
            Operator::GreaterThan => write!(f, "{}>{list}", self.key),
            Operator::LessThan => write!(f, "{}<{list}", self.key),
        }
    }
}

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
