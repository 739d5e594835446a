//! Fields that a JSON text holds twice, and the order in which it holds fields.
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::{self, Write};

/// Most duplicates that are reported.
const MAX: usize = 100;

/// The duplicated fields of a JSON text, as `duplicate field "spec.replicas"`; empty for a text that doesn't parse, which is refused elsewhere.
pub fn duplicate_fields(json: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let parsed = walk(json, &mut |place, again| {
        if again && found.len() < MAX {
            found.push(format!("duplicate field \"{place}\""));
        }
    });
    if parsed { found } else { Vec::new() }
}

/// Sentences about fields, `unknown field "a"` and `duplicate field "b"`, in the order in which a JSON text holds those fields. Sentences about
/// others come last.
pub fn in_order_of(json: &[u8], sentences: Vec<String>) -> Vec<String> {
    let mut left: HashSet<String> = sentences.iter().cloned().collect();
    let mut out = Vec::with_capacity(sentences.len());
    walk(json, &mut |place, again| {
        let sentence = format!("{} field \"{place}\"", if again { "duplicate" } else { "unknown" });
        out.extend(left.take(&sentence));
    });
    out.extend(sentences.into_iter().filter(|sentence| left.remove(sentence)));
    out
}

/// Tells `visit` the place of each field of a JSON text, and whether it was there before. Returns whether the text is JSON.
fn walk(json: &[u8], visit: Visit<'_>) -> bool {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Walk { place: &Place { parent: None, step: Step::Top }, visit: &RefCell::new(visit) }.deserialize(&mut deserializer).is_ok()
}

type Visit<'a> = &'a mut dyn FnMut(&Place<'_>, bool);

/// Where a value is. It is written out only where it is asked for: every body is walked, and few have anything twice.
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Top,
    Field(&'a str),
    Index(usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Top => Ok(()),
            Step::Index(i) => write!(f, "[{i}]"),
            Step::Field(name) => {
                if self.parent.is_some_and(|parent| !matches!(parent.step, Step::Top)) {
                    f.write_char('.')?;
                }
                f.write_str(name)
            }
        }
    }
}

/// A field's name, borrowed from the text where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }
    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }
    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

struct Walk<'a, 'v> {
    place: &'a Place<'a>,
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
        for i in 0.. {
            let place = Place { parent: Some(self.place), step: Step::Index(i) };
            if items.next_element_seed(Walk { place: &place, visit: self.visit })?.is_none() {
                break;
            }
        }
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some(name) = map.next_key_seed(Name)? {
            let place = Place { parent: Some(self.place), step: Step::Field(&name) };
            let again = seen.contains(&name);
            (self.visit.borrow_mut())(&place, again);
            if again {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            map.next_value_seed(Walk { place: &place, visit: self.visit })?;
            seen.insert(name);
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
        assert_eq!(duplicate_fields(br#"{"l": [[{"a\u0062": 1, "ab": 2}]]}"#), [r#"duplicate field "l[0][0].ab""#], "names are compared without their escapes");
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
