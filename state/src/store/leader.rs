//! Questions for the leader of a stream: its answers are never older than what it acknowledged.
use super::log::Log;
use async_nats::jetstream;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{Info, LastRawMessageErrorKind};

/// Asks the leader of a stream: its answers are never older than what it acknowledged.
#[derive(Clone)]
pub(crate) struct Leader {
    stream: jetstream::stream::Stream<()>,
}

impl Leader {
    pub(crate) fn new(stream: jetstream::stream::Stream<()>) -> Self {
        Self { stream }
    }

    /// What the stream is and holds.
    pub(crate) async fn info(&self) -> Result<Info, String> {
        self.stream.get_info().await.map_err(|e| e.to_string())
    }

    /// The stream's last sequence.
    pub(crate) async fn end(&self) -> Result<u64, String> {
        self.info().await.map(|info| info.state.last_sequence)
    }

    /// The last message of a subject.
    pub(crate) async fn last(&self, subject: &str) -> Result<Option<StreamMessage>, String> {
        match self.stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(Some(message)),
            Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Whether the stream holds anything after `sequence`.
    pub(crate) async fn holds_after(&self, sequence: u64) -> Result<bool, String> {
        match self.stream.get_first_raw_message_by_subject(">", sequence + 1).await {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(false),
            Err(e) => Err(e.to_string()),
        }
    }

    /// When nothing is left between what `log` has applied and `end`, it is up to date.
    pub(crate) async fn settle(&self, log: &Log, end: u64) -> Result<(), String> {
        if !self.holds_after(log.applied()).await? {
            log.advance(end);
        }
        Ok(())
    }
}
