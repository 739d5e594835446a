//! The loop around [`schedule()`]: three watches keep the snapshot and the queue, all pods that can be tried are decided together, and the
//! decisions are written as batches. What isn't written goes back to the queue. While the bus is gone, nothing comes and nothing is decided.
use crate::core::{BindingResult, SchedulerCore, SchedulerOutput, binding};
use crate::events::Note;
use crate::pod::{NAME, PodInfo};
use crate::schedule::schedule;
use jiff::Timestamp;
use model::Key;
use state_client::events::{EventCorrelator, Source};
use state_client::{Client, Reflector, Request};
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

/// Runs the scheduler until `cancel`; it writes by `client`. Starting anew is always safe: all that it knows comes from `state`.
///
/// # Errors
/// [`SchedulerError`] when a part of it panicked; it is to be started again.
pub async fn run(client: Client, cancel: CancellationToken) -> Result<(), SchedulerError> {
    let (notes, inbox) = mpsc::channel(NOTES);
    let events = tokio::spawn(write_notes(client.clone(), inbox));
    let worked = Scheduler::new(client, notes).work(cancel).await;
    // the scheduler and with it the sender is gone: the rest is written, then the writer ends
    events.await?;
    worked
}

struct Scheduler {
    client: Client,
    notes: mpsc::Sender<Note>,
    core: SchedulerCore,
    writing: JoinSet<Vec<BindingResult>>,
}

impl Scheduler {
    fn new(client: Client, notes: mpsc::Sender<Note>) -> Self {
        Self { client, notes, core: SchedulerCore::new(rand::random()), writing: JoinSet::new() }
    }

    async fn work(mut self, cancel: CancellationToken) -> Result<(), SchedulerError> {
        let [mut nodes, mut pods, mut namespaces] = ["nodes", "pods", "namespaces"].map(|r| Reflector::of(self.client.clone(), "", r, ""));
        loop {
            self.tell();
            let synced = [&nodes, &pods, &namespaces].iter().all(|r| r.revision().is_some());
            let may_write = synced && self.writing.len() < WRITING;
            if may_write && self.core.is_ready() {
                self.decide().await?;
                continue;
            }
            let due = if may_write { self.core.next() } else { None };
            tokio::select! {
                () = cancel.cancelled() => break,
                changes = namespaces.next() => self.core.apply(changes, Timestamp::now()),
                changes = nodes.next() => self.core.apply(changes, Timestamp::now()),
                changes = pods.next() => self.core.apply(changes, Timestamp::now()),
                Some(written) = self.writing.join_next() => self.core.written(written?, Timestamp::now()),
                () = until(due), if due.is_some() => self.core.move_due(Timestamp::now()),
            }
        }
        while let Some(written) = self.writing.join_next().await {
            self.core.written(written?, Timestamp::now());
        }
        self.tell();
        Ok(())
    }

    /// Decides for all pods that can be tried. The work is done off the runtime's threads: it may take long on a big cluster.
    async fn decide(&mut self) -> Result<(), SchedulerError> {
        let (mut snapshot, pods, seed) = self.core.take(BATCH, Timestamp::now());
        let decided = tokio::task::spawn_blocking(move || {
            let decisions = schedule(&mut snapshot, &pods, seed);
            (snapshot, decisions)
        });
        let (snapshot, decisions) = decided.await?;
        let SchedulerOutput { bindings, refusals } = self.core.decided(snapshot, decisions, Timestamp::now());
        for chunk in bindings.chunks(MESSAGE) {
            self.writing.spawn(write_bindings(self.client.clone(), chunk.to_vec()));
        }
        for chunk in refusals.chunks(MESSAGE) {
            self.writing.spawn(write_refusals(self.client.clone(), chunk.to_vec()));
        }
        Ok(())
    }

    fn tell(&mut self) {
        let dropped = self.core.notes().into_iter().filter_map(|note| self.notes.try_send(note).err()).count();
        if dropped > 0 {
            tracing::warn!(dropped, "events come faster than they can be written");
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

async fn write_bindings(client: Client, bindings: Vec<(Arc<PodInfo>, Arc<str>)>) -> Vec<BindingResult> {
    let requests = bindings.iter().map(|(pod, node)| binding(pod, node)).collect();
    let results = client.batch(requests).await;
    let both = bindings.into_iter().zip(results);
    both.map(|((pod, node), result)| BindingResult { pod, node, result: result.map(|_| ()) }).collect()
}

/// A refusal that isn't written is written with the pod's next one.
async fn write_refusals(client: Client, patches: Vec<Request>) -> Vec<BindingResult> {
    for error in client.batch(patches).await.into_iter().filter_map(Result::err).filter(|e| !e.is_not_found()) {
        tracing::debug!(%error, "a pod's condition was not written");
    }
    Vec::new()
}

async fn write_notes(client: Client, mut inbox: mpsc::Receiver<Note>) {
    let (mut correlator, mut notes) = (EventCorrelator::default(), Vec::new());
    let source = Source { component: NAME, host: "" };
    while inbox.recv_many(&mut notes, MESSAGE).await > 0 {
        let now = Timestamp::now();
        let writes = notes.drain(..).filter_map(|note: Note| correlator.record(source, &note.event(), now));
        let (counted, requests): (Vec<Option<Key>>, Vec<Request>) = writes.map(|write| (write.counted().cloned(), write.request())).unzip();
        if requests.is_empty() {
            continue;
        }
        for (key, result) in counted.into_iter().zip(client.batch(requests).await) {
            let Err(error) = result else { continue };
            tracing::debug!(%error, "an event was not written");
            if let Some(key) = key {
                correlator.forget(&key);
            }
        }
    }
}
