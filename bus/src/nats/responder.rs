//! The answering side of one request from elsewhere: its reply, or the stream that it opens.
use super::clients::{Outgoing, Via};
use super::multiplexer::Multiplexer;
use super::pipe::{Pipe, PipeReceiver, PipeSender};
use super::wire::{self, PORT};
use crate::message::Open;
use crate::subject::Port;
use async_nats::HeaderMap;
use bytes::Bytes;
use std::sync::Arc;

/// Where one request's reply goes: to an inbox of who asked, or nowhere. Dropping it unanswered tells the sender so.
pub(crate) struct Responder {
    pub(super) mux: Arc<Multiplexer>,
    pub(super) subject: Option<String>,
}

impl Responder {
    /// Gives the reply.
    pub(super) async fn reply(mut self, headers: Option<HeaderMap>, body: Bytes) -> Result<(), String> {
        let Some(subject) = self.subject.take() else { return Ok(()) };
        for (part, body) in wire::parts(body, self.mux.part_size()) {
            let message = Outgoing::new(subject.clone(), headers.clone().or(part), body);
            self.mux.transport.publish(Via::Replies, message).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Says that there is no reply, and why.
    pub(super) fn fail(mut self, code: u16, why: &str) {
        self.say(code, why);
    }

    fn say(&mut self, code: u16, why: &str) {
        let Some(subject) = self.subject.take() else { return };
        if !self.mux.enqueue(subject, Some(wire::error(code, why)), Bytes::new()) {
            tracing::debug!(code, why, "too much waits to be said: a sender isn't told");
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.say(500, "it gave no answer");
    }
}

/// A stream that somebody elsewhere wants to open.
pub(crate) struct StreamRequest {
    pub(super) responder: Responder,
    /// Where the opener's end is.
    pub(super) theirs: Port,
}

impl StreamRequest {
    /// Opens it.
    pub(crate) async fn accept(self) -> Result<(PipeSender, PipeReceiver), String> {
        let (sender, receiver, ours) = Pipe::ends(&self.responder.mux, None);
        sender.join(&self.theirs);
        let mut headers = HeaderMap::new();
        headers.insert(PORT, ours.to_string().as_str());
        self.responder.reply(Some(headers), Bytes::new()).await?;
        Ok((sender, receiver))
    }

    /// Says no.
    pub(crate) async fn refuse<O: Open>(self, why: &O::Refusal) -> Result<(), String> {
        match wire::encode(O::SERVICE, why) {
            Ok(body) => self.responder.reply(None, body.into()).await,
            Err(e) => {
                self.responder.fail(500, &e.to_string());
                Err(e.to_string())
            }
        }
    }
}
