//! What can be declared of a field.
use super::format::Format;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is declared of one field.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rule {
    /// What it is when a client leaves it out, or empty.
    pub default: Option<Value>,
    /// Whether it must be there; an empty text, list or map isn't.
    pub required: bool,
    /// Whether a number of 0 isn't there, as in those of Go's types that aren't pointers.
    pub zero_is_none: bool,
    /// Why it may not be there.
    pub forbidden: Option<Box<str>>,
    /// The texts that it may be.
    #[serde(rename = "enum")]
    pub choices: Vec<Box<str>>,
    /// The least number.
    pub minimum: Option<i64>,
    /// The largest number.
    pub maximum: Option<i64>,
    /// Most characters of a text.
    pub max_length: Option<usize>,
    /// Most bytes of a text.
    pub max_bytes: Option<usize>,
    /// Most items of a list, or entries of a map.
    pub max_items: Option<usize>,
    /// What it must look like.
    pub format: Option<Format>,
    /// Whether it stays as it was created.
    pub immutable: bool,
    /// Which changes are refused.
    pub update: Vec<Change>,
    /// Whether no two items of a list may be the same: have the same values of the list's keys, or of these.
    pub unique: bool,
    /// By which fields [`Rule::unique`] tells items apart, where it isn't the list's keys.
    pub unique_by: Vec<Box<str>>,
    /// Fields that must be there when this one is.
    pub requires: Vec<Box<str>>,
    /// What holds for each item of a list, or value of a map.
    pub each: Option<Box<Rule>>,
    /// What holds for each key of a map.
    pub each_key: Option<Box<Rule>>,
    /// What holds for fields below, beside what their own definition says.
    pub fields: BTreeMap<Box<str>, Rule>,
    /// Exactly one of these fields is there. For a definition as a whole.
    pub one_of: Vec<Box<str>>,
    /// At most one of these fields is there. For a definition as a whole.
    pub at_most_one_of: Vec<Box<str>>,
}

impl Rule {
    /// Whether a value is there, as this field's type sees it.
    pub fn sets(&self, value: Option<&Value>) -> bool {
        is_set(value) && !(self.zero_is_none && value.and_then(Value::as_i64) == Some(0))
    }
}

/// A change of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Change {
    /// From nothing to something.
    #[serde(rename = "NoSet")]
    Set,
    /// From something to nothing.
    #[serde(rename = "NoUnset")]
    Unset,
    /// From something to something else.
    #[serde(rename = "NoModify")]
    Modify,
}

/// The rules of one definition, by field; those of the whole under the empty name.
pub type Definition = BTreeMap<Box<str>, Rule>;

/// Whether a value is there, as Go's types see it: what is empty isn't.
pub fn is_set(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    }
}
