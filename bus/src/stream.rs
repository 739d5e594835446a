//! Streams of frames in both directions with flow control: logs, exec, port-forward, watches.
use crate::message::Message;

/// Why a stream ended other than by its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The other side is gone, or the bus between was lost for too long.
    #[error("the stream was cut: {0}")]
    Cut(String),
    /// A frame that doesn't decode.
    #[error("a frame did not decode: {0}")]
    Decode(String),
}

/// One end of a stream: sends `S`, receives `R`. Dropping it ends the stream for the other side.
pub struct Duplex<S, R> {
    marker: std::marker::PhantomData<(S, R)>,
}

/// The sending half.
pub struct Sender<S> {
    marker: std::marker::PhantomData<S>,
}

/// The receiving half.
pub struct Receiver<R> {
    marker: std::marker::PhantomData<R>,
}

impl<S: Message, R: Message> Duplex<S, R> {
    /// Sends a frame; waits while the receiver's window is full.
    ///
    /// # Errors
    /// [`StreamError::Cut`] when the other side no longer receives.
    pub async fn send(&mut self, _frame: S) -> Result<(), StreamError> {
        unimplemented!()
    }
    /// The next frame; `None` after the other side's end.
    ///
    /// # Errors
    /// [`StreamError`] when the stream broke before its end.
    pub async fn recv(&mut self) -> Result<Option<R>, StreamError> {
        unimplemented!()
    }
    /// Both halves, for two tasks.
    pub fn split(self) -> (Sender<S>, Receiver<R>) {
        unimplemented!()
    }
}

impl<S: Message> Sender<S> {
    /// As [`Duplex::send`].
    ///
    /// # Errors
    /// As [`Duplex::send`].
    pub async fn send(&mut self, _frame: S) -> Result<(), StreamError> {
        unimplemented!()
    }
    /// Completes when the other side no longer receives.
    pub async fn closed(&mut self) {
        unimplemented!()
    }
}

impl<R: Message> Receiver<R> {
    /// As [`Duplex::recv`].
    ///
    /// # Errors
    /// As [`Duplex::recv`].
    pub async fn recv(&mut self) -> Result<Option<R>, StreamError> {
        unimplemented!()
    }
}
