//! What a container is made from.
use crate::runtime::{Image, PodRef, Sandbox};
use k8s_openapi::api::core::v1::{Container as Spec, Pod};
use std::path::Path;

/// What a container is made from.
pub struct Parts<'a> {
    /// Its pod.
    pub pod: &'a Pod,
    /// The same, in short.
    pub id: PodRef,
    /// Its definition.
    pub container: &'a Spec,
    /// Which run.
    pub attempt: u32,
    /// Its pod's sandbox.
    pub sandbox: &'a Sandbox,
    /// Its image.
    pub image: &'a Image,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// Its pod's directory.
    pub dir: &'a Path,
    /// Bytes of memory of the node.
    pub memory: i64,
}
