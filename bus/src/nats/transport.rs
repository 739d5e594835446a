//! What a multiplexer does with a connection: it publishes, and receives what comes on subscriptions. Usually the connection's clients do that by
//! themselves; for a caller whose connection is made bad on purpose, an impairment stands between.
//!
//! These are the cases of an enum instead of a trait's implementations, so that a message over a usual connection costs nothing more.
use super::clients::{Clients, Outgoing, Via};
use super::impaired::{Impaired, ImpairedSubscription};
use crate::impairment::{Disconnected, Impairment};
use async_nats::{Message, PublishError, SubscribeError, Subscriber};
use futures::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How a multiplexer is connected.
pub(crate) enum Transport {
    /// By the connection as it is.
    Clients(Clients),
    /// By the connection as somebody makes it.
    Impaired(Impaired),
}

/// Why something wasn't published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    /// The client refuses it.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The connection is cut on purpose.
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
}

impl Transport {
    fn clients(&self) -> &Clients {
        match self {
            Self::Clients(clients) => clients,
            Self::Impaired(impaired) => &impaired.clients,
        }
    }

    /// What is the matter with the connection, where somebody may say that.
    pub(crate) fn impairment(&self) -> Option<&Impairment> {
        match self {
            Self::Clients(_) => None,
            Self::Impaired(impaired) => Some(&impaired.impairment),
        }
    }

    /// Publishes a message; after those that were published before on the same client.
    pub(crate) async fn publish(&self, via: Via, message: Outgoing) -> Result<(), TransportError> {
        match self {
            Self::Clients(clients) => Ok(clients.publish(via, message).await?),
            Self::Impaired(impaired) => Ok(impaired.publish(via, message).await?),
        }
    }

    /// What comes on a subject.
    pub(crate) async fn subscribe(&self, subject: String) -> Result<Subscription, SubscribeError> {
        Ok(self.subscription(self.clients().own.subscribe(subject).await?))
    }

    /// What comes on a subject and goes to this one of a group.
    pub(crate) async fn queue_subscribe(&self, subject: String, group: &str) -> Result<Subscription, SubscribeError> {
        Ok(self.subscription(self.clients().own.queue_subscribe(subject, group.to_owned()).await?))
    }

    fn subscription(&self, subscriber: Subscriber) -> Subscription {
        match self {
            Self::Clients(_) => Subscription::Clients(subscriber),
            Self::Impaired(impaired) => Subscription::Impaired(impaired.subscription(subscriber)),
        }
    }

    /// The largest message that the server takes, bytes.
    pub(crate) fn max_payload(&self) -> usize {
        self.clients().own.max_payload()
    }
}

/// The messages of a subscription.
pub(crate) enum Subscription {
    /// As the client has them.
    Clients(Subscriber),
    /// Those that have come through.
    Impaired(ImpairedSubscription),
}

impl Subscription {
    /// Asks for no more messages; those that the server has sent already still come. `false` where the connection is closed.
    pub(crate) async fn drain(&mut self) -> bool {
        match self {
            Self::Clients(subscriber) => subscriber.drain().await.is_ok(),
            Self::Impaired(subscription) => {
                subscription.drained.cancel();
                true
            }
        }
    }
}

impl Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        match &mut *self {
            Self::Clients(subscriber) => Pin::new(subscriber).poll_next(cx),
            Self::Impaired(subscription) => subscription.messages.poll_recv(cx),
        }
    }
}
