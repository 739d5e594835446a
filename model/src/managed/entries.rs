//! `metadata.managedFields`: one entry for each manager, operation, version and subresource.
use super::Writer;
use super::set::FieldSet;
use crate::object::Object;
use serde_json::{Map, Value, json};

/// Most entries of ordinary writes; older ones become one.
const UPDATES_MAX: usize = 10;
/// Who owns what the oldest of too many managers did.
const ANCIENT: &str = "ancient-changes";
/// Who owns what was there before the first apply, of objects that nobody owned.
pub const BEFORE: &str = "before-first-apply";
const PATH: [&str; 2] = ["metadata", "managedFields"];

/// The owners before a write: those of the object as it is, unless its client sent others with it. An empty list, or one with an empty entry, stands for
/// nobody; a list that can't be read for those of the object. They are taken out of `new`, which is cheaper than to copy them.
pub fn before(new: &mut Object, old: Option<&Object>) -> Option<Value> {
    let given = new.remove(&PATH);
    let present = old.and_then(|old| old.at(&PATH));
    let readable = |list: &[Value]| list.iter().all(|entry| Entry::parse(entry).is_some());
    match given {
        Some(Value::Array(list)) if list.is_empty() || *list == [Value::Object(Map::new())] => None,
        Some(given) if Some(&given) == present => Some(given),
        Some(Value::Array(list)) if readable(&list) => Some(Value::Array(list)),
        _ => present.cloned(),
    }
}

/// Puts owners into an object as they are.
pub fn put_value(object: &mut Object, owners: Option<Value>) {
    match owners {
        Some(Value::Array(list)) if !list.is_empty() => object.set(&PATH, Value::Array(list)),
        _ => _ = object.remove(&PATH),
    }
}

/// Whether an entry is that of a writer's ordinary writes.
pub fn is_of(entry: &Value, writer: &Writer<'_>) -> bool {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    text("operation") == "Update" && text("manager") == writer.manager && text("subresource") == writer.subresource && text("apiVersion") == writer.api_version
}

/// One manager's fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Whose.
    pub manager: String,
    /// Whether they were applied, rather than written.
    pub applied: bool,
    /// In which version.
    pub api_version: String,
    /// Through which subresource; `""` for none.
    pub subresource: String,
    /// When they changed last.
    pub time: String,
    /// Which.
    pub fields: FieldSet,
}

impl Entry {
    /// A writer's entry with these fields.
    pub fn new(writer: &Writer<'_>, applied: bool, fields: FieldSet) -> Self {
        Self {
            manager: writer.manager.to_owned(),
            applied,
            api_version: writer.api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: writer.time.to_owned(),
            fields,
        }
    }

    fn parse(entry: &Value) -> Option<Self> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let applied = match entry.get("operation").and_then(Value::as_str)? {
            "Apply" => true,
            "Update" => false,
            _ => return None,
        };
        let fields = match entry.get("fieldsV1") {
            None | Some(Value::Null) => FieldSet::default(),
            Some(fields) => FieldSet::parse(fields)?,
        };
        let api_version = text("apiVersion");
        (!api_version.is_empty()).then(|| Self { manager: text("manager"), applied, api_version, subresource: text("subresource"), time: text("time"), fields })
    }

    fn into_value(self) -> Value {
        let operation = if self.applied { "Apply" } else { "Update" };
        let mut entry = json!({"manager": self.manager, "operation": operation, "apiVersion": self.api_version, "fieldsType": "FieldsV1"});
        if !self.time.is_empty() {
            entry["time"] = self.time.into();
        }
        entry["fieldsV1"] = self.fields.into_value();
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.into();
        }
        entry
    }

    /// Whether it is this writer's.
    pub fn is_of(&self, writer: &Writer<'_>, applied: bool) -> bool {
        self.applied == applied && self.manager == writer.manager && self.subresource == writer.subresource && self.api_version == writer.api_version
    }
}

/// All entries of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entries(pub Vec<Entry>);

impl Entries {
    /// Those of an object; entries that can't be read are left out.
    pub fn of(object: &Object) -> Self {
        object.at(&PATH).map(Self::parse).unwrap_or_default()
    }

    /// The entries of a list; what can't be read is left out.
    pub fn parse(list: &Value) -> Self {
        Self(list.as_array().into_iter().flatten().filter_map(Entry::parse).collect())
    }

    /// Puts them into an object.
    pub fn put(mut self, object: &mut Object) {
        self.0.retain(|entry| !entry.fields.is_empty());
        self.cap();
        self.0.sort_by(|a, b| {
            (!a.applied, &a.time, &a.manager, &a.api_version, &a.subresource).cmp(&(!b.applied, &b.time, &b.manager, &b.api_version, &b.subresource))
        });
        if self.0.is_empty() {
            object.remove(&PATH);
        } else {
            object.set(&PATH, Value::Array(self.0.into_iter().map(Entry::into_value).collect()));
        }
    }

    /// The oldest of too many ordinary writes become one entry.
    fn cap(&mut self) {
        let updates = self.0.iter().filter(|e| !e.applied && e.subresource.is_empty()).count();
        let Some(surplus) = updates.checked_sub(UPDATES_MAX).filter(|n| *n > 0) else { return };
        self.0.sort_by(|a, b| (a.applied, !a.subresource.is_empty(), &a.time).cmp(&(b.applied, !b.subresource.is_empty(), &b.time)));
        let old: Vec<Entry> = self.0.drain(..=surplus).collect();
        let mut merged: Option<Entry> = None;
        for entry in old {
            merged = Some(match merged {
                None => Entry { manager: ANCIENT.to_owned(), ..entry },
                Some(m) => Entry { fields: m.fields.clone().union(&entry.fields), time: entry.time, ..m },
            });
        }
        self.0.extend(merged);
    }
}
