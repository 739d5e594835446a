//! Events about pods and the node: written in the background, repeated ones counted instead of written again.
use crate::logs::beginning;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container as Spec, Pod};
use model::Object;
use serde_json::{Value, json};
use state_client::Client;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
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
    /// A node; its UID is its name, as the kubelet has it.
    pub fn node(name: &str) -> Self {
        Self { kind: "Node", namespace: String::new(), name: name.to_owned(), uid: name.to_owned(), field: String::new() }
    }
    /// One of the pod's containers.
    fn of(mut self, pod: &Pod, c: &Spec) -> Self {
        let list = if crate::pod::inits(pod).iter().any(|i| i.name == c.name) { "initContainers" } else { "containers" };
        self.field = format!("spec.{list}{{{}}}", c.name);
        self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RecordedEvent {
    subject: Subject,
    warning: bool,
    reason: Cow<'static, str>,
    message: String,
}

/// Where events are left. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    notes: Option<mpsc::Sender<RecordedEvent>>,
}

/// The most of an event's message; probes say 10 KiB at most.
const MESSAGE_MAX: usize = 12 << 10;
/// Events that may wait; when the cluster can't be reached for long, more are dropped.
const WAITING: usize = 1024;

impl Recorder {
    /// A recorder and what writes its events: run it.
    pub fn new(client: Client, node: String) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, notes) = mpsc::channel(WAITING);
        (Self { notes: Some(sender) }, write(client, node, notes))
    }

    /// One that forgets everything.
    pub fn silent() -> Self {
        Self { notes: None }
    }

    fn record(&self, subject: Subject, warning: bool, reason: Cow<'static, str>, message: &str) {
        let Some(notes) = &self.notes else { return };
        let message = beginning(message, MESSAGE_MAX).to_owned();
        if notes.try_send(RecordedEvent { subject, warning, reason, message }).is_err() {
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

struct Written {
    name: String,
    count: u32,
}

/// How many events are remembered for counting.
const REMEMBERED: usize = 1024;

async fn write(client: Client, node: String, mut notes: mpsc::Receiver<RecordedEvent>) {
    let mut written: HashMap<u64, Written> = HashMap::new();
    while let Some(note) = notes.recv().await {
        let mut hasher = DefaultHasher::new();
        note.hash(&mut hasher);
        let hash = hasher.finish();
        let now = Timestamp::now();
        if let Some(before) = written.get_mut(&hash) {
            before.count = before.count.saturating_add(1);
            let patch = json!({"count": before.count, "lastTimestamp": seconds(now)});
            match client.merge("", "events", "", namespace(&note.subject), &before.name, &patch).await {
                Ok(_) => continue,
                Err(e) if e.is_not_found() => {}
                Err(error) => {
                    tracing::debug!(%error, "an event was not counted");
                    continue;
                }
            }
        }
        let name = format!("{}.{:x}{:04x}", note.subject.name, now.as_microsecond(), hash & 0xffff);
        match Object::from_value(event(&note, &name, &node, now)) {
            Ok(object) => match client.create("", "events", namespace(&note.subject), object).await {
                Ok(_) => {
                    if written.len() >= REMEMBERED {
                        written.clear();
                    }
                    written.insert(hash, Written { name, count: 1 });
                }
                Err(error) => tracing::debug!(%error, reason = &*note.reason, "an event was not written"),
            },
            Err(error) => tracing::debug!(%error, "an event is no object"),
        }
    }
}

fn seconds(t: Timestamp) -> String {
    t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Events about nodes live in `default`.
fn namespace(subject: &Subject) -> &str {
    if subject.namespace.is_empty() { "default" } else { &subject.namespace }
}

fn event(note: &RecordedEvent, name: &str, node: &str, now: Timestamp) -> Value {
    let s = &note.subject;
    let mut involved = json!({"kind": s.kind, "apiVersion": "v1", "name": s.name, "uid": s.uid});
    if !s.namespace.is_empty() {
        involved["namespace"] = json!(s.namespace);
    }
    if !s.field.is_empty() {
        involved["fieldPath"] = json!(s.field);
    }
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": name, "namespace": namespace(s)},
        "involvedObject": involved, "reason": note.reason, "message": note.message,
        "type": if note.warning { "Warning" } else { "Normal" },
        "source": {"component": "kubelet", "host": node}, "reportingComponent": "kubelet", "reportingInstance": node,
        "firstTimestamp": seconds(now), "lastTimestamp": seconds(now), "count": 1,
    })
}
