//! One object of the view: its JSON, which is shared, its decoded metadata, and the one decoded part that controllers read.
use super::labels::Labels;
use jiff::Timestamp;
use model::placement::labels::Labelled;
use model::{ApiError, Key, Object, OwnerReference, Stored};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What every controller reads of every object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`.
    pub creation_timestamp: Option<Timestamp>,
    /// `metadata.deletionTimestamp`.
    pub deletion_timestamp: Option<Timestamp>,
    /// `metadata.labels`.
    pub labels: Option<Labels>,
    /// `metadata.finalizers`.
    pub finalizers: Option<Box<[String]>>,
    /// `metadata.ownerReferences`.
    pub owner_references: Option<Arc<[OwnerReference]>>,
}

/// An object of the view at one revision.
pub struct Item {
    /// The object as it came.
    pub stored: Arc<Stored>,
    /// Its metadata.
    pub meta: Meta,
    /// When the view was shown this revision, by the local clock: silence is measured from here, never from what a remote clock wrote.
    pub seen_at: Timestamp,
    part: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Item {
    /// From what a watch showed at `seen_at`. Metadata that doesn't decode counts as empty: such an object is nobody's.
    pub fn new(stored: Arc<Stored>, seen_at: Timestamp) -> Self {
        let meta = stored.metadata().unwrap_or_else(|error| {
            tracing::warn!(key = %stored.key, %error, "metadata does not decode");
            Meta::default()
        });
        Self { stored: stored.light(), meta, seen_at, part: OnceLock::new() }
    }

    /// With what is the same in both kept once: pods of one template share their labels and owners.
    #[must_use]
    pub fn like(mut self, other: &Self) -> Self {
        if self.meta.labels == other.meta.labels {
            self.meta.labels.clone_from(&other.meta.labels);
        }
        if self.meta.owner_references == other.meta.owner_references {
            self.meta.owner_references.clone_from(&other.meta.owner_references);
        }
        self
    }

    /// Which object.
    pub fn key(&self) -> &Key {
        &self.stored.key
    }
    /// Its name.
    pub fn name(&self) -> &str {
        &self.stored.key.name
    }
    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.stored.key.namespace
    }
    /// Its UID.
    pub fn uid(&self) -> &str {
        &self.meta.uid
    }
    /// Its revision.
    pub fn revision(&self) -> u64 {
        self.stored.revision
    }
    /// The whole object, parsed, and kept so: for kinds of which there are few.
    pub fn object(&self) -> &Object {
        self.stored.object()
    }
    /// Reads the whole object, and keeps nothing of what is parsed for it: for kinds of which there are many.
    pub fn read<R>(&self, read: impl FnOnce(&Object) -> R) -> R {
        self.stored.read(read)
    }
    /// Whether it is being deleted.
    pub fn deleting(&self) -> bool {
        self.meta.deletion_timestamp.is_some()
    }
    /// Its labels.
    pub fn labels(&self) -> Option<&Labels> {
        self.meta.labels.as_ref()
    }
    /// One label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels()?.get(key)
    }
    /// Its owners.
    pub fn owners(&self) -> &[OwnerReference] {
        self.meta.owner_references.as_deref().unwrap_or_default()
    }
    /// The owner that manages it.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owners().iter().find(|o| o.controller == Some(true))
    }
    /// Whether `uid` is the controller.
    pub fn controlled_by(&self, uid: &str) -> bool {
        self.controller().is_some_and(|c| c.uid == uid)
    }
    /// Whether it has this finalizer.
    pub fn has_finalizer(&self, name: &str) -> bool {
        self.meta.finalizers.iter().flatten().any(|f| f == name)
    }

    /// The part of it that `T` names, decoded once for all who ask for the same `T`.
    ///
    /// # Errors
    /// 400 when a field has the wrong type.
    pub fn part<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>, ApiError> {
        let decode = || serde_json::from_slice(self.stored.json()).map(Arc::new).map_err(|e| ApiError::bad_request(format!("{}: {e}", self.stored.key)));
        if let Some(any) = self.part.get() {
            return any.clone().downcast::<T>().or_else(|_| decode());
        }
        let part: Arc<T> = decode()?;
        // when two threads decode at once, either result serves
        self.part.get_or_init(|| part.clone());
        Ok(part)
    }
}

impl Labelled for Item {
    fn label(&self, key: &str) -> Option<&str> {
        self.label(key)
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stored.fmt(f)
    }
}
