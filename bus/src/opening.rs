//! Streams that somebody wants to open, in this process or elsewhere.
use crate::address::Caller;
use crate::error::BusError;
use crate::message::Open;
use crate::nats::responder::StreamRequest;
use crate::stream::{Duplex, pair};
use tokio::sync::oneshot;

type OpeningResult<O> = Result<Duplex<<O as Open>::Up, <O as Open>::Down>, <O as Open>::Refusal>;

enum OpeningReply<O: Open> {
    Local(oneshot::Sender<OpeningResult<O>>),
    Remote(StreamRequest),
}

/// A stream that somebody wants to open.
pub struct Opening<O: Open> {
    /// The request.
    pub message: O,
    /// Who sent it, vouched for.
    pub caller: Caller,
    answering: OpeningReply<O>,
}

impl<O: Open> Opening<O> {
    pub(crate) fn local(message: O, caller: Caller, answer: oneshot::Sender<OpeningResult<O>>) -> Self {
        Self { message, caller, answering: OpeningReply::Local(answer) }
    }

    pub(crate) fn remote(message: O, caller: Caller, request: StreamRequest) -> Self {
        Self { message, caller, answering: OpeningReply::Remote(request) }
    }

    /// Opens the stream.
    ///
    /// # Errors
    /// When the opener is gone.
    pub async fn accept(self) -> Result<Duplex<O::Down, O::Up>, BusError> {
        match self.answering {
            OpeningReply::Local(answer) => {
                let (theirs, ours) = pair();
                answer.send(Ok(theirs)).map_err(|_| BusError::Failed { service: O::SERVICE, why: "the opener is gone".to_owned() })?;
                Ok(ours)
            }
            OpeningReply::Remote(request) => {
                let (sender, receiver) = request.accept().await.map_err(BusError::Disconnected)?;
                Ok(Duplex::remote(sender, receiver))
            }
        }
    }

    /// Says no.
    pub async fn refuse(self, why: O::Refusal) {
        match self.answering {
            OpeningReply::Local(answer) => {
                if answer.send(Err(why)).is_err() {
                    tracing::debug!(service = O::SERVICE, "nobody waits for the refusal any more");
                }
            }
            OpeningReply::Remote(request) => {
                if let Err(error) = request.refuse::<O>(&why).await {
                    tracing::warn!(service = O::SERVICE, %error, "a refusal could not be sent");
                }
            }
        }
    }
}
