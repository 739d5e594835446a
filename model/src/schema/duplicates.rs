//! Fields that a JSON text holds twice, and the order in which it holds fields.
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

/// Most duplicates that are reported.
const MAX: usize = 100;

/// The duplicated fields of a JSON text, as `duplicate field "spec.replicas"`; empty for a text that doesn't parse, which is refused elsewhere.
pub fn duplicate_fields(json: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let parsed = walk(json, &mut |path, again| {
        if again && found.len() < MAX {
            found.push(format!("duplicate field \"{path}\""));
        }
    });
    if parsed { found } else { Vec::new() }
}

/// Sentences about fields, `unknown field "a"` and `duplicate field "b"`, in the order in which a JSON text holds those fields. Sentences about
/// others come last.
pub fn in_order_of(json: &[u8], sentences: Vec<String>) -> Vec<String> {
    let mut left: HashSet<String> = sentences.iter().cloned().collect();
    let mut out = Vec::with_capacity(sentences.len());
    walk(json, &mut |path, again| {
        let sentence = format!("{} field \"{path}\"", if again { "duplicate" } else { "unknown" });
        out.extend(left.take(&sentence));
    });
    out.extend(sentences.into_iter().filter(|sentence| left.remove(sentence)));
    out
}

/// Tells `visit` each field of a JSON text by its path, and whether it was there before. Returns whether the text is JSON.
fn walk(json: &[u8], visit: Visit<'_>) -> bool {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Walk { path: String::new(), visit: &RefCell::new(visit) }.deserialize(&mut deserializer).is_ok()
}

type Visit<'a> = &'a mut dyn FnMut(&str, bool);

struct Walk<'a, 'v> {
    path: String,
    visit: &'a RefCell<Visit<'v>>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
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
        while items.next_element_seed(Walk { path: format!("{}[{i}]", self.path), visit: self.visit })?.is_some() {
            i += 1;
        }
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let path = if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            let again = !seen.insert(key);
            (self.visit.borrow_mut())(&path, again);
            if again {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            map.next_value_seed(Walk { path, visit: self.visit })?;
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

    #[test]
    fn sentences_follow_the_text() {
        let json = br#"{"z": 1, "spec": {"c": [{"x": 1, "x": 2, "a": 3}]}, "a": 2}"#;
        let sentences =
            ["duplicate field \"spec.c[0].x\"", "unknown field \"a\"", "unknown field \"elsewhere\"", "unknown field \"spec.c[0].a\"", "unknown field \"z\""];
        let want =
            ["unknown field \"z\"", "duplicate field \"spec.c[0].x\"", "unknown field \"spec.c[0].a\"", "unknown field \"a\"", "unknown field \"elsewhere\""];
        assert_eq!(in_order_of(json, sentences.map(str::to_owned).to_vec()), want);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"a0 ]{0,80}") {
            prop_assert!(duplicate_fields(&bytes).len() <= MAX);
            prop_assert!(duplicate_fields(text.as_bytes()).len() <= MAX);
        }
    }
}
