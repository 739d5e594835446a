//! Fields that a JSON text holds twice.
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

/// Most duplicates that are reported.
const MAX: usize = 100;

/// The duplicated fields of a JSON text, as `duplicate field "spec.replicas"`; empty for a text that doesn't parse, which is refused elsewhere.
pub fn duplicate_fields(json: &[u8]) -> Vec<String> {
    let found = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    match (Walk { path: String::new(), found: &found }).deserialize(&mut deserializer) {
        Ok(()) => found.into_inner(),
        Err(_) => Vec::new(),
    }
}

struct Walk<'a> {
    path: String,
    found: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut i = 0_usize;
        while items.next_element_seed(Walk { path: format!("{}[{i}]", self.path), found: self.found })?.is_some() {
            i += 1;
        }
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let path = if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            if !seen.insert(key) {
                let mut found = self.found.borrow_mut();
                if found.len() < MAX {
                    found.push(format!("duplicate field \"{path}\""));
                }
                drop(found);
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            map.next_value_seed(Walk { path, found: self.found })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn found_where_they_are() {
        let json = br#"{"a": 1, "spec": {"c": [{"x": 1, "x": {"x": 2}}], "c": []}, "a": 2}"#;
        assert_eq!(duplicate_fields(json), [r#"duplicate field "spec.c[0].x""#, r#"duplicate field "spec.c""#, r#"duplicate field "a""#]);
        assert!(duplicate_fields(br#"{"a": {"b": 1}, "b": [1.5, null, true, "x", -1]}"#).is_empty());
        assert!(duplicate_fields(b"{").is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"a0 ]{0,80}") {
            prop_assert!(duplicate_fields(&bytes).len() <= MAX);
            prop_assert!(duplicate_fields(text.as_bytes()).len() <= MAX);
        }
    }
}
