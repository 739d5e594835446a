//! Plans: what a controller wants done, as data. The runtime carries them out and makes no choice of its own.
use super::item::Item;
use super::resource::Resource;
use jiff::Timestamp;
use model::{Key, Object};
use serde_json::{Value, json};
use state_client::events::EventRecord;
use state_client::metrics::MetricQuery;
use state_client::{PatchKind, Propagation};
use std::borrow::Cow;
use std::fmt;

/// What is to be done for one key. Writes are independent of each other: they travel together, and none waits for another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Changes.
    pub writes: Vec<Write>,
    /// What is to be told about it whatever comes of the writes.
    pub events: Vec<EventRecord>,
    /// When to look again even if nothing changes.
    pub requeue_at: Option<Timestamp>,
    /// What is tried with this plan that has been in vain before: when it may be tried again, [`super::Retries`] tells the next plans.
    pub retries: Vec<String>,
    /// What is to be asked of sources of metrics. The key is planned again with the answers.
    pub asks: Vec<MetricQuery>,
    /// What the next plan of this key is to know of this one, beside what the view shows; `null` for nothing. `None` leaves what there was. It is lost
    /// when the runtime begins anew.
    pub keep: Option<Value>,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Of which object; without a name where `state` generates one.
    pub key: Key,
    /// What change.
    pub op: WriteOp,
    /// Asked of `state` just before; where one doesn't hold, the write is left out and the key planned again later.
    pub guards: Vec<Guard>,
    /// What is to be told about its outcome.
    pub says: Option<Says>,
    /// What else is to be told once it is done.
    pub tells: Vec<EventRecord>,
}

/// Kinds of changes.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteOp {
    /// A new object.
    Create(Box<Object>),
    /// A part of the object, or of its subresource.
    Patch {
        /// `""` for the main resource.
        subresource: &'static str,
        /// How the patch is meant.
        kind: PatchKind,
        /// The patch. `metadata.uid` in it makes it fail on a namesake.
        patch: Value,
    },
    /// The whole object, through a subresource that takes it whole.
    Replace {
        /// Such as `finalize`.
        subresource: &'static str,
        /// The object with its `resourceVersion`.
        object: Box<Object>,
    },
    /// The end of the object.
    Delete {
        /// Only if it has this UID.
        uid: String,
        /// Only if it is at this revision; 0: at any.
        revision: u64,
        /// What is with its dependents; the kind's default where `None`.
        propagation: Option<Propagation>,
        /// Seconds of grace; the object's own where `None`.
        grace: Option<i64>,
    },
    /// The end of all objects of the key's resource and namespace, for resources that aren't watched.
    DeleteAll,
}

/// What must be true at `state` for a write to be carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Guard {
    /// No object of this key with this UID (with any, where `""`).
    Absent {
        /// Which object.
        key: Key,
        /// With which UID.
        uid: String,
    },
    /// No object of this resource in this namespace.
    Empty {
        /// Which resource.
        resource: Resource,
        /// Where.
        namespace: String,
    },
}

/// Events about the outcome of a write.
#[derive(Clone, Debug, PartialEq)]
pub struct Says {
    /// About which object: `v1.ObjectReference`.
    pub about: Value,
    /// Reason, and what is told, with the object's name for `{}`.
    pub done: Option<Words>,
    /// Reason, and what is told, with the error for `{}`.
    pub failed: Option<Words>,
}

/// A reason, and what is told with it.
pub type Words = (&'static str, Cow<'static, str>);

/// An event about an object.
pub fn record(item: &Item, warning: bool, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> EventRecord {
    EventRecord { about: about(item), warning, reason: reason.into(), message: message.into() }
}

/// The reference to an object that events carry.
pub fn about(item: &Item) -> Value {
    let (version, kind) = item.read(|object| (object.api_version().to_owned(), object.kind().to_owned()));
    let mut reference = json!({
        "apiVersion": version, "kind": kind, "name": item.name(),
        "uid": item.uid(), "resourceVersion": item.revision().to_string(),
    });
    if !item.namespace().is_empty() {
        reference["namespace"] = json!(item.namespace());
    }
    reference
}

impl Plan {
    /// Nothing to do.
    pub fn nothing() -> Self {
        Self::default()
    }
    /// Whether there is nothing to write or tell.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty()
    }
    /// Asks to be planned again at `at`, or earlier where an earlier time is asked for already.
    pub fn look_again(&mut self, at: Timestamp) {
        self.requeue_at = Some(self.requeue_at.map_or(at, |t| t.min(at)));
    }
    /// Adds a write.
    pub fn write(&mut self, key: Key, op: WriteOp) -> &mut Write {
        self.writes.push_mut(Write { key, op, guards: Vec::new(), says: None, tells: Vec::new() })
    }
    /// Adds a new object.
    pub fn create(&mut self, resource: &Resource, object: Object) -> &mut Write {
        self.write(resource.key(object.namespace(), object.name()), WriteOp::Create(Box::new(object)))
    }
    /// Adds a merge patch of an object, or of one of its subresources, that fails on a namesake.
    pub fn merge(&mut self, item: &Item, subresource: &'static str, mut patch: Value) -> &mut Write {
        patch["metadata"]["uid"] = json!(item.uid());
        self.write(item.key().clone(), WriteOp::Patch { subresource, kind: PatchKind::Merge, patch })
    }
    /// Adds a merge patch that fails unless the object is still as the view shows it.
    pub fn merge_as_seen(&mut self, item: &Item, subresource: &'static str, mut patch: Value) -> &mut Write {
        patch["metadata"]["resourceVersion"] = json!(item.revision().to_string());
        self.merge(item, subresource, patch)
    }
    /// Adds the deletion of this very object.
    pub fn delete(&mut self, item: &Item) -> &mut Write {
        self.write(item.key().clone(), WriteOp::Delete { uid: item.uid().to_owned(), revision: 0, propagation: None, grace: None })
    }
    /// Takes a finalizer off this very object, whatever others it has.
    pub fn drop_finalizer(&mut self, item: &Item, finalizer: &str) -> &mut Write {
        let patch = json!({"metadata": {"uid": item.uid(), "$deleteFromPrimitiveList/finalizers": [finalizer]}});
        self.write(item.key().clone(), WriteOp::Patch { subresource: "", kind: PatchKind::Strategic, patch })
    }
    /// Adds an event about an object.
    pub fn tell(&mut self, item: &Item, reason: &'static str, message: impl Into<String>) {
        self.events.push(record(item, false, reason, message));
    }
    /// Adds a warning about an object.
    pub fn warn(&mut self, item: &Item, reason: &'static str, message: impl Into<String>) {
        self.events.push(record(item, true, reason, message));
    }
}

impl Write {
    /// Only if `guard` holds.
    pub fn guard(&mut self, guard: Guard) -> &mut Self {
        self.guards.push(guard);
        self
    }
    /// With events of which there is word once it is done.
    pub fn tells(&mut self, events: Vec<EventRecord>) -> &mut Self {
        self.tells.extend(events);
        self
    }
    /// With events about its outcome: each a reason, and what is told. `{}` in it stands for the name of the object or for the error.
    pub fn says<T: Into<Cow<'static, str>>>(&mut self, item: &Item, done: (&'static str, T), failed: (&'static str, T)) -> &mut Self {
        self.says_failure(item, failed);
        if let Some(says) = &mut self.says {
            says.done = Some((done.0, done.1.into()));
        }
        self
    }
    /// With an event where it fails.
    pub fn says_failure(&mut self, item: &Item, failed: (&'static str, impl Into<Cow<'static, str>>)) -> &mut Self {
        self.says = Some(Says { about: about(item), done: None, failed: Some((failed.0, failed.1.into())) });
        self
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() && self.requeue_at.is_none() {
            return writeln!(f, "nothing");
        }
        for write in &self.writes {
            writeln!(f, "{write}")?;
        }
        for note in &self.events {
            writeln!(
                f,
                "{} {} {}: {}",
                if note.warning { "warn" } else { "tell" },
                note.about["name"].as_str().unwrap_or_default(),
                note.reason,
                note.message
            )?;
        }
        self.requeue_at.map_or(Ok(()), |at| writeln!(f, "again at {at}"))
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.op {
            WriteOp::Create(object) if key.name.is_empty() => write!(f, "create {key}{}*", object.str_at(&["metadata", "generateName"]))?,
            WriteOp::Create(object) => {
                write!(f, "create {key}")?;
                if let Some(n) = object.int_at(&["spec", "replicas"]) {
                    write!(f, " replicas={n}")?;
                }
            }
            WriteOp::Patch { subresource: "", patch, .. } => write!(f, "patch {key} {patch}")?,
            WriteOp::Patch { subresource, patch, .. } => write!(f, "patch {key}/{subresource} {patch}")?,
            WriteOp::Replace { subresource, .. } => write!(f, "replace {key}/{subresource}")?,
            WriteOp::Delete { grace: None, .. } => write!(f, "delete {key}")?,
            WriteOp::Delete { grace: Some(s), .. } => write!(f, "delete {key} in {s}s")?,
            WriteOp::DeleteAll => write!(f, "delete all {key}")?,
        }
        self.guards.iter().try_for_each(|g| write!(f, " if {g}"))
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent { key, uid } if uid.is_empty() => write!(f, "no {key}"),
            Self::Absent { key, uid } => write!(f, "no {key} ({uid})"),
            Self::Empty { resource, namespace } => write!(f, "no {resource} in {namespace}"),
        }
    }
}
