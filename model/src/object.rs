//! The dynamic object: a JSON map with accessors for what all Kubernetes objects share.
use crate::error::ApiError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// A Kubernetes object as a JSON map. It never loses a field that it came with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Object(pub Map<String, Value>);

/// The part of `metadata.ownerReferences[]` that garbage collection and controllers read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// `group/version` of the owner, or `v1`.
    pub api_version: String,
    /// The owner's kind.
    pub kind: String,
    /// The owner's name, in the dependent's namespace or cluster-scoped.
    pub name: String,
    /// The owner's UID: what identifies it.
    pub uid: String,
    /// Whether the owner manages this object; at most one does.
    pub controller: Option<bool>,
    /// Whether a foreground deletion of the owner waits for this object.
    pub block_owner_deletion: Option<bool>,
}

/// The deepest nesting that an object may have: what a JSON parser takes. What nests deeper could be stored, and never be read again.
pub const MAX_DEPTH: usize = 127;

/// How deep a value nests: 0 for what holds nothing.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or_default(),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

impl Object {
    /// Whether it nests deeper than [`MAX_DEPTH`], as what came in another encoding than JSON may.
    pub fn nests_too_deep(&self) -> bool {
        1 + self.0.values().map(depth).max().unwrap_or_default() > MAX_DEPTH
    }

    /// Parses a JSON object.
    ///
    /// # Errors
    /// `400 BadRequest` when `json` isn't a JSON object.
    pub fn from_json(json: &[u8]) -> Result<Self, ApiError> {
        serde_json::from_slice(json).map_err(|e| ApiError::bad_request(format!("the object provided is not valid JSON: {e}")))
    }

    /// From a JSON value.
    ///
    /// # Errors
    /// `400 BadRequest` when `value` isn't a map.
    pub fn from_value(value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(ApiError::bad_request("the object provided is not a JSON object")),
        }
    }

    /// From a typed object of `k8s-openapi` (or any struct that serialises to a map).
    ///
    /// # Errors
    /// `500 InternalError` when `typed` doesn't serialise to a map.
    pub fn from_typed<T: Serialize>(typed: &T) -> Result<Self, ApiError> {
        serde_json::to_value(typed).map_err(|e| ApiError::internal(e.to_string())).and_then(Self::from_value)
    }

    /// As a typed object. Unknown fields are not carried over: never write the result back whole.
    ///
    /// # Errors
    /// `400 BadRequest` that says which field has the wrong type.
    pub fn to_typed<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        T::deserialize(Value::Object(self.0.clone())).map_err(|e| ApiError::bad_request(e.to_string()))
    }

    /// The value at `path`, if every step exists.
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(*first)?, |v, step| v.get(step))
    }

    /// The same, to be changed in place.
    pub fn at_mut(&mut self, path: &[&str]) -> Option<&mut Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get_mut(*first)?, |v, step| v.get_mut(step))
    }

    /// The string at `path`; `""` when absent or not a string.
    pub fn str_at(&self, path: &[&str]) -> &str {
        self.at(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// The integer at `path`.
    pub fn int_at(&self, path: &[&str]) -> Option<i64> {
        self.at(path).and_then(Value::as_i64)
    }

    /// The array at `path`; empty when absent.
    pub fn list_at(&self, path: &[&str]) -> &[Value] {
        self.at(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Puts `value` at `path`, making the maps on the way (a step that is no map is replaced by one).
    pub fn set(&mut self, path: &[&str], value: impl Into<Value>) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut map = &mut self.0;
        for step in parents {
            let slot = map.entry(*step).or_insert_with(|| Value::Object(Map::new()));
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            let Value::Object(next) = slot else { return };
            map = next;
        }
        map.insert((*last).to_owned(), value.into());
    }

    /// Removes and returns what is at `path`.
    pub fn remove(&mut self, path: &[&str]) -> Option<Value> {
        let (last, parents) = path.split_last()?;
        let mut map = &mut self.0;
        for step in parents {
            map = map.get_mut(*step)?.as_object_mut()?;
        }
        map.remove(*last)
    }

    /// `apiVersion`.
    pub fn api_version(&self) -> &str {
        self.str_at(&["apiVersion"])
    }
    /// `kind`.
    pub fn kind(&self) -> &str {
        self.str_at(&["kind"])
    }
    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.str_at(&["metadata", "name"])
    }
    /// `metadata.namespace`; `""` for a cluster-scoped object.
    pub fn namespace(&self) -> &str {
        self.str_at(&["metadata", "namespace"])
    }
    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.str_at(&["metadata", "uid"])
    }
    /// `metadata.resourceVersion`.
    pub fn resource_version(&self) -> &str {
        self.str_at(&["metadata", "resourceVersion"])
    }
    /// `metadata.generation`, 0 when absent.
    pub fn generation(&self) -> i64 {
        self.int_at(&["metadata", "generation"]).unwrap_or_default()
    }
    /// `metadata.labels`.
    pub fn labels(&self) -> Option<&Map<String, Value>> {
        self.at(&["metadata", "labels"]).and_then(Value::as_object)
    }
    /// One label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels()?.get(key)?.as_str()
    }
    /// `metadata.annotations`.
    pub fn annotations(&self) -> Option<&Map<String, Value>> {
        self.at(&["metadata", "annotations"]).and_then(Value::as_object)
    }
    /// One annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations()?.get(key)?.as_str()
    }
    /// `metadata.finalizers`.
    pub fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.list_at(&["metadata", "finalizers"]).iter().filter_map(Value::as_str)
    }
    /// `metadata.deletionTimestamp`, RFC 3339; `None` while the object isn't being deleted.
    pub fn deletion_timestamp(&self) -> Option<&str> {
        self.at(&["metadata", "deletionTimestamp"]).and_then(Value::as_str)
    }
    /// `metadata.creationTimestamp`, RFC 3339.
    pub fn creation_timestamp(&self) -> &str {
        self.str_at(&["metadata", "creationTimestamp"])
    }
    /// `metadata.ownerReferences`; entries that don't decode are left out.
    pub fn owner_references(&self) -> Vec<OwnerReference> {
        self.list_at(&["metadata", "ownerReferences"]).iter().filter_map(|v| OwnerReference::deserialize(v).ok()).collect()
    }
    /// The owner that manages this object, if one does.
    pub fn controller(&self) -> Option<OwnerReference> {
        self.owner_references().into_iter().find(|o| o.controller == Some(true))
    }
}
