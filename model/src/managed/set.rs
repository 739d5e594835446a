//! A set of fields, as `fieldsV1` writes it: a tree of path elements (`f:name`, `k:{"name":"c"}`, `v:"x"`, `i:0`), where an element is a member if nothing is
//! below it, or `.` is.
use super::types::Type;
use serde_json::{Map, Value};

const ITSELF: &str = ".";
const METADATA: &str = "f:metadata";
/// Fields of metadata that nobody owns.
const UNOWNED: [&str; 9] =
    ["f:name", "f:namespace", "f:creationTimestamp", "f:selfLink", "f:uid", "f:clusterName", "f:generation", "f:managedFields", "f:resourceVersion"];

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
        parsed(fields.as_object()?, 0).map(Self)
    }

    /// As `fieldsV1`.
    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an element: itself, and what is below it. Nothing is added of what is neither.
    pub fn put(&mut self, element: String, part: Part) {
        let Part { member, mut below } = part;
        if member && !below.is_empty() {
            below.0.insert(ITSELF.to_owned(), Value::Object(Map::new()));
        }
        if member || !below.is_empty() {
            self.insert(element, below);
        }
    }

    /// Adds what is below an element; an empty set makes the element itself a member.
    pub fn insert(&mut self, element: String, below: Self) {
        match self.0.get_mut(&element) {
            Some(Value::Object(present)) => add(present, below.0),
            _ => _ = self.0.insert(element, Value::Object(below.0)),
        }
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

    /// Without the fields that nobody owns.
    #[must_use]
    pub fn stripped(mut self) -> Self {
        self.0.remove("f:apiVersion");
        self.0.remove("f:kind");
        if let Some(Value::Object(metadata)) = self.0.get_mut(METADATA) {
            metadata.remove(ITSELF);
            UNOWNED.iter().for_each(|field| _ = metadata.remove(*field));
            if metadata.is_empty() {
                self.0.remove(METADATA);
            }
        }
        self
    }

    /// Only what a write covers of the fields at the top.
    #[must_use]
    pub fn covered(mut self, covers: fn(&str) -> bool) -> Self {
        self.0.retain(|element, _| element.strip_prefix("f:").is_none_or(covers));
        self
    }

    /// With the fields above members as members, where the schema has a name for them.
    #[must_use]
    pub fn with_named(mut self, kind: Type<'_>) -> Self {
        named(&mut self.0, kind);
        self
    }

    /// With what `change` makes of what is below each element that has something below.
    #[must_use]
    pub fn map(mut self, change: impl Fn(&str, Self) -> Self) -> Self {
        for (element, below) in self.0.iter_mut().filter(|(element, _)| *element != ITSELF) {
            let Value::Object(below) = below else { continue };
            if below.is_empty() {
                continue;
            }
            let member = below.remove(ITSELF);
            let mut changed = change(element, Self(std::mem::take(below)));
            if let Some(itself) = member.filter(|_| !changed.is_empty()) {
                changed.0.insert(ITSELF.to_owned(), itself);
            }
            *below = changed.0;
        }
        self
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

/// What a value is for a set: a member itself, and what is below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Whether it is a member.
    pub member: bool,
    /// What is below.
    pub below: FieldSet,
}

impl Part {
    /// A member with nothing below.
    pub fn leaf() -> Self {
        Self { member: true, below: FieldSet::default() }
    }

    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }

    /// What is in one of two.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        Self { member: self.member || other.member, below: self.below.union(&other.below) }
    }
}

/// Checks what a client wrote. Numbers and keys are brought into one form; elements of kinds that aren't known are left out.
fn parsed(map: &Map<String, Value>, depth: usize) -> Option<Map<String, Value>> {
    let mut out = Map::new();
    if depth > crate::object::MAX_DEPTH {
        return None;
    }
    for (element, below) in map {
        let element = match element.split_at_checked(2) {
            _ if element == ITSELF => element.clone(),
            Some(("f:", _)) => element.clone(),
            Some(("k:", key)) => format!("k:{}", canonical(serde_json::from_str::<Map<String, Value>>(key).ok()?.into())),
            Some(("v:", value)) => format!("v:{}", canonical(serde_json::from_str(value).ok()?)),
            Some(("i:", index)) => format!("i:{}", index.parse::<i64>().ok()?),
            Some((kind, _)) if kind.ends_with(':') => continue,
            _ => return None,
        };
        let mut below = parsed(below.as_object()?, depth + 1)?;
        if below.len() == 1 && below.contains_key(ITSELF) {
            below.clear();
        }
        match out.get_mut(&element) {
            Some(Value::Object(present)) => add(present, below),
            _ => _ = out.insert(element, Value::Object(below)),
        }
    }
    Some(out)
}

/// One form for each value: whole numbers without a fraction, and the fields of a key in order.
fn canonical(value: Value) -> Value {
    match value {
        Value::Number(n) if n.is_f64() => match n.as_f64() {
            // exact up to here
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
            Some(f) if f.fract() == 0.0 && f.abs() < 9e15 => (f as i64).into(),
            _ => Value::Number(n),
        },
        Value::Object(map) => {
            let mut map: Map<String, Value> = map.into_iter().map(|(key, value)| (key, canonical(value))).collect();
            map.sort_keys();
            Value::Object(map)
        }
        other => other,
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
    /// Whether nothing is below.
    pub fn is_empty(self) -> bool {
        self.elements().next().is_none()
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

fn named(map: &mut Map<String, Value>, kind: Type<'_>) {
    for (element, below) in map.iter_mut().filter(|(element, _)| *element != ITSELF) {
        let Value::Object(below) = below else { continue };
        if below.is_empty() {
            continue;
        }
        let (inner, named_here) = match element.strip_prefix("f:") {
            Some(field) => kind.field(field),
            None => (kind.items(), false),
        };
        named(below, inner);
        if named_here {
            below.insert(ITSELF.to_owned(), Value::Object(Map::new()));
        }
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

/// Whether all of `part`, which is of the same place, is in `all`.
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

/// Members before what is below them, as Kubernetes lists them: first all of a place, in the order of fields, keys, values and indices.
fn paths(of: &Map<String, Value>, prefix: &mut String, out: &mut Vec<String>) {
    let rank = |element: &str| ["f:", "k:", "v:"].iter().position(|kind| element.starts_with(kind)).unwrap_or(3);
    let mut elements: Vec<(&String, &Map<String, Value>)> =
        of.iter().filter(|(element, _)| *element != ITSELF).filter_map(|(element, below)| Some((element, below.as_object()?))).collect();
    elements.sort_by_key(|(element, _)| rank(element));
    let length = prefix.len();
    for members in [true, false] {
        for (element, below) in &elements {
            step(element, prefix);
            if members && is_member(below) {
                out.push(prefix.clone());
            }
            if !members {
                paths(below, prefix, out);
            }
            prefix.truncate(length);
        }
    }
}

/// Adds an element to a path.
fn step(element: &str, path: &mut String) {
    match element.split_at_checked(2) {
        Some(("f:", name)) => {
            path.push('.');
            path.push_str(name);
        }
        Some(("k:", key)) => path.push_str(&format!("[{}]", keys(key))),
        Some(("v:", value)) => path.push_str(&format!("[={value}]")),
        Some((_, rest)) => path.push_str(&format!("[{rest}]")),
        None => {}
    }
}

/// An element as paths write it: `.name`, `[name="c"]`.
pub fn path_step(element: &str) -> String {
    let mut path = String::new();
    step(element, &mut path);
    path
}

/// `{"name":"c"}` as `name="c"`.
fn keys(key: &str) -> String {
    let parsed: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
    parsed.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}
