//! What a controller is: its name, what it reads, what it owns, and one pure function.
use super::item::Item;
use super::plan::{Plan, Write, WriteOp};
use super::resource::Resource;
use super::retries::{self, Retries};
use super::view::View;
use jiff::{SignedDuration, Timestamp};
use model::{Key, Kind};
use serde_json::Value;
use state_client::usage::NodeUsage;

/// A controller. It decides; it does nothing.
pub trait Controller: Send + 'static {
    /// As events name their source: `deployment-controller`.
    fn name(&self) -> &'static str;
    /// What it reads, and which keys a change of it concerns.
    fn inputs(&self) -> Vec<Input>;
    /// What it reads of a custom resource, whose definition came after the runtime started.
    fn custom_input(&self, _kind: &Kind) -> Option<Input> {
        None
    }
    /// Which keys are concerned by what a node says that it and its pods use.
    fn used(&self, _view: &View, _said: &NodeUsage) -> Vec<Key> {
        Vec::new()
    }
    /// What it writes. Anything else that it plans is refused.
    fn outputs(&self) -> Vec<Output>;
    /// What is to be done for `key`. Deterministic: the same arguments give the same plan.
    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan;
}

/// When a plan is made, and what is known besides the view.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Now.
    pub now: Timestamp,
    /// Since when the runtime's own heartbeats have come back without a gap; `None` while they don't. Who judges others by
    /// their silence waits for their grace period from here: until then the silence may be our own.
    pub heard_since: Option<Timestamp>,
    /// What failed of this key's last plan.
    pub failed: &'a [Failure],
    /// What this key's plans have tried again and again.
    pub retries: &'a Retries,
    /// What plans of this key kept for this one.
    pub kept: Option<&'a Value>,
}

impl Moment<'_> {
    /// A moment of someone who hears well and whose last plan went well.
    pub fn at(now: Timestamp) -> Self {
        Self { now, heard_since: Some(Timestamp::MIN), failed: &[], retries: &retries::NONE, kept: None }
    }
    /// When silence since `last` is `grace` long, counted from when we could hear; `None` while we can't.
    pub fn silent_at(&self, last: Timestamp, grace: SignedDuration) -> Option<Timestamp> {
        Some(super::queue::later(self.heard_since?.max(last), grace))
    }
}

/// A write that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Of which object.
    pub key: Key,
    /// Whether it was a creation.
    pub create: bool,
    /// Why.
    pub error: model::ApiError,
}

/// A change of the view.
#[derive(Clone, Copy, Debug)]
pub struct ViewChange<'a> {
    /// Before; `None` when it is new.
    pub old: Option<&'a Item>,
    /// Now; `None` when it is gone.
    pub new: Option<&'a Item>,
}

impl<'a> ViewChange<'a> {
    /// The object as it is, or was last.
    pub fn item(&self) -> Option<&'a Item> {
        self.new.or(self.old)
    }
    /// The object before and now.
    pub fn both(&self) -> impl Iterator<Item = &'a Item> + use<'a> {
        self.old.into_iter().chain(self.new)
    }
}

/// Which keys a change concerns; pure.
pub type Mapping = Box<dyn Fn(&View, ViewChange<'_>) -> Vec<Key> + Send>;

/// A resource that a controller reads.
pub struct Input {
    /// Which.
    pub resource: Resource,
    /// Which keys its changes concern.
    pub keys: Mapping,
}

impl Input {
    /// Changes concern the keys that `keys` says.
    pub fn new(resource: Resource, keys: impl Fn(&View, ViewChange<'_>) -> Vec<Key> + Send + 'static) -> Self {
        Self { resource, keys: Box::new(keys) }
    }
    /// Changes concern the object itself.
    pub fn itself(resource: Resource) -> Self {
        Self::new(resource, |_, change| change.item().map(|i| i.key().clone()).into_iter().collect())
    }
    /// Changes concern nobody: the plan reads it when it is made for other reasons.
    pub fn silent(resource: Resource) -> Self {
        Self::new(resource, |_, _| Vec::new())
    }
    /// Changes concern the object's controller, if that is of `owner`, before and after.
    pub fn controlled(resource: Resource, owner: Resource) -> Self {
        Self::new(resource, move |view, change| change.both().filter_map(|item| controller_key(view, item, &owner)).collect())
    }
}

/// The key of the item's controller, if it is of this resource.
pub fn controller_key(view: &View, item: &Item, owner: &Resource) -> Option<Key> {
    let reference = item.controller()?;
    let kind = view.kinds().of(&reference.api_version, &reference.kind)?;
    (*kind.group == *owner.group && *kind.resource == *owner.name).then(|| owner.key(item.namespace(), &reference.name))
}

/// A part of the objects of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Their existence and all of their main part.
    Whole,
    /// A portion of their main part.
    Portion,
    /// `status`, or a portion of it.
    Status,
    /// Their end.
    End,
    /// How many replicas they have, through `scale`.
    Scale,
}

/// What a controller writes. Two controllers with the same output are refused at start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Output {
    /// Of which resource.
    pub resource: Resource,
    /// Which part of its objects.
    pub part: Part,
    /// Of which of its objects, or which portion: `of ReplicaSets`, `taints`. Part of the output's identity.
    pub which: &'static str,
}

impl Output {
    /// An output.
    pub const fn new(resource: Resource, part: Part, which: &'static str) -> Self {
        Self { resource, part, which }
    }
    /// Whether a write is within this output.
    pub fn permits(&self, write: &Write) -> bool {
        let part = match &write.op {
            WriteOp::Create(_) => self.part == Part::Whole,
            WriteOp::Patch { subresource: "", .. } => matches!(self.part, Part::Whole | Part::Portion),
            WriteOp::Patch { subresource: "status", .. } => self.part == Part::Status,
            WriteOp::Patch { subresource: "scale", .. } => self.part == Part::Scale,
            WriteOp::Patch { .. } => false,
            WriteOp::Replace { .. } => matches!(self.part, Part::Portion | Part::End),
            WriteOp::Delete { .. } | WriteOp::DeleteAll => matches!(self.part, Part::Whole | Part::End),
        };
        part && self.resource.covers(&Resource::of_key(&write.key))
    }
}
