//! An object's labels in little memory: a view holds those of every object.
use serde::de::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels, ordered by their keys. Clones share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Arc<[(Box<str>, Box<str>)]>);

impl Labels {
    /// The value of one.
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        Some(&self.0[at].1)
    }
    /// All, as key and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // a label that is null is an empty one
        let ordered = BTreeMap::<Box<str>, Option<Box<str>>>::deserialize(deserializer)?;
        Ok(Self(ordered.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_by_key() {
        let labels: Labels = serde_json::from_str(r#"{"b": "2", "a": "1", "c": null}"#).unwrap();
        assert_eq!(["a", "b", "c", "d"].map(|key| labels.get(key)), [Some("1"), Some("2"), Some(""), None]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2"), ("c", "")]);
        assert_eq!(Labels::default().get("a"), None);
    }
}
