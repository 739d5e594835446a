//! A set of fields, as `fieldsV1` writes it: a tree of path elements (`f:name`, `k:{"name":"c"}`, `v:"x"`, `i:0`), where an element is a member if nothing is
//! below it, or `.` is.
use serde_json::{Map, Value};

const ITSELF: &str = ".";

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSet(Map<String, Value>);

fn is_member(below: &Map<String, Value>) -> bool {
    below.is_empty() || below.contains_key(ITSELF)
}

fn map(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object()
}

impl FieldSet {
    /// The set that a `fieldsV1` writes; `None` when it is none.
    pub fn parse(fields: &Value) -> Option<Self> {
        fn whole(map: &Map<String, Value>, depth: usize) -> bool {
            let element = |key: &str| key == ITSELF || ["f:", "k:", "v:", "i:"].iter().any(|prefix| key.starts_with(prefix));
            depth < crate::object::MAX_DEPTH && map.iter().all(|(key, below)| element(key) && below.as_object().is_some_and(|below| whole(below, depth + 1)))
        }
        let map = fields.as_object()?;
        whole(map, 0).then(|| Self(map.clone()))
    }

    /// As `fieldsV1`.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what is below an element; an empty set makes the element itself a member.
    pub fn insert(&mut self, element: String, below: Self) {
        match self.0.get_mut(&element) {
            Some(Value::Object(present)) => add(present, below.0),
            _ => _ = self.0.insert(element, Value::Object(below.0)),
        }
    }

    /// Marks the place that this set is of as a member itself.
    pub fn insert_itself(&mut self) {
        self.0.insert(ITSELF.to_owned(), Value::Object(Map::new()));
    }

    /// What is in one of them.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        for (element, below) in &other.0 {
            if let Value::Object(below) = below {
                self.insert(element.clone(), Self(below.clone()));
            }
        }
        self
    }

    /// What is in this one only.
    #[must_use]
    pub fn difference(mut self, other: &Self) -> Self {
        subtract(&mut self.0, &other.0);
        self
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(mut self, other: &Self) -> Self {
        meet(&mut self.0, &other.0);
        self
    }

    /// Whether something is in both.
    pub fn meets(&self, other: &Self) -> bool {
        touch(&self.0, &other.0)
    }

    /// The elements here, and what is below each.
    pub fn elements(&self) -> impl Iterator<Item = (&str, FieldSetRef<'_>)> {
        FieldSetRef(&self.0).elements()
    }

    /// As borrowed.
    pub fn view(&self) -> FieldSetRef<'_> {
        FieldSetRef(&self.0)
    }

    /// The members as conflicts name them: `.spec.template.spec.containers[name="c"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        paths(&self.0, &mut String::new(), &mut out);
        out
    }
}

/// A part of a set.
#[derive(Clone, Copy, Debug)]
pub struct FieldSetRef<'a>(&'a Map<String, Value>);

impl<'a> FieldSetRef<'a> {
    /// A set as an object holds it.
    pub fn of(fields: &'a Map<String, Value>) -> Self {
        Self(fields)
    }
    /// Whether something is in both.
    pub fn meets(self, other: FieldSetRef<'_>) -> bool {
        touch(self.0, other.0)
    }
    /// Whether all of the other one is in this one.
    pub fn has_all(self, other: FieldSetRef<'_>) -> bool {
        has_all(self.0, other.0)
    }
    /// The elements here, and what is below each.
    pub fn elements(self) -> impl Iterator<Item = (&'a str, FieldSetRef<'a>)> {
        self.0.iter().filter(|(key, _)| *key != ITSELF).filter_map(|(key, below)| Some((key.as_str(), FieldSetRef(map(below)?))))
    }
    /// What is below an element.
    pub fn below(self, element: &str) -> Option<FieldSetRef<'a>> {
        self.0.get(element).and_then(map).map(FieldSetRef)
    }
    /// Whether the place that this is of is a member itself.
    pub fn is_member(self) -> bool {
        is_member(self.0)
    }
}

/// Adds `more`, which is of the same place; what was a member stays one.
fn add(into: &mut Map<String, Value>, more: Map<String, Value>) {
    if is_member(into) != is_member(&more) || (is_member(&more) && into.is_empty() != more.is_empty()) {
        into.insert(ITSELF.to_owned(), Value::Object(Map::new()));
    }
    for (element, below) in more {
        match (into.get_mut(&element), below) {
            (Some(Value::Object(present)), Value::Object(below)) if element != ITSELF => add(present, below),
            (Some(_), _) => {}
            (None, below) => _ = into.insert(element, below),
        }
    }
}

/// Takes `other` out of `from`; both are of the same place.
fn subtract(from: &mut Map<String, Value>, other: &Map<String, Value>) {
    from.retain(|element, below| {
        let (Value::Object(below), Some(Value::Object(taken))) = (below, other.get(element)) else { return true };
        if element == ITSELF {
            return false;
        }
        let member = is_member(below) && !is_member(taken);
        let had_more = below.keys().any(|k| k != ITSELF);
        below.remove(ITSELF);
        subtract(below, taken);
        if member && had_more {
            below.insert(ITSELF.to_owned(), Value::Object(Map::new()));
            if below.len() == 1 {
                below.clear();
            }
        }
        member || !below.is_empty()
    });
}

/// Leaves what is in `other` too.
fn meet(into: &mut Map<String, Value>, other: &Map<String, Value>) {
    into.retain(|element, below| {
        let (Value::Object(below), Some(Value::Object(also))) = (below, other.get(element)) else { return false };
        if element == ITSELF {
            return true;
        }
        let member = is_member(below) && is_member(also);
        below.remove(ITSELF);
        meet(below, also);
        if member && !below.is_empty() {
            below.insert(ITSELF.to_owned(), Value::Object(Map::new()));
        }
        member || !below.is_empty()
    });
}

fn has_all(all: &Map<String, Value>, part: &Map<String, Value>) -> bool {
    part.iter().all(|(element, below)| match (all.get(element), below) {
        (_, _) if element == ITSELF => true,
        (Some(Value::Object(all)), Value::Object(below)) => (!is_member(below) || is_member(all)) && has_all(all, below),
        _ => false,
    })
}

fn touch(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    a.iter().any(|(element, below)| match (below, b.get(element)) {
        _ if element == ITSELF => false,
        (Value::Object(a), Some(Value::Object(b))) => (is_member(a) && is_member(b)) || touch(a, b),
        _ => false,
    })
}

fn paths(of: &Map<String, Value>, prefix: &mut String, out: &mut Vec<String>) {
    for (element, below) in of {
        let Value::Object(below) = below else { continue };
        if element == ITSELF {
            continue;
        }
        let length = prefix.len();
        match element.split_at_checked(2) {
            Some(("f:", name)) => {
                prefix.push('.');
                prefix.push_str(name);
            }
            Some(("k:", key)) => prefix.push_str(&format!("[{}]", keys(key))),
            Some(("v:", value)) => prefix.push_str(&format!("[={value}]")),
            Some((_, rest)) => prefix.push_str(&format!("[{rest}]")),
            None => {}
        }
        if is_member(below) {
            out.push(prefix.clone());
        }
        paths(below, prefix, out);
        prefix.truncate(length);
    }
}

/// `{"name":"c"}` as `name="c"`.
fn keys(key: &str) -> String {
    let parsed: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
    parsed.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}
