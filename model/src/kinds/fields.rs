//! Small helpers with which strategies read, default and check fields.
use crate::error::Cause;
use crate::object::Object;
use crate::quantity::Quantity;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt::{self, Display};

/// The string at `key`, `""` when absent.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
/// The integer at `key`.
pub(super) fn int(value: &Value, key: &str) -> Option<i64> {
    value.get(key).and_then(Value::as_i64)
}
/// The list at `key`, empty when absent.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
/// The map at `key`.
pub(super) fn map<'a>(value: &'a Value, key: &str) -> Option<&'a Map<String, Value>> {
    value.get(key).and_then(Value::as_object)
}
/// Whether `key` holds `true`.
pub(super) fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or_default()
}
/// The items of a list with their paths: `spec.containers[0]`. A path is only written out where something is refused: most objects are right.
pub(super) fn items<'v, 'p>(value: &'v Value, path: &'p dyn Display, key: &'p str) -> impl Iterator<Item = (impl Display, &'v Value)> {
    list(value, key).iter().enumerate().map(move |(i, item)| (fmt::from_fn(move |f| write!(f, "{path}.{key}[{i}]")), item))
}
/// The items of a list of the object itself.
pub(super) fn top_items<'a>(object: &'a Object, key: &'a str) -> impl Iterator<Item = (impl Display, &'a Value)> {
    object.list_at(&[key]).iter().enumerate().map(move |(i, item)| (fmt::from_fn(move |f| write!(f, "{key}[{i}]")), item))
}

/// The map at `key`, made when it is absent.
pub(super) fn map_mut<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let map = value.as_object_mut()?;
    let slot = map.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    Some(slot)
}
/// The items of the list at `key`, to be changed.
pub(super) fn items_mut<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}
/// Sets `key` where it is absent, null, or the empty string, which mean the same.
pub(super) fn fill(value: &mut Value, key: &str, default: impl Into<Value>) {
    if let Some(map) = value.as_object_mut()
        && map.get(key).is_none_or(|v| v.is_null() || v.as_str() == Some(""))
    {
        map.insert(key.to_owned(), default.into());
    }
}
/// Sets `key` of a map; nothing where it is none.
pub(super) fn put(value: &mut Value, key: &str, inner: impl Into<Value>) {
    if let Some(map) = value.as_object_mut() {
        map.insert(key.to_owned(), inner.into());
    }
}
/// As [`fill`], for numbers of which 0 means absent.
pub(super) fn fill_number(value: &mut Value, key: &str, default: i64) {
    if int(value, key) == Some(0) || value.get(key).is_none_or(Value::is_null) {
        fill_over(value, key, default);
    }
}
fn fill_over(value: &mut Value, key: &str, default: i64) {
    if let Some(map) = value.as_object_mut() {
        map.insert(key.to_owned(), default.into());
    }
}
/// Runs `change` on a top-level field of an object, which is made an empty map when absent.
pub(super) fn with_field(object: &mut Object, key: &str, change: impl FnOnce(&mut Value)) {
    let slot = object.0.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    change(slot);
}
/// Makes a top-level field what it was.
pub(super) fn keep(new: &mut Object, old: &Object, key: &str) {
    match old.0.get(key) {
        Some(value) => new.0.insert(key.to_owned(), value.clone()),
        None => new.0.remove(key),
    };
}

/// A value as Kubernetes shows those of its own types: with the names and the order that fields have in its code.
pub(super) fn shown(fields: &[(&str, Value)]) -> String {
    format!("{{{}}}", fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(","))
}

/// Most refused fields that are told of one object: an answer must not be many times as large as what was sent.
const MAX_CAUSES: usize = 1_000;
/// Most bytes of them, after which no more are collected.
const MAX_CAUSE_BYTES: usize = 4 << 20;

/// Collects refused fields.
#[derive(Default)]
pub(crate) struct Checks(pub(crate) Vec<Cause>, usize);

impl Checks {
    /// One more refused field.
    pub(crate) fn add(&mut self, cause: Cause) {
        if self.0.len() < MAX_CAUSES && self.1 < MAX_CAUSE_BYTES {
            self.1 += cause.field.len() + cause.message.len();
            self.0.push(cause);
        }
    }
    /// More of them.
    pub(crate) fn extend(&mut self, causes: impl IntoIterator<Item = Cause>) {
        causes.into_iter().for_each(|cause| self.add(cause));
    }
    /// Refuses a value for each of these sentences.
    pub(super) fn all(&mut self, path: impl Display, value: &str, errors: Vec<String>) {
        self.extend(errors.into_iter().map(|e| Cause::invalid(&path, &value.into(), e)));
    }
    /// A name that must be there and obey a rule.
    pub(super) fn name(&mut self, path: impl Display, value: &str, rule: fn(&str) -> Vec<String>) {
        if value.is_empty() { self.required(path, "") } else { self.all(path, value, rule(value)) }
    }
    /// A name that must obey a rule where it is there.
    pub(super) fn optional_name(&mut self, path: impl Display, value: &str, rule: fn(&str) -> Vec<String>) {
        if !value.is_empty() {
            self.all(path, value, rule(value));
        }
    }
    /// A name within a domain: `acme.io/foo`.
    pub(super) fn domain_path(&mut self, path: impl Display, value: &str) {
        let Some((domain, rest)) = value.split_once('/').filter(|(domain, rest)| !domain.is_empty() && !rest.is_empty()) else {
            return match value {
                "" => self.required(path, ""),
                value => self.add(Cause::invalid(path, &value.into(), "must be a domain-prefixed path (such as \"acme.io/foo\")")),
            };
        };
        self.all(&path, domain, crate::names::dns_subdomain(domain));
        if !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
            let why = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
            self.add(Cause::invalid(path, &rest.into(), why));
        }
    }
    /// A value that isn't there and must be.
    pub(crate) fn required(&mut self, path: impl Display, detail: &str) {
        self.add(Cause::required(path, detail));
    }
    /// A text that must not be empty.
    pub(super) fn filled(&mut self, path: impl Display, value: &str) {
        if value.is_empty() {
            self.required(path, "");
        }
    }
    /// A text that must be one of these; the empty one is missing.
    pub(super) fn one_of(&mut self, path: impl Display, value: &str, supported: &[&str]) {
        match value {
            "" => self.required(path, ""),
            v if !supported.contains(&v) => self.add(Cause::not_supported(path, &v.into(), supported)),
            _ => {}
        }
    }
    /// A number, where it is there, that must not be negative.
    pub(super) fn not_negative(&mut self, path: impl Display, value: Option<i64>) {
        if let Some(n) = value.filter(|n| *n < 0) {
            self.add(Cause::invalid(path, &n.into(), "must be greater than or equal to 0"));
        }
    }
    /// A port's number.
    pub(super) fn port(&mut self, path: impl Display, number: i64) {
        if !(1..=65_535).contains(&number) {
            self.add(Cause::invalid(path, &number.into(), "must be between 1 and 65535, inclusive"));
        }
    }
    /// A port's number or name.
    pub(super) fn port_or_name(&mut self, path: impl Display, value: Option<&Value>) {
        match value {
            Some(Value::String(name)) => self.all(path, name, crate::names::port_name(name)),
            number => self.port(path, number.and_then(Value::as_i64).unwrap_or_default()),
        }
    }
    /// A mode of a file.
    pub(super) fn mode(&mut self, path: impl Display, value: Option<i64>) {
        if let Some(n) = value.filter(|n| !(0..=0o777).contains(n)) {
            self.add(Cause::invalid(path, &n.into(), "must be a number between 0 and 0777 (octal), both inclusive"));
        }
    }
    /// A field that may not change.
    pub(super) fn immutable(&mut self, path: impl Display, new: Option<&Value>, old: Option<&Value>) {
        if new != old {
            self.add(Cause::invalid(path, new.unwrap_or(&Value::Null), "field is immutable"));
        }
    }
    /// A value that occurs for the second time; `seen` collects the first ones.
    pub(super) fn unique(&mut self, path: impl Display, value: &Value, seen: &mut HashSet<String>) {
        if !seen.insert(value.to_string()) {
            self.add(Cause::duplicate(path, value));
        }
    }
    /// A value, where it is there, that must be one of these; the empty one is none of them.
    pub(super) fn choice(&mut self, path: impl Display, value: Option<&Value>, supported: &[&str]) {
        if let Some(value) = value.filter(|v| !v.as_str().is_some_and(|v| supported.contains(&v))) {
            self.add(Cause::not_supported(path, value, supported));
        }
    }
    /// A user's or group's number, where it is there.
    pub(super) fn id(&mut self, path: impl Display, value: Option<i64>) {
        if let Some(n) = value.filter(|n| !(0..=i64::from(i32::MAX)).contains(n)) {
            self.add(Cause::invalid(path, &n.into(), "must be between 0 and 2147483647, inclusive"));
        }
    }
    /// A quantity that must not be negative; `None` when it doesn't parse, which the schema refuses elsewhere.
    pub(super) fn amount(&mut self, path: impl Display, value: &Value) -> Option<Quantity> {
        let amount = Quantity::from_json(value).ok()?;
        if amount.is_negative() {
            self.add(Cause::invalid(path, value, "must be greater than or equal to 0"));
        }
        Some(amount)
    }
}
