//! The way of writes that are done together: mostly one. Each is made a message that expects a sequence of its subject, and the committer publishes them.
use super::commit::{PendingGroup, PendingWrite, Writes};
use super::error::CommitError;
use super::log::{WriteRefusal, WriteResult};
use super::shard::Shard;
use super::wire;
use super::write::Write;
use bytes::Bytes;
use model::kind::Bucket;
use model::{Key, Stored};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How often a create goes again because the deletion marker that it expected was not the last one.
const CREATE_ATTEMPTS: usize = 4;
/// What headers may add to a message, at most.
const HEADER_ROOM: usize = 1_024;

/// Writes that belong together, in the order in which they are harmless when they are cut off.
pub type Group = SmallVec<[Write; 1]>;
/// What became of each of them.
pub type Results = SmallVec<[Result<Arc<Stored>, CommitError>; 1]>;

/// A write as it will be published.
struct Prepared {
    key: Key,
    expect: u64,
    delete: bool,
    payload: Bytes,
    ttl: Option<Duration>,
    subject: async_nats::Subject,
    base: u64,
}

/// Where writes go, and what is known of them.
pub(super) struct Destination<'a> {
    pub(super) shard: &'a Shard,
    /// How long what a key's kind has is kept.
    pub(super) bucket: &'a (dyn Fn(&Key) -> Bucket + Send + Sync),
    /// How long deletion markers stay.
    pub(super) marker_ttl: Duration,
    /// For how long the log is asked what became of a write.
    pub(super) resolve_for: Duration,
}

/// Does the writes.
///
/// # Errors
/// When none of them could be sent.
pub(super) async fn commit(to: Destination<'_>, group: Group) -> Result<Results, CommitError> {
    let shard = to.shard;
    let mut prepared: SmallVec<[Prepared; 1]> = SmallVec::with_capacity(group.len());
    for write in group {
        prepared.push(prepare(&to, write).await?);
    }
    check_bounds(shard, &prepared)?;
    let until = Instant::now() + to.resolve_for;
    for _ in 0..CREATE_ATTEMPTS {
        let answers = send(shard, &prepared, until).await?;
        if !answers.iter().all(|answer| matches!(answer, Err(WriteRefusal::Stale))) {
            return Ok(answers.into_iter().map(told).collect());
        }
        for write in &mut prepared {
            write.base = shard.again(&write.key, write.expect, &write.subject).await?;
        }
    }
    Err(CommitError::Conflict)
}

async fn prepare(to: &Destination<'_>, write: Write) -> Result<Prepared, CommitError> {
    let shard = to.shard;
    let Write { key, expect, op } = write;
    let key = shard.log.shared(key);
    let (delete, payload) = op.encode()?;
    let limit = shard.server.max_payload().saturating_sub(HEADER_ROOM);
    if payload.len() > limit {
        return Err(CommitError::TooLarge { size: payload.len(), limit });
    }
    let ttl = match (to.bucket)(&key) {
        _ if delete => Some(to.marker_ttl),
        Bucket::Ephemeral { ttl } => ttl,
        Bucket::Log => None,
    };
    let subject = async_nats::Subject::from(shard.log.subject(&key));
    let base = shard.base(&key, expect).await?;
    Ok(Prepared { key, expect, delete, payload, ttl, subject, base })
}

/// Several writes leave as one atomic batch, which has limits.
fn check_bounds(shard: &Shard, group: &[Prepared]) -> Result<(), CommitError> {
    let [_, _, ..] = group else { return Ok(()) };
    if !shard.batches {
        return Err(CommitError::Unavailable("the NATS server has no atomic batches: it must be 2.12 or later".to_owned()));
    }
    let size = group.iter().map(|write| write.payload.len()).sum();
    if group.len() > wire::MAX_BATCH || size > wire::BATCH_BYTES {
        return Err(CommitError::TooLarge { size, limit: wire::BATCH_BYTES });
    }
    let twice = |(n, write): (usize, &Prepared)| group.iter().take(n).any(|other| other.key == write.key);
    if group.iter().enumerate().any(twice) { Err(CommitError::Invalid("a group writes an object twice".to_owned())) } else { Ok(()) }
}

/// Sends the writes, and waits for what becomes of them.
async fn send(shard: &Shard, group: &[Prepared], until: Instant) -> Result<SmallVec<[WriteResult; 1]>, CommitError> {
    let stopped = || CommitError::Unavailable("the store has stopped".to_owned());
    let (mut writes, mut answers) = (Writes::new(), SmallVec::<[oneshot::Receiver<WriteResult>; 1]>::new());
    for Prepared { key, delete, payload, ttl, subject, base, .. } in group {
        let (id, answer) = shard.log.register(key.clone(), *delete, payload.clone());
        let message = wire::Message { subject: subject.clone(), base: *base, id, delete: *delete, ttl: *ttl, payload: payload.clone() };
        writes.push(PendingWrite { key: key.clone(), message });
        answers.push(answer);
    }
    if shard.queue.send(PendingGroup::new(writes, until)).await.is_err() {
        return Err(stopped());
    }
    let mut told = SmallVec::with_capacity(answers.len());
    for answer in answers {
        told.push(answer.await.map_err(|_| stopped())?);
    }
    Ok(told)
}

fn told(answer: WriteResult) -> Result<Arc<Stored>, CommitError> {
    answer.map_err(|refusal| match refusal {
        WriteRefusal::Stale => CommitError::Conflict,
        WriteRefusal::Failed(error) => error,
    })
}
