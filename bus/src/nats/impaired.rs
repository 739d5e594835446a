//! A connection that is made bad on purpose: between a multiplexer and the clients, messages wait in queues of an [`Impairment`].
use super::clients::{Clients, Outgoing, Via};
use crate::impairment::{Disconnected, ImpairedReceiver, ImpairedSender, Impairment};
use async_nats::{Message, Subscriber};
use futures::StreamExt;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Messages that have come through and wait for their reader.
const ARRIVED: usize = 64;

/// The clients behind an impairment.
pub(crate) struct Impaired {
    pub(crate) clients: Clients,
    pub(crate) impairment: Impairment,
    outgoing: ImpairedSender<(Via, Outgoing)>,
    incoming: Arc<Semaphore>,
}

impl Impaired {
    pub(crate) fn new(clients: Clients, impairment: Impairment) -> Self {
        let (outgoing, queue) = impairment.queue(Impairment::room());
        tokio::spawn(publish(clients.clone(), queue));
        Self { clients, impairment, outgoing, incoming: Impairment::room() }
    }

    /// Publishes a message when it has come through.
    pub(crate) async fn publish(&self, via: Via, message: Outgoing) -> Result<(), Disconnected> {
        let size = message.size();
        self.outgoing.send((via, message), size).await
    }

    /// A subscription whose messages come through the impairment.
    pub(crate) fn subscription(&self, subscriber: Subscriber) -> ImpairedSubscription {
        let (sender, receiver) = self.impairment.queue(self.incoming.clone());
        let (arrived, messages) = mpsc::channel(ARRIVED);
        let (drained, stop) = (CancellationToken::new(), CancellationToken::new());
        let enter = enter(subscriber, sender, drained.clone());
        let both = async { tokio::join!(enter, arrive(receiver, arrived)) };
        tokio::spawn(stop.clone().run_until_cancelled_owned(both));
        ImpairedSubscription { messages, drained, _stop: stop.drop_guard() }
    }
}

/// What has come through, until the subscription is drained.
pub(crate) struct ImpairedSubscription {
    pub(crate) messages: mpsc::Receiver<Message>,
    /// Cancelled when no more messages are wanted but those that the server has sent already.
    pub(crate) drained: CancellationToken,
    _stop: DropGuard,
}

async fn publish(clients: Clients, mut queue: ImpairedReceiver<(Via, Outgoing)>) {
    while let Some((via, message)) = queue.recv().await {
        if let Err(error) = clients.publish(via, message).await {
            tracing::debug!(%error, "not said over an impaired connection");
        }
    }
}

async fn enter(mut subscriber: Subscriber, queue: ImpairedSender<Message>, drained: CancellationToken) {
    let mut draining = false;
    loop {
        let message = tokio::select! {
            message = subscriber.next() => message,
            () = drained.cancelled(), if !draining => {
                draining = true;
                if let Err(error) = subscriber.drain().await {
                    return tracing::debug!(%error, "the connection is closed");
                }
                continue;
            }
        };
        let Some(message) = message else { return };
        let size = message.length;
        if queue.send(message, size).await.is_err() {
            tracing::trace!("lost with an impaired connection");
        }
    }
}

async fn arrive(mut queue: ImpairedReceiver<Message>, arrived: mpsc::Sender<Message>) {
    while let Some(message) = queue.recv().await {
        if arrived.send(message).await.is_err() {
            return;
        }
    }
}
