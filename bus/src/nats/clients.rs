//! The NATS clients of a connection, and what is published over them.
use async_nats::{Client, HeaderMap, PublishError};
use bytes::Bytes;

/// What holding a message costs beside its words, bytes.
const MESSAGE_OVERHEAD: usize = 256;

/// On which of a connection's clients something is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// The caller's own: requests.
    Own,
    /// That of replies and packets, which go where somebody else says.
    Replies,
}

/// A message that is published.
pub(crate) struct Outgoing {
    pub(crate) subject: String,
    /// Where a reply to it goes.
    pub(crate) reply: Option<String>,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) body: Bytes,
}

impl Outgoing {
    /// A message that wants no reply.
    pub(crate) fn new(subject: String, headers: Option<HeaderMap>, body: Bytes) -> Self {
        Self { subject, reply: None, headers, body }
    }

    /// The bytes that holding it takes.
    pub(crate) fn size(&self) -> usize {
        let values = self.headers.iter().flat_map(HeaderMap::iter).flat_map(|(_, values)| values);
        let words = values.map(|value| value.as_str().len()).sum::<usize>();
        MESSAGE_OVERHEAD + self.subject.len() + self.body.len() + words
    }
}

/// The clients.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) own: Client,
    /// Where `state` has a key for that, it is another connection: what is sent to where somebody else says, is sent with rights that reach inboxes
    /// and streams only.
    pub(crate) replies: Client,
}

impl Clients {
    /// Publishes over one of them.
    pub(crate) async fn publish(&self, via: Via, message: Outgoing) -> Result<(), PublishError> {
        let client = match via {
            Via::Own => &self.own,
            Via::Replies => &self.replies,
        };
        let Outgoing { subject, reply, headers, body } = message;
        match (reply, headers) {
            (None, None) => client.publish(subject, body).await,
            (None, Some(headers)) => client.publish_with_headers(subject, headers, body).await,
            (Some(reply), None) => client.publish_with_reply(subject, reply, body).await,
            (Some(reply), Some(headers)) => client.publish_with_reply_and_headers(subject, reply, headers, body).await,
        }
    }
}
