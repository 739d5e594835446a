//! The part of the store in this process, without a server. Benchmarks and tests of allocations use it to measure the steps of a write.
use super::error::CommitError;
use super::feed::{Feed, WatchFrom};
use super::log::{Log, WriteRefusal};
use super::window::WindowLimits;
use super::wire::Message;
use super::write::Write;
use async_nats::HeaderMap;
use model::{ApiError, Stored};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The tables of a stream that nobody else writes, and whose server acknowledges at once.
pub struct Offline {
    log: Arc<Log>,
    sequence: u64,
}

impl Default for Offline {
    fn default() -> Self {
        let log = Log::new("WS.offline".to_owned(), Duration::from_secs(3_600), WindowLimits::default(), CancellationToken::new());
        log.replace(Vec::new(), 0);
        Self { log: Arc::new(log), sequence: 0 }
    }
}

/// Writes as they go to the server, and by which number each is known until it is acknowledged.
pub struct Batch {
    /// The messages, with their headers.
    pub messages: Vec<(Message, HeaderMap)>,
    waiting: Vec<(u64, tokio::sync::oneshot::Receiver<super::log::WriteResult>)>,
}

impl Offline {
    /// Makes messages of writes: all that a commit does before they leave.
    ///
    /// # Errors
    /// [`CommitError::Invalid`] for what can't be stored.
    pub fn batch(&self, writes: Vec<Write>) -> Result<Batch, CommitError> {
        let mut batch = Batch { messages: Vec::with_capacity(writes.len()), waiting: Vec::with_capacity(writes.len()) };
        for Write { key, op, .. } in writes {
            let (delete, payload) = op.encode()?;
            let (subject, base) = (self.log.subject(&key).into(), self.log.last(&key).sequence());
            let (id, answer) = self.log.register(key, delete, payload.clone());
            let message = Message { subject, base, id, delete, ttl: None, payload };
            let headers = message.headers(&self.log.session);
            batch.messages.push((message, headers));
            batch.waiting.push((id, answer));
        }
        Ok(batch)
    }

    /// The server has acknowledged the messages: they enter the tables, watchers are woken, and who waits is answered.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] for what was registered by somebody else.
    pub fn acknowledged(&mut self, batch: Batch) -> Result<Vec<Arc<Stored>>, CommitError> {
        let acknowledged: Vec<(u64, u64)> = batch.waiting.iter().map(|(id, _)| *id).zip(self.sequence + 1..).collect();
        self.sequence += acknowledged.len() as u64;
        self.log.acknowledged(&acknowledged);
        let answer = |(_, mut answer): (u64, tokio::sync::oneshot::Receiver<super::log::WriteResult>)| match answer.try_recv() {
            Ok(Ok(stored)) => Ok(stored),
            Ok(Err(WriteRefusal::Failed(error))) => Err(error),
            Ok(Err(WriteRefusal::Stale)) | Err(_) => Err(CommitError::Conflict),
        };
        batch.waiting.into_iter().map(answer).collect()
    }

    /// Watches a resource from now on, in all namespaces.
    ///
    /// # Errors
    /// As [`super::Store::watch`].
    pub fn watch(&self, group: &str, resource: &str) -> Result<Feed, ApiError> {
        Feed::new(self.log.clone(), self.log.table(group, resource), "", WatchFrom::Now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOp;
    use futures::FutureExt;
    use model::{Key, Object};
    use serde_json::json;

    fn write(name: &str, op: fn(Object) -> StoreOp) -> Write {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a"}});
        Write { key: Key::new("", "configmaps", "a", name), expect: 0, op: op(Object::from_value(object).unwrap()) }
    }

    #[test]
    fn what_is_acknowledged_is_watched_in_order() {
        let mut store = Offline::default();
        let mut feed = store.watch("", "configmaps").unwrap();
        let batch = store.batch(vec![write("x", StoreOp::Put), write("y", StoreOp::Put)]).unwrap();
        assert_eq!(batch.messages.len(), 2);
        assert!(feed.next().now_or_never().is_none(), "nothing is seen before it is acknowledged");
        let revisions: Vec<u64> = store.acknowledged(batch).unwrap().iter().map(|s| s.revision).collect();
        assert_eq!(revisions, [1, 2]);
        let batch = store.batch(vec![write("x", StoreOp::Delete)]).unwrap();
        assert_eq!(batch.messages[0].0.base, 1);
        store.acknowledged(batch).unwrap();
        let seen = feed.next().now_or_never().unwrap().unwrap();
        assert_eq!(seen.iter().map(|c| (&*c.new.key.name, c.deleted)).collect::<Vec<_>>(), [("x", false), ("y", false), ("x", true)]);
    }
}
