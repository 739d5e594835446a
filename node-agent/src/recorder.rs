//! Events about pods and the node: written in the background, repeated ones counted instead of written again.
use crate::logs::beginning;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as Spec, Pod};
use serde_json::{Value, json};
use state_client::Client;
use state_client::events::{EventCorrelator, EventRecord, Source};
use std::borrow::Cow;
use tokio::sync::mpsc;

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    kind: &'static str,
    namespace: String,
    name: String,
    uid: String,
    field: String,
}

impl Subject {
    /// A pod.
    pub fn pod(pod: &Pod) -> Self {
        let text = |s: &Option<String>| s.clone().unwrap_or_default();
        Self { kind: "Pod", namespace: text(&pod.metadata.namespace), name: text(&pod.metadata.name), uid: text(&pod.metadata.uid), field: String::new() }
    }
    /// A Service.
    pub fn service(namespace: &str, name: &str, uid: &str) -> Self {
        Self { kind: "Service", namespace: namespace.to_owned(), name: name.to_owned(), uid: uid.to_owned(), field: String::new() }
    }
    /// A volume.
    pub fn volume(name: &str, uid: &str) -> Self {
        Self { kind: "PersistentVolume", namespace: String::new(), name: name.to_owned(), uid: uid.to_owned(), field: String::new() }
    }
    /// A node; its UID is its name, as the kubelet has it.
    pub fn node(name: &str) -> Self {
        Self { kind: "Node", namespace: String::new(), name: name.to_owned(), uid: name.to_owned(), field: String::new() }
    }
    /// One of the pod's containers.
    fn of(mut self, pod: &Pod, c: &Spec) -> Self {
        let list = match &c.name {
            name if crate::pod::inits(pod).iter().any(|i| i.name == *name) => "initContainers",
            name if crate::pod::ephemerals(pod).iter().any(|e| e.name == *name) => "ephemeralContainers",
            _ => "containers",
        };
        self.field = format!("spec.{list}{{{}}}", c.name);
        self
    }
    /// `v1.ObjectReference`.
    fn reference(&self) -> Value {
        let mut reference = json!({"kind": self.kind, "apiVersion": "v1", "name": self.name, "uid": self.uid});
        for (field, text) in [("namespace", &self.namespace), ("fieldPath", &self.field)] {
            if !text.is_empty() {
                reference[field] = json!(text);
            }
        }
        reference
    }
}

/// Where events are left. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    records: Option<mpsc::Sender<EventRecord>>,
}

/// The most of an event's message; probes say 10 KiB at most.
const MESSAGE_MAX: usize = 12 << 10;
/// Events that may wait; when the cluster can't be reached for long, more are dropped.
const WAITING: usize = 1024;

impl Recorder {
    /// A recorder and what writes its events: run it.
    pub fn new(client: Client, node: String) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, records) = mpsc::channel(WAITING);
        (Self { records: Some(sender) }, write(client, node, records))
    }

    /// One that forgets everything.
    pub fn silent() -> Self {
        Self { records: None }
    }

    fn record(&self, subject: Subject, warning: bool, reason: Cow<'static, str>, message: &str) {
        let Some(records) = &self.records else { return };
        let message = beginning(message, MESSAGE_MAX).to_owned();
        if records.try_send(EventRecord { about: subject.reference(), warning, reason, message }).is_err() {
            tracing::debug!("an event was dropped");
        }
    }

    /// A `Normal` event about a pod or the node.
    pub fn normal(&self, subject: &Subject, reason: &'static str, message: &str) {
        self.record(subject.clone(), false, reason.into(), message);
    }
    /// A `Warning` event about a pod or the node.
    pub fn warning(&self, subject: &Subject, reason: impl Into<Cow<'static, str>>, message: &str) {
        self.record(subject.clone(), true, reason.into(), message);
    }
    /// A `Normal` event about a container of the pod.
    pub fn container(&self, pod: &Pod, c: &Spec, reason: &'static str, message: &str) {
        self.record(Subject::pod(pod).of(pod, c), false, reason.into(), message);
    }
    /// A `Warning` event about a container of the pod.
    pub fn container_warning(&self, pod: &Pod, c: &Spec, reason: &'static str, message: &str) {
        self.record(Subject::pod(pod).of(pod, c), true, reason.into(), message);
    }
}

async fn write(client: Client, node: String, mut records: mpsc::Receiver<EventRecord>) {
    let mut correlator = EventCorrelator::default();
    let source = Source { component: "kubelet", host: &node };
    while let Some(record) = records.recv().await {
        // an event that was to be counted up may have gone since: then it is a new one
        for _ in 0..2 {
            let Some(event) = correlator.record(source, &record, Timestamp::now()) else { break };
            let counted = event.counted().cloned();
            let Err(error) = client.call(event.request()).await else { break };
            match counted {
                Some(key) if error.is_not_found() => correlator.forget(&key),
                _ => {
                    tracing::debug!(%error, reason = &*record.reason, "an event was not written");
                    break;
                }
            }
        }
    }
}
