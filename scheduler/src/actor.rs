//! The loop around [`schedule()`]: three watches keep the snapshot and the queue, all pods that can be tried are decided together, and the
//! decisions are written as batches. What isn't written goes back to the queue. While the bus is gone, nothing comes and nothing is decided.
use crate::events::{Journal, Note};
use crate::node::{NodeInfo, ParseError};
use crate::pod::{self, PodClass, PodInfo};
use crate::queue::Queue;
use crate::schedule::{Decision, Outcome, schedule};
use crate::snapshot::Snapshot;
use crate::wake::Wake;
use bus::Bus;
use jiff::Timestamp;
use model::time::format;
use model::{ApiError, Object, Stored};
use serde_json::json;
use state_client::{Body, Change, Client, PatchKind, Reflector, Request, Verb};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Pods decided at once: some ten milliseconds of work.
const BATCH: usize = 4096;
/// Writes in one message: well below NATS' limit of 1 MiB.
const MESSAGE: usize = 512;
/// Batches being written at once; beyond, pods gather for a greater one.
const WRITING: usize = 4;
/// Notes waiting to be written as events. Beyond, events are dropped: they are for people, pods go first.
const NOTES: usize = 16_384;

/// Why the scheduler has to start anew.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// A part of it panicked.
    #[error("a part of the scheduler failed: {0}")]
    Task(#[from] JoinError),
}

/// Runs the scheduler until `cancel`. Starting anew is always safe: all that it knows comes from `state`.
///
/// # Errors
/// [`SchedulerError`] when a part of it panicked; it is to be started again.
pub async fn run(bus: Bus, cancel: CancellationToken) -> Result<(), SchedulerError> {
    let client = Client::new(bus);
    let (notes, inbox) = mpsc::channel(NOTES);
    let journal = tokio::spawn(write_notes(client.clone(), inbox));
    let worked = Scheduler::new(client, notes).work(cancel).await;
    // the scheduler and with it the sender is gone: the rest is written, then the writer ends
    journal.await?;
    worked
}

/// A pod's binding and what became of it.
struct Written {
    pod: Arc<PodInfo>,
    node: Arc<str>,
    result: Result<(), ApiError>,
}

struct Scheduler {
    client: Client,
    notes: mpsc::Sender<Note>,
    snapshot: Snapshot,
    queue: Queue,
    writing: JoinSet<Vec<Written>>,
    seed: u64,
    /// Shared by the next pod if it is alike, as pods of one template come together.
    class: Option<Arc<PodClass>>,
}

impl Scheduler {
    fn new(client: Client, notes: mpsc::Sender<Note>) -> Self {
        Self { client, notes, snapshot: Snapshot::default(), queue: Queue::default(), writing: JoinSet::new(), seed: rand::random(), class: None }
    }

    async fn work(mut self, cancel: CancellationToken) -> Result<(), SchedulerError> {
        let [mut nodes, mut pods, mut namespaces] = ["nodes", "pods", "namespaces"].map(|r| Reflector::of(self.client.clone(), "", r, ""));
        loop {
            let synced = [&nodes, &pods, &namespaces].iter().all(|r| r.revision().is_some());
            let may_write = synced && self.writing.len() < WRITING;
            if may_write && self.queue.is_ready() {
                self.decide().await?;
                continue;
            }
            let due = if may_write { self.queue.next() } else { None };
            tokio::select! {
                () = cancel.cancelled() => break,
                changes = namespaces.next() => self.apply(changes, Self::apply_namespace),
                changes = nodes.next() => self.apply(changes, Self::apply_node),
                changes = pods.next() => self.apply(changes, Self::apply_pod),
                Some(written) = self.writing.join_next() => self.written(written?),
                () = until(due), if due.is_some() => self.queue.ripen(Timestamp::now()),
            }
        }
        while let Some(written) = self.writing.join_next().await {
            self.written(written?);
        }
        Ok(())
    }

    fn apply(&mut self, changes: Vec<Change>, mut one: impl FnMut(&mut Self, Change) -> Wake) {
        let wake = changes.into_iter().fold(Wake::NONE, |all, change| all | one(self, change));
        if wake != Wake::NONE {
            self.queue.wake(wake, Timestamp::now());
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

    fn apply_pod(&mut self, change: Change) -> Wake {
        match change {
            Change::Applied { old, new } => {
                let Some(pod) = parsed(&new, PodInfo::parse(&new)) else { return Wake::NONE };
                let replaced = old.and_then(|old| pod::uid(&old)).filter(|uid| *uid != pod.uid);
                let gone = replaced.map_or(Wake::NONE, |uid| self.remove_pod(&uid));
                gone | self.upsert_pod(pod)
            }
            Change::Deleted(last) => pod::uid(&last).map_or(Wake::NONE, |uid| self.remove_pod(&uid)),
            Change::Synced => Wake::NONE,
        }
    }

    fn upsert_pod(&mut self, mut pod: PodInfo) -> Wake {
        match &self.class {
            Some(class) if *class == pod.class => pod.class = class.clone(),
            _ => self.class = Some(pod.class.clone()),
        }
        let wake = self.snapshot.apply_pod(&pod);
        if pod.node.is_some() || pod.finished || pod.class.terminating || !pod.ours {
            self.leave_queue(&pod.uid);
        } else {
            self.queue.upsert(Arc::new(pod), Timestamp::now());
        }
        wake
    }

    fn remove_pod(&mut self, uid: &Arc<str>) -> Wake {
        self.leave_queue(uid);
        self.snapshot.remove_pod(uid)
    }

    fn leave_queue(&mut self, uid: &Arc<str>) {
        if self.queue.remove(uid) {
            self.note(Note::Gone(uid.clone()));
        }
    }

    /// Decides for all pods that can be tried. The work is done off the runtime's threads: it may take long on a big cluster.
    async fn decide(&mut self) -> Result<(), SchedulerError> {
        let pods = self.queue.take(BATCH, Timestamp::now());
        self.seed = self.seed.wrapping_add(1);
        let (mut snapshot, seed) = (std::mem::take(&mut self.snapshot), self.seed);
        let decided = tokio::task::spawn_blocking(move || {
            let decisions = schedule(&mut snapshot, &pods, seed);
            (snapshot, decisions)
        });
        let (snapshot, decisions) = decided.await?;
        self.snapshot = snapshot;
        let (mut bindings, mut patches) = (Vec::new(), Vec::new());
        for Decision { pod, outcome } in decisions {
            match outcome {
                Outcome::Bind(node) => bindings.push((pod, node)),
                Outcome::Unschedulable(diagnosis) => {
                    self.queue.failed(&pod.uid, diagnosis.wakes, Timestamp::now());
                    patches.extend(self.refuse(pod, diagnosis.message()));
                }
            }
        }
        for chunk in bindings.chunks(MESSAGE) {
            self.writing.spawn(write_bindings(self.client.clone(), chunk.to_vec()));
        }
        for chunk in patches.chunks(MESSAGE) {
            self.writing.spawn(write_refusals(self.client.clone(), chunk.to_vec()));
        }
        Ok(())
    }

    /// The event of a refusal, and the write of the pod's condition unless it says so already.
    fn refuse(&self, pod: Arc<PodInfo>, message: String) -> Option<Request> {
        let tail = if pod.never_preempts { " preemption: not eligible due to preemptionPolicy=Never." } else { "" };
        let message: Arc<str> = format!("{message}{tail}").into();
        let patch = (pod.refusal.as_ref() != Some(&message)).then(|| refusal(&pod, &message, Timestamp::now()));
        self.note(Note::Refused(pod, message));
        patch
    }

    fn written(&mut self, written: Vec<Written>) {
        let now = Timestamp::now();
        let mut wake = Wake::NONE;
        for Written { pod, node, result } in written {
            let Err(error) = result else {
                self.note(Note::Scheduled(pod, node));
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

    fn note(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            tracing::warn!("events come faster than they can be written: one is dropped");
        }
    }
}

/// Until a time on the clock; for ever without one.
async fn until(due: Option<Timestamp>) {
    match due {
        Some(due) => tokio::time::sleep(Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}

/// An object that doesn't decode is left out, with a word about it.
fn parsed<T>(stored: &Stored, result: Result<T, ParseError>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!(object = ?stored, %error, "left out of the snapshot")).ok()
}

fn binding(pod: &PodInfo, node: &str) -> Request {
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

async fn write_bindings(client: Client, bindings: Vec<(Arc<PodInfo>, Arc<str>)>) -> Vec<Written> {
    let requests = bindings.iter().map(|(pod, node)| binding(pod, node)).collect();
    let results = client.batch(requests).await;
    let both = bindings.into_iter().zip(results);
    both.map(|((pod, node), result)| Written { pod, node, result: result.map(|_| ()) }).collect()
}

/// A refusal that isn't written is written with the pod's next one.
async fn write_refusals(client: Client, patches: Vec<Request>) -> Vec<Written> {
    for error in client.batch(patches).await.into_iter().filter_map(Result::err).filter(|e| !e.is_not_found()) {
        tracing::debug!(%error, "a pod's condition was not written");
    }
    Vec::new()
}

async fn write_notes(client: Client, mut inbox: mpsc::Receiver<Note>) {
    let (mut journal, mut notes) = (Journal::default(), Vec::new());
    while inbox.recv_many(&mut notes, MESSAGE).await > 0 {
        let now = Timestamp::now();
        let planned: Vec<(Note, Request)> = notes.drain(..).filter_map(|note| journal.plan(&note, now).map(|request| (note, request))).collect();
        if planned.is_empty() {
            continue;
        }
        let (said, requests): (Vec<Note>, Vec<Request>) = planned.into_iter().unzip();
        for (note, result) in said.into_iter().zip(client.batch(requests).await) {
            let Err(error) = result else { continue };
            tracing::debug!(?note, %error, "an event was not written");
            if let Note::Refused(pod, _) = note {
                journal.forget(&pod.uid);
            }
        }
    }
}
