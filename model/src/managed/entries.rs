//! `metadata.managedFields`: one entry for each manager, operation, version and subresource.
use super::set::FieldSet;
use super::writer::Writer;
use crate::object::Object;
use crate::time;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most entries of ordinary writes; older ones become one.
const UPDATES_MAX: usize = 10;
/// Who owns what the oldest of too many managers did.
const ANCIENT: &str = "ancient-changes";
/// Who owns what was there before the first apply, of objects that nobody owned.
pub const BEFORE: &str = "before-first-apply";
const PATH: [&str; 2] = ["metadata", "managedFields"];

/// The owners before a write: those of the object as it is, unless its client sent others with it, which counts for writes of the whole object only. An empty
/// list, or one with an empty entry, stands for nobody; a list that can't be read, or that has nothing, for those of the object. They are taken out of `new`,
/// which is cheaper than to copy them.
pub fn before(new: &mut Object, old: Option<&Object>, subresource: bool) -> Option<Value> {
    let given = new.remove(&PATH);
    let present = old.and_then(|old| old.at(&PATH));
    match given.filter(|_| !subresource) {
        Some(Value::Array(list)) if list.is_empty() || is_reset(&list) => None,
        Some(given) if Some(&given) == present => Some(given),
        Some(Value::Array(list)) if list.iter().all(|entry| Entry::parse(entry).is_some()) => Some(Value::Array(list)),
        _ => present.cloned(),
    }
}

/// Whether a list has one entry that says nothing.
fn is_reset(list: &[Value]) -> bool {
    let nothing = |value: &Value| matches!(value, Value::Null) || value.as_str().is_some_and(str::is_empty);
    matches!(list, [Value::Object(entry)] if entry.values().all(nothing))
}

/// Puts owners into an object as they are.
pub fn put_value(object: &mut Object, owners: Option<Value>) {
    match owners {
        Some(Value::Array(list)) if !list.is_empty() => object.set(&PATH, Value::Array(list)),
        _ => _ = object.remove(&PATH),
    }
}

/// Brings entries into their order, as they stand in an object.
pub fn sort(entries: &mut [Value]) {
    entries.sort_by_cached_key(|entry| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let seconds = time::parse(&text("time")).map_or(0, |time| time.as_second());
        (text("operation"), seconds, text("manager"), text("apiVersion"), text("subresource"))
    });
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
        if text("fieldsType") != "FieldsV1" {
            return None;
        }
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

    /// Whether it is this writer's. Who applies is the same in all versions.
    pub fn is_of(&self, writer: &Writer<'_>, applied: bool) -> bool {
        let same = self.applied == applied && self.manager == writer.manager && self.subresource == writer.subresource;
        same && (applied || self.api_version == writer.api_version)
    }

    /// The name by which Kubernetes keeps a manager: it decides the order of conflicts.
    pub fn identifier(&self) -> String {
        let operation = if self.applied { "Apply" } else { "Update" };
        let manager = if self.manager.is_empty() { String::new() } else { format!("\"manager\":{:?},", self.manager) };
        let version = if self.applied { String::new() } else { format!(",\"apiVersion\":{:?}", self.api_version) };
        let subresource = if self.subresource.is_empty() { String::new() } else { format!(",\"subresource\":{:?}", self.subresource) };
        format!("{{{manager}\"operation\":\"{operation}\"{version}{subresource}}}")
    }

    /// When, in seconds.
    fn seconds(&self) -> i64 {
        time::parse(&self.time).map_or(0, |time| time.as_second())
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

    /// The entries of a list; what can't be read is left out, and of several of the same manager the last counts.
    pub fn parse(list: &Value) -> Self {
        let mut out: BTreeMap<(bool, String, String, String), Entry> = BTreeMap::new();
        for entry in list.as_array().into_iter().flatten().filter_map(Entry::parse) {
            let version = if entry.applied { String::new() } else { entry.api_version.clone() };
            out.insert((!entry.applied, entry.manager.clone(), version, entry.subresource.clone()), entry);
        }
        Self(out.into_values().collect())
    }

    /// Puts them into an object.
    pub fn put(mut self, object: &mut Object) {
        self.0.retain(|entry| !entry.fields.is_empty());
        if self.0.is_empty() {
            object.remove(&PATH);
        } else {
            let mut list: Vec<Value> = self.0.into_iter().map(Entry::into_value).collect();
            sort(&mut list);
            object.set(&PATH, Value::Array(list));
        }
    }

    /// The oldest of too many ordinary writes become one entry, for each version.
    pub fn cap(&mut self) {
        self.0.retain(|entry| !entry.fields.is_empty());
        let mut count = self.0.iter().filter(|entry| !entry.applied).count();
        if count <= UPDATES_MAX {
            return;
        }
        // in the order of the names by which Kubernetes keeps them, where times are equal
        self.0.sort_by_cached_key(|e| (e.applied, e.seconds(), e.identifier()));
        let (updates, mut rest): (Vec<Entry>, Vec<Entry>) = std::mem::take(&mut self.0).into_iter().partition(|entry| !entry.applied);
        let mut oldest: BTreeMap<String, Entry> = BTreeMap::new();
        for entry in updates {
            match oldest.get_mut(&entry.api_version).filter(|_| count > UPDATES_MAX) {
                Some(old) => {
                    count -= 1;
                    let fields = std::mem::take(&mut old.fields).union(&entry.fields);
                    *old = Entry { manager: ANCIENT.to_owned(), subresource: String::new(), time: entry.time, fields, ..old.clone() };
                }
                None if count > UPDATES_MAX => _ = oldest.insert(entry.api_version.clone(), entry),
                None => rest.push(entry),
            }
        }
        self.0 = oldest.into_values().collect();
        self.0.append(&mut rest);
    }
}
