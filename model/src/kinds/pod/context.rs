//! What the rules of a part of a pod need to know of the whole.
use std::collections::HashSet;

/// Whose spec it is. Some rules hold for pods only: a template may be wrong in that as long as no pod is made of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A pod.
    Pod,
    /// A template of pods.
    Template,
}

/// What the rules of a container need to know of its pod.
pub(super) struct Within<'a> {
    /// The volumes that mounts may name.
    pub(super) volumes: HashSet<&'a str>,
    /// The pod's grace period.
    pub(super) grace: Option<i64>,
    /// Whether what ended stays ended.
    pub(super) never_restarts: bool,
    /// Whether the pod has its node's users.
    pub(super) host_users: bool,
    pub(super) owner: Owner,
}
