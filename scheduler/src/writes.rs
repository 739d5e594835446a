//! What plug-ins have written before a pod is bound, and how far that is.
use serde_json::Value;
use state_client::{Body, PatchKind, Request, Verb};
use std::sync::Arc;

/// A write: a merge patch of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The resource, of the core group.
    pub resource: &'static str,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The patch.
    pub patch: Value,
}

impl Write {
    /// It as a request.
    pub fn request(&self) -> Request {
        let request = Request::new(Verb::Patch, "", self.resource, &self.namespace, &self.name);
        request.body(Body::Patch(PatchKind::Merge, self.patch.to_string().into()))
    }
}

/// How far something that was reserved is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The pod can be bound.
    Done,
    /// Something has to happen first.
    Waiting,
    /// It won't be: the pod needs another node.
    Failed(String),
}
