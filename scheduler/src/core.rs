//! The state of the scheduler as one value without I/O: it takes changes and outcomes, and returns what is to be written. The time is an argument.
use crate::events::Note;
use crate::node::{NodeInfo, ParseError};
use crate::pod::{self, PodClass, PodInfo};
use crate::queue::Queue;
use crate::schedule::{Decision, Outcome};
use crate::snapshot::Snapshot;
use crate::wake::Wake;
use jiff::Timestamp;
use model::time::format;
use model::{ApiError, Object, Stored};
use serde_json::json;
use state_client::{Body, Change, PatchKind, Request, Verb};
use std::sync::Arc;

/// A pod's binding and what became of it.
#[derive(Debug)]
pub struct BindingResult {
    /// Which pod.
    pub pod: Arc<PodInfo>,
    /// To which node.
    pub node: Arc<str>,
    /// Whether it was written.
    pub result: Result<(), ApiError>,
}

/// What decisions come to.
#[derive(Debug, Default)]
pub struct SchedulerOutput {
    /// Pods and the nodes that they are to be bound to: see [`binding`].
    pub bindings: Vec<(Arc<PodInfo>, Arc<str>)>,
    /// Writes of pods' conditions.
    pub refusals: Vec<Request>,
}

/// All that the scheduler knows.
#[derive(Default)]
pub struct SchedulerCore {
    snapshot: Snapshot,
    queue: Queue,
    seed: u64,
    /// Shared by the next pod if it is alike, as pods of one template come together.
    class: Option<Arc<PodClass>>,
    notes: Vec<Note>,
}

impl SchedulerCore {
    /// An empty one; `seed` tells equal nodes apart.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Whether pods can be tried.
    pub fn is_ready(&self) -> bool {
        self.queue.is_ready()
    }

    /// When the next pod can be tried again.
    pub fn next(&self) -> Option<Timestamp> {
        self.queue.next()
    }

    /// Lets those be tried whose time has come.
    pub fn move_due(&mut self, now: Timestamp) {
        self.queue.ripen(now);
    }

    /// What is to be told since the last call.
    pub fn notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Changes of nodes, pods and namespaces, as watches show them.
    pub fn apply(&mut self, changes: Vec<Change>, now: Timestamp) {
        let wake = changes.into_iter().fold(Wake::NONE, |all, change| all | self.one(change, now));
        if wake != Wake::NONE {
            self.queue.wake(wake, now);
        }
    }

    fn one(&mut self, change: Change, now: Timestamp) -> Wake {
        let resource = match &change {
            Change::Applied { new, .. } => new.key.resource.clone(),
            Change::Deleted(last) => last.key.resource.clone(),
            Change::Synced => return Wake::NONE,
        };
        match &*resource {
            "namespaces" => self.apply_namespace(change),
            "nodes" => self.apply_node(change),
            _ => self.apply_pod(change, now),
        }
    }

    fn apply_namespace(&mut self, change: Change) -> Wake {
        match change {
            Change::Applied { new, .. } => {
                let labels = new.object().labels().into_iter().flatten();
                let labels = labels.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect();
                self.snapshot.apply_namespace(&new.key.name, labels)
            }
            Change::Deleted(last) => {
                self.snapshot.remove_namespace(&last.key.name);
                Wake::NONE
            }
            Change::Synced => Wake::NONE,
        }
    }

    fn apply_node(&mut self, change: Change) -> Wake {
        match change {
            Change::Applied { new, .. } => parsed(&new, NodeInfo::parse(&new)).map_or(Wake::NONE, |info| self.snapshot.apply_node(&new.key.name, info)),
            Change::Deleted(last) => self.snapshot.remove_node(&last.key.name),
            Change::Synced => Wake::NONE,
        }
    }

    fn apply_pod(&mut self, change: Change, now: Timestamp) -> Wake {
        match change {
            Change::Applied { old, new } => {
                let Some(pod) = parsed(&new, PodInfo::parse(&new)) else { return Wake::NONE };
                let replaced = old.and_then(|old| pod::uid(&old)).filter(|uid| *uid != pod.uid);
                let gone = replaced.map_or(Wake::NONE, |uid| self.remove_pod(&uid));
                gone | self.upsert_pod(pod, now)
            }
            Change::Deleted(last) => pod::uid(&last).map_or(Wake::NONE, |uid| self.remove_pod(&uid)),
            Change::Synced => Wake::NONE,
        }
    }

    fn upsert_pod(&mut self, mut pod: PodInfo, now: Timestamp) -> Wake {
        match &self.class {
            Some(class) if *class == pod.class => pod.class = class.clone(),
            _ => self.class = Some(pod.class.clone()),
        }
        let wake = self.snapshot.apply_pod(&pod);
        if pod.node.is_some() || pod.finished || pod.class.terminating || !pod.ours {
            self.leave_queue(&pod.uid);
        } else {
            self.queue.upsert(Arc::new(pod), now);
        }
        wake
    }

    fn remove_pod(&mut self, uid: &Arc<str>) -> Wake {
        self.leave_queue(uid);
        self.snapshot.remove_pod(uid)
    }

    fn leave_queue(&mut self, uid: &Arc<str>) {
        self.queue.remove(uid);
    }

    /// The pods whose turn it is, at most `limit`, and what is to be passed to [`crate::schedule()`] with them. The snapshot comes back by [`Desk::decided`].
    pub fn take(&mut self, limit: usize, now: Timestamp) -> (Snapshot, Vec<Arc<PodInfo>>, u64) {
        let pods = self.queue.take(limit, now);
        self.seed = self.seed.wrapping_add(1);
        (std::mem::take(&mut self.snapshot), pods, self.seed)
    }

    /// What was decided over the snapshot.
    pub fn decided(&mut self, snapshot: Snapshot, decisions: Vec<Decision>, now: Timestamp) -> SchedulerOutput {
        self.snapshot = snapshot;
        let mut orders = SchedulerOutput::default();
        for Decision { pod, outcome } in decisions {
            match outcome {
                Outcome::Bind(node) => orders.bindings.push((pod, node)),
                Outcome::Unschedulable(diagnosis) => {
                    self.queue.failed(&pod.uid, diagnosis.wakes, now);
                    orders.refusals.extend(self.refuse(pod, diagnosis.message(), now));
                }
            }
        }
        orders
    }

    /// The event of a refusal, and the write of the pod's condition unless it says so already.
    fn refuse(&mut self, pod: Arc<PodInfo>, message: String, now: Timestamp) -> Option<Request> {
        let tail = if pod.never_preempts { " preemption: not eligible due to preemptionPolicy=Never." } else { "" };
        let message: Arc<str> = format!("{message}{tail}").into();
        let patch = (pod.refusal.as_ref() != Some(&message)).then(|| refusal(&pod, &message, now));
        self.notes.push(Note::Refused(pod, message));
        patch
    }

    /// What became of bindings: those that weren't written are tried again.
    pub fn written(&mut self, written: Vec<BindingResult>, now: Timestamp) {
        let mut wake = Wake::NONE;
        for BindingResult { pod, node, result } in written {
            let Err(error) = result else {
                self.notes.push(Note::Scheduled(pod, node));
                continue;
            };
            tracing::debug!(pod = %pod.name, namespace = %pod.namespace, %node, %error, "a binding was not written");
            wake |= self.snapshot.forget(&pod.uid);
            if error.is_not_found() {
                self.leave_queue(&pod.uid);
            } else {
                self.queue.retry(&pod.uid, now);
            }
        }
        self.queue.wake(wake, now);
    }
}

/// An object that doesn't decode is left out, with a word about it.
fn parsed<T>(stored: &Stored, result: Result<T, ParseError>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!(object = ?stored, %error, "left out of the snapshot")).ok()
}

/// The request that binds a pod to a node.
pub fn binding(pod: &PodInfo, node: &str) -> Request {
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding",
        "metadata": {"name": &*pod.name, "namespace": &*pod.namespace, "uid": &*pod.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    let object = Object::from_value(binding).unwrap_or_default();
    Request::new(Verb::Create, "", "pods", &pod.namespace, &pod.name).subresource("binding").body(Body::Object(Box::new(object)))
}

/// The condition `PodScheduled=False`; its time of transition is set when it becomes so, not when only the message changes.
fn refusal(pod: &PodInfo, message: &str, now: Timestamp) -> Request {
    let mut condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
    if pod.refusal.is_none() {
        condition["lastTransitionTime"] = format(now).into();
    }
    let patch = json!({"metadata": {"uid": &*pod.uid}, "status": {"conditions": [condition]}});
    let request = Request::new(Verb::Patch, "", "pods", &pod.namespace, &pod.name).subresource("status");
    request.body(Body::Patch(PatchKind::Strategic, patch.to_string().into()))
}
