//! One requirement of a label selector.
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
