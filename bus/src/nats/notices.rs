//! Notices over NATS: published once by who tells, and received by each who listens.
use super::clients::{Outgoing, Via};
use super::multiplexer::Multiplexer;
use super::wire;
use crate::error::BusError;
use crate::listeners::WAITING;
use crate::message::{Incoming, Notice};
use async_nats::Message;
use futures::StreamExt;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Publishes a notice. Without a connection it isn't kept for later, when it would no longer be news.
pub(crate) async fn tell<N: Notice>(mux: &Arc<Multiplexer>, notice: &N) -> Result<(), BusError> {
    let body = wire::encode(N::TOPIC, notice)?;
    if body.len() > mux.part_size() {
        return Err(BusError::Codec { service: N::TOPIC, what: "encode", why: format!("{} bytes are too many for a notice", body.len()) });
    }
    if !*mux.health.connected.borrow() {
        return Err(BusError::Disconnected("nobody would hear it".to_owned()));
    }
    let message = Outgoing::new(mux.subjects.notice(N::TOPIC, &mux.owner), None, body.into());
    mux.transport.publish(Via::Own, message).await.map_err(|e| BusError::Disconnected(e.to_string()))
}

/// Subscribes to notices, until nobody receives them any more.
pub(crate) async fn listen<N: Notice>(mux: &Arc<Multiplexer>) -> Result<mpsc::Receiver<Incoming<N>>, BusError> {
    let lost = |e: async_nats::SubscribeError| BusError::Disconnected(e.to_string());
    let mut messages = mux.transport.subscribe(mux.subjects.notices(N::TOPIC)).await.map_err(lost)?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let mux = mux.clone();
    tokio::spawn(async move {
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = sender.closed() => return,
            };
            let Some(message) = message else { return };
            let Some(notice) = read::<N>(&mux, &message) else { continue };
            if let Err(mpsc::error::TrySendError::Full(_)) = sender.try_send(notice) {
                mux.log_limited(|| tracing::debug!(topic = N::TOPIC, "a notice is missed: too many of them wait"));
            }
        }
    });
    Ok(receiver)
}

fn read<N: Notice>(mux: &Multiplexer, message: &Message) -> Option<Incoming<N>> {
    let caller = mux.subjects.requester(&message.subject)?;
    // what is larger is decoded by nobody: who tells it has the same bound
    if message.payload.len() > mux.part_size() {
        mux.log_limited(|| tracing::warn!(%caller, topic = N::TOPIC, "refused a notice that is too large"));
        return None;
    }
    match wire::decode(N::TOPIC, &message.payload) {
        Ok(message) => Some(Incoming { message, caller }),
        Err(error) => {
            mux.log_limited(|| tracing::warn!(%caller, %error, "refused a notice"));
            None
        }
    }
}
