//! What a pod's actor is told.
use crate::executor::OpOutcome;
use crate::pod::Slot;
use crate::runtime::Container;
use k8s_openapi::api::core::v1::PodStatus;
use model::{ApiError, Stored};
use std::sync::Arc;

/// What a pod's actor is told.
#[derive(Debug)]
pub enum Message {
    /// The object changed, or is gone: see [`super::Wanted`].
    Changed,
    /// The runtime says that something happened to a run.
    Event(crate::runtime::Event),
    /// Something is due.
    Wake,
    /// An object that the pod refers to changed.
    Refresh,
    /// An op has ended.
    Done(Slot, OpOutcome),
    /// A run as the runtime sees it now; `None`: it is gone.
    Seen(String, Option<Container>, Option<String>),
    /// The status was written, or not.
    Written(Box<PodStatus>, Result<Arc<Stored>, ApiError>),
    /// Compare with the runtime: events may have been missed.
    Relist,
}
