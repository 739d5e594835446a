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
        Self(object.list_at(&PATH).iter().filter_map(Entry::parse).collect())
    }

    /// Those that a client sent with an object: `None` where it sent none, or some that can't be read; nobody's where it sent an empty list, or a list with
    /// one empty entry.
    pub fn given(object: &Object) -> Option<Self> {
        let given = object.at(&PATH)?.as_array()?;
        if given.is_empty() || *given == [Value::Object(Map::new())] {
            return Some(Self::default());
        }
        given.iter().map(Entry::parse).collect::<Option<Vec<_>>>().map(Self)
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
