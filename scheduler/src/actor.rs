//! The loop around [`schedule()`]: watches of what plug-ins read keep the snapshot and the queue, all pods that can be tried are decided together, and the
//! decisions are written as batches. What isn't written goes back to the queue. While the bus is gone, nothing comes and nothing is decided.
use crate::core::{BindingResult, Reservation, SchedulerCore, SchedulerOutput};
use crate::events::Note;
use crate::inputs::watched;
use crate::pod::{NAME, PodInfo};
use crate::requests::{Eviction, binding};
use crate::schedule::schedule;
use jiff::Timestamp;
use model::{ApiError, Key};
use state_client::events::{EventCorrelator, Source};
use state_client::{Change, Client, Reflector, Reply, Request};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Pods decided at once: some ten milliseconds of work.
const BATCH: usize = 4096;
/// Writes in one message: well below NATS' limit of 1 MiB.
const MESSAGE: usize = 512;
/// Pods in one message whose reservations are written: each may have many claims.
const RESERVATIONS: usize = 32;
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

/// What was written, and what became of it.
enum Written {
    Bindings(Vec<BindingResult>),
    Evictions(Vec<(Eviction, Result<(), ApiError>)>),
    Reservations(Vec<(Reservation, Vec<Result<u64, ApiError>>)>),
    Refusals(Vec<Arc<str>>),
}

struct Scheduler {
    client: Client,
    notes: mpsc::Sender<Note>,
    core: SchedulerCore,
    writing: JoinSet<Written>,
}

impl Scheduler {
    fn new(client: Client, notes: mpsc::Sender<Note>) -> Self {
        Self { client, notes, core: SchedulerCore::new(rand::random()), writing: JoinSet::new() }
    }

    async fn work(mut self, cancel: CancellationToken) -> Result<(), SchedulerError> {
        let mut reflectors: Vec<Reflector> = watched().into_iter().map(|w| Reflector::of(self.client.clone(), w.group, w.resource, "")).collect();
        loop {
            self.tell();
            // so that none of them is always asked first
            let first = reflectors.len().min(1);
            reflectors.rotate_left(first);
            let synced = reflectors.iter().all(|r| r.revision().is_some());
            let may_write = synced && self.writing.len() < WRITING;
            if may_write && self.core.is_ready() {
                self.decide().await?;
                continue;
            }
            let due = if may_write { self.core.next() } else { None };
            tokio::select! {
                () = cancel.cancelled() => break,
                changes = any(&mut reflectors) => self.apply(changes),
                Some(written) = self.writing.join_next() => self.take_in(written?),
                () = until(due), if due.is_some() => {
                    self.core.move_due(Timestamp::now());
                    self.come_about();
                }
            }
        }
        while let Some(written) = self.writing.join_next().await {
            match written? {
                Written::Bindings(results) => self.core.written(results, Timestamp::now()),
                Written::Evictions(results) => self.core.evicted(results),
                Written::Reservations(_) | Written::Refusals(_) => {}
            }
        }
        self.tell();
        Ok(())
    }

    fn apply(&mut self, changes: Vec<Change>) {
        self.core.apply(changes, Timestamp::now());
        self.come_about();
    }

    fn come_about(&mut self) {
        let output = self.core.come_about(Timestamp::now());
        self.carry_out(output);
    }

    fn take_in(&mut self, written: Written) {
        match written {
            Written::Bindings(results) => self.core.written(results, Timestamp::now()),
            Written::Evictions(results) => self.core.evicted(results),
            Written::Reservations(results) => {
                let output = self.core.reserved(results, Timestamp::now());
                self.carry_out(output);
            }
            Written::Refusals(uids) => self.core.refused(&uids),
        }
    }

    /// Decides for all pods that can be tried. The work is done off the runtime's threads: it may take long on a big cluster.
    async fn decide(&mut self) -> Result<(), SchedulerError> {
        let (mut snapshot, pods, seed) = self.core.take(BATCH, Timestamp::now());
        let decided = tokio::task::spawn_blocking(move || {
            let decisions = schedule(&mut snapshot, &pods, seed);
            (snapshot, decisions)
        });
        let (snapshot, decisions) = decided.await?;
        let output = self.core.decided(snapshot, decisions, Timestamp::now());
        self.carry_out(output);
        Ok(())
    }

    fn carry_out(&mut self, output: SchedulerOutput) {
        let SchedulerOutput { bindings, refusals, evictions, reservations } = output;
        for chunk in bindings.chunks(MESSAGE) {
            self.writing.spawn(write_bindings(self.client.clone(), chunk.to_vec()));
        }
        for chunk in refusals.chunks(MESSAGE) {
            self.writing.spawn(write_refusals(self.client.clone(), chunk.to_vec()));
        }
        for chunk in evictions.chunks(MESSAGE) {
            self.writing.spawn(write_evictions(self.client.clone(), chunk.to_vec()));
        }
        for chunk in reservations.chunks(RESERVATIONS) {
            self.writing.spawn(write_reservations(self.client.clone(), chunk.to_vec()));
        }
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

/// The next changes of any of them.
async fn any(reflectors: &mut [Reflector]) -> Vec<Change> {
    let mut waiting: Vec<Pin<Box<dyn Future<Output = Vec<Change>> + Send + '_>>> = Vec::new();
    for reflector in reflectors {
        waiting.push(Box::pin(reflector.next()));
    }
    std::future::poll_fn(|context| {
        let mut ready = waiting.iter_mut().map(|next| next.as_mut().poll(context)).filter(Poll::is_ready);
        ready.next().unwrap_or(Poll::Pending)
    })
    .await
}

async fn write_bindings(client: Client, bindings: Vec<(Arc<PodInfo>, Arc<str>)>) -> Written {
    let requests = bindings.iter().map(|(pod, node)| binding(pod, node)).collect();
    let results = client.batch(requests).await;
    let both = bindings.into_iter().zip(results);
    Written::Bindings(both.map(|((pod, node), result)| BindingResult { pod, node, result: result.map(|_| ()) }).collect())
}

/// A refusal that isn't written is written with the pod's next one.
async fn write_refusals(client: Client, refusals: Vec<(Arc<str>, Request)>) -> Written {
    let (uids, patches) = refusals.into_iter().unzip();
    for error in client.batch(patches).await.into_iter().filter_map(Result::err).filter(|e| !e.is_not_found()) {
        tracing::debug!(%error, "a pod's condition was not written");
    }
    Written::Refusals(uids)
}

/// A victim is told to go once it says why.
async fn write_evictions(client: Client, evictions: Vec<Eviction>) -> Written {
    let now = Timestamp::now();
    let said = client.batch(evictions.iter().map(|e| e.condition(now)).collect()).await;
    let (mut told, mut results) = (Vec::new(), Vec::new());
    for (eviction, said) in evictions.into_iter().zip(said) {
        match said {
            Ok(_) => told.push(eviction),
            Err(error) => results.push((eviction, Err(error))),
        }
    }
    let gone = client.batch(told.iter().map(Eviction::deletion).collect()).await;
    results.extend(told.into_iter().zip(gone).map(|(eviction, result)| (eviction, result.map(|_| ()))));
    Written::Evictions(results)
}

async fn write_reservations(client: Client, reservations: Vec<Reservation>) -> Written {
    let requests = reservations.iter().flat_map(|r| &r.writes).map(crate::writes::Write::request).collect();
    let mut results = client.batch(requests).await.into_iter();
    let revision = |reply| match reply {
        Reply::Object { object, .. } => object.revision,
        _ => 0,
    };
    let of = |reservation: Reservation| {
        let results = reservation.writes.iter().map(|_| results.next().unwrap_or_else(|| Err(ApiError::internal("no reply"))).map(revision)).collect();
        (reservation, results)
    };
    Written::Reservations(reservations.into_iter().map(of).collect())
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
