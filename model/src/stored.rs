//! An object as the log holds it: JSON bytes that contain the revision. They are parsed on first use only.
use crate::error::ApiError;
use crate::object::Object;
use crate::order;
use bytes::Bytes;
use memchr::memmem;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Names one object of the cluster, whatever its version: group, resource (plural), namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// API group; `""` for the core group.
    pub group: Arc<str>,
    /// Plural resource name: `pods`.
    pub resource: Arc<str>,
    /// Namespace; `""` for a cluster-scoped object.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Key {
    /// A key from its four parts.
    pub fn new(group: impl Into<Arc<str>>, resource: impl Into<Arc<str>>, namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { group: group.into(), resource: resource.into(), namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if !self.namespace.is_empty() { write!(f, " {}/{}", self.namespace, self.name) } else { write!(f, " {}", self.name) }
    }
}

/// What stands before the revision in every log value, so that it is put in by one copy and no parsing. It first occurs there: before it, there are
/// only texts, in which quotes are escaped.
const SLOT: &[u8] = br#""resourceVersion":""#;
/// What stands before the metadata; the same is true of it.
const METADATA: &[u8] = br#""metadata":"#;
/// What stands before the version; before it, there is only the kind.
const API_VERSION: &[u8] = br#""apiVersion":""#;
/// The revision in a log value.
static NO_REVISION: Value = Value::String(String::new());

/// What most objects fit into, in bytes.
const ROOM: usize = 2_048;

/// An object at one revision. Cheap to share as `Arc<Stored>`: parsed at most once, serialised never again.
pub struct Stored {
    /// Which object.
    pub key: Key,
    /// The sequence of the log message that wrote it: its `resourceVersion`.
    pub revision: u64,
    json: Bytes,
    /// Whether many are about to read it.
    news: bool,
    /// Apart, since of most objects that are held there is none of it.
    made: OnceLock<Box<Made>>,
}

/// What was made of an object.
#[derive(Default)]
struct Made {
    object: OnceLock<Object>,
    typed: OnceLock<Arc<dyn Any + Send + Sync>>,
    /// Its light form: one for all who ask for it.
    light: OnceLock<Arc<Stored>>,
}

impl Stored {
    /// What the log holds for `object`: its JSON in Kubernetes' order, with an empty `resourceVersion`.
    /// `metadata.resourceVersion` of `object` is ignored.
    ///
    /// # Errors
    /// `500 InternalError` when the object has no `metadata` map or doesn't serialise.
    pub fn encode(object: &Object) -> Result<Bytes, ApiError> {
        let meta = object.0.get("metadata").and_then(Value::as_object).ok_or_else(|| ApiError::internal("an object without metadata cannot be stored"))?;
        let mut out = Vec::with_capacity(ROOM);
        write_fields(&mut out, order::OBJECT.fields(&object.0), |out, name, value| match name {
            "metadata" => write_fields(out, order::METADATA.fields_with(meta, Some(("resourceVersion", &NO_REVISION))), write_value),
            _ => write_value(out, name, value),
        })
        .map_err(|e| ApiError::internal(e.to_string()))?;
        Ok(out.into())
    }

    /// From a log value made by [`Stored::encode`] and the sequence that the log gave it.
    ///
    /// # Errors
    /// `500 InternalError` when `encoded` has no place for its revision, as `encode` makes it.
    pub fn decode(key: Key, revision: u64, encoded: &[u8]) -> Result<Self, ApiError> {
        let slot = after(encoded, SLOT).ok_or_else(|| ApiError::internal(format!("{key}: the log value has no resourceVersion slot")))?;
        let (head, tail) = encoded.split_at(slot);
        // exactly as large as it is: it is held for long
        let json = [head, revision.to_string().as_bytes(), tail].concat();
        Ok(Self::of(key, revision, json.into(), true))
    }

    /// From an object that already carries its `resourceVersion` (a client's copy, a test's fixture).
    ///
    /// # Errors
    /// As [`Stored::encode`].
    pub fn from_object(key: Key, mut object: Object) -> Result<Self, ApiError> {
        let revision: u64 = object.resource_version().parse().unwrap_or_default();
        let stored = Self::decode(key, revision, &Self::encode(&object)?)?;
        object.set(&["metadata", "resourceVersion"], revision.to_string());
        stored.made().object.get_or_init(|| object);
        Ok(stored)
    }

    /// The same without what has been parsed of it, which is several times as large as the JSON; the JSON is shared, and [`Stored::read`] no longer
    /// keeps what it parses. Who holds many objects for long holds this.
    #[must_use]
    pub fn light(self: &Arc<Self>) -> Arc<Self> {
        if !self.news && !self.is_parsed() {
            return self.clone();
        }
        self.made().light.get_or_init(|| Arc::new(self.unparsed(false))).clone()
    }

    /// The same for one who reads it several times: what is parsed goes with this copy, and isn't left with those who hold the object for long.
    #[must_use]
    pub fn own(self: &Arc<Self>) -> Arc<Self> {
        if self.is_parsed() { self.clone() } else { Arc::new(self.unparsed(true)) }
    }

    fn unparsed(&self, news: bool) -> Self {
        Self::of(self.key.clone(), self.revision, self.json.clone(), news)
    }

    fn made(&self) -> &Made {
        self.made.get_or_init(Box::default)
    }

    fn parsed(&self) -> Option<&Object> {
        self.made.get()?.object.get()
    }

    fn of(key: Key, revision: u64, json: Bytes, news: bool) -> Self {
        Self { key, revision, json, news, made: OnceLock::new() }
    }

    /// Whether anything is held beside the JSON.
    pub fn is_parsed(&self) -> bool {
        self.made.get().is_some_and(|made| made.object.get().is_some() || made.typed.get().is_some())
    }

    /// Only the fields that `T` names, without parsing the rest; nothing is kept. What doesn't decode is `T`'s default.
    pub fn peek<T: DeserializeOwned + Default>(&self) -> T {
        serde_json::from_slice(&self.json).unwrap_or_default()
    }

    /// `metadata` as a `T`, without looking at what comes after it. Nothing is kept.
    ///
    /// # Errors
    /// What of it is not as `T` has it.
    pub fn metadata<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let metadata = after(&self.json, METADATA).and_then(|at| self.json.get(at..)).unwrap_or_default();
        T::deserialize(&mut serde_json::Deserializer::from_slice(metadata))
    }

    /// `apiVersion`, without parsing anything; empty where it is missing.
    pub fn api_version(&self) -> &str {
        let text = after(&self.json, API_VERSION).and_then(|at| self.json.get(at..)).unwrap_or_default();
        let end = memchr::memchr(b'"', text).unwrap_or_default();
        text.get(..end).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }

    /// `metadata.uid`; empty where it is missing.
    pub fn uid(&self) -> String {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Metadata {
            uid: String,
        }
        match self.parsed() {
            Some(object) => object.uid().to_owned(),
            None => self.metadata::<Metadata>().unwrap_or_default().uid,
        }
    }

    /// Reads the parsed object. What is parsed for it is kept while the object is news, so that all who watch parse once; of one that has become
    /// [`Stored::light`] it is not, so that a list's selector doesn't leave the whole cache parsed.
    pub fn read<R>(&self, read: impl FnOnce(&Object) -> R) -> R {
        match self.parsed() {
            None if !self.news => read(&self.parse()),
            _ => read(self.object()),
        }
    }

    fn parse(&self) -> Object {
        serde_json::from_slice(&self.json).unwrap_or_default()
    }

    /// The whole object as JSON, `resourceVersion` included: ready to be sent.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The parsed object, kept from then on, even by one that is light: [`Stored::read`] or [`Stored::own`] is for what many objects are asked.
    pub fn object(&self) -> &Object {
        self.made().object.get_or_init(|| self.parse())
    }

    /// The typed object, shared by all who ask for the same `T`; asking for another `T` decodes anew.
    ///
    /// # Errors
    /// As [`Object::to_typed`].
    pub fn typed<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>, ApiError> {
        let slot = &self.made().typed;
        if let Some(shared) = slot.get().and_then(|any| any.clone().downcast::<T>().ok()) {
            return Ok(shared);
        }
        let typed: Arc<T> = Arc::new(serde_json::from_slice(&self.json).map_err(|e| ApiError::bad_request(format!("{}: {e}", self.key)))?);
        Ok(match slot.set(typed.clone()) {
            Ok(()) => typed,
            Err(_) => slot.get().and_then(|any| any.clone().downcast::<T>().ok()).unwrap_or(typed),
        })
    }
}

/// Where `text` goes on after the first occurrence of `what`.
fn after(text: &[u8], what: &[u8]) -> Option<usize> {
    memmem::find(text, what).map(|at| at + what.len())
}

fn write_value(out: &mut Vec<u8>, _: &str, value: &Value) -> serde_json::Result<()> {
    serde_json::to_writer(out, value)
}

/// A JSON map whose values are written by `write`.
fn write_fields<'a>(
    out: &mut Vec<u8>,
    fields: impl Iterator<Item = (&'a str, &'a Value)>,
    write: impl Fn(&mut Vec<u8>, &str, &Value) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    out.push(b'{');
    for (n, (name, value)) in fields.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, name)?;
        out.push(b':');
        write(out, name, value)?;
    }
    out.push(b'}');
    Ok(())
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.revision)
    }
}

/// The form that crosses the bus: the JSON travels as it is, unparsed.
#[derive(Serialize)]
struct Wire<'a> {
    key: &'a Key,
    revision: u64,
    json: &'a serde_bytes::Bytes,
}

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Wire { key: &self.key, revision: self.revision, json: serde_bytes::Bytes::new(&self.json) }.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Owned {
            key: Key,
            revision: u64,
            json: serde_bytes::ByteBuf,
        }
        let w = Owned::deserialize(d)?;
        Ok(Self::of(w.key, w.revision, Bytes::from(w.json.into_vec()), true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_come_in_kubernetes_order() {
        let object =
            json!({"status": {}, "spec": {}, "metadata": {"labels": {}, "resourceVersion": "3", "uid": "u", "name": "x"}, "kind": "Thing", "apiVersion": "v1"});
        let stored = Stored::decode(Key::new("", "things", "", "x"), 7, &Stored::encode(&Object::from_value(object).unwrap()).unwrap()).unwrap();
        let want = r#"{"kind":"Thing","apiVersion":"v1","metadata":{"name":"x","uid":"u","resourceVersion":"7","labels":{}},"spec":{},"status":{}}"#;
        assert_eq!(std::str::from_utf8(stored.json()).unwrap(), want);
    }

    #[test]
    fn the_place_of_the_revision_cannot_be_forged() {
        let forged = r#""metadata":{"resourceVersion":""}"#;
        let object = json!({"kind": forged, "apiVersion": forged, "metadata": {"name": forged, "labels": {(forged): forged}}, forged: forged});
        let stored = Stored::decode(Key::new("", "things", "", "x"), 7, &Stored::encode(&Object::from_value(object).unwrap()).unwrap()).unwrap();
        assert_eq!((stored.object().resource_version(), stored.object().name()), ("7", forged));
        assert_eq!(stored.metadata::<Value>().unwrap()["name"], forged);
    }

    #[test]
    fn values_of_earlier_releases_are_read() {
        let stored = Stored::decode(Key::new("", "things", "", "x"), 7, br#"{"metadata":{"resourceVersion":"","name":"x"},"kind":"Thing"}"#).unwrap();
        assert_eq!((stored.object().resource_version(), stored.metadata::<Value>().unwrap()["name"].as_str()), ("7", Some("x")));
    }

    #[test]
    fn metadata_is_read_by_itself() {
        let fields = json!({"name": "x", "labels": {"a": "}", "b": "\"{"}, "uid": "u"});
        let object = Object::from_value(json!({"apiVersion": "v1", "kind": "Thing", "metadata": fields, "spec": {"metadata": {"uid": "other"}}})).unwrap();
        let stored = Stored::decode(Key::new("", "things", "", "x"), 7, &Stored::encode(&object).unwrap()).unwrap();
        let whole = stored.object().at(&["metadata"]).unwrap();
        assert_eq!((whole["resourceVersion"].as_str(), whole["labels"]["b"].as_str()), (Some("7"), Some("\"{")));
        assert_eq!(&stored.metadata::<Value>().unwrap(), whole);
        assert!(stored.metadata::<Vec<u8>>().is_err(), "a map is no list");
        assert_eq!(Arc::new(stored).light().uid(), "u");
    }
}
