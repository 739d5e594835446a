//! Streams of frames in both directions with flow control: logs, exec, port-forward, watches.
//!
//! Dropping an end is the regular end of the stream for the other side, which receives what was sent before and then `None`.
//! An end that goes down with a panic, is [`Sender::cut`], or whose process or connection is lost, cuts the stream:
//! the other side gets [`StreamError::Cut`] and so knows that it hasn't seen everything.
use crate::error::StreamError;
use crate::message::Message;
use crate::nats::pipe::{PipeReceiver, PipeSender};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

/// Frames that a stream within a process holds before its sender waits.
const LOCAL_WINDOW: usize = 64;

/// One end of a stream: sends `S`, receives `R`. Dropping it ends the stream for the other side.
pub struct Duplex<S, R> {
    sender: Sender<S>,
    receiver: Receiver<R>,
}

/// The sending half. Dropping it ends this direction.
pub struct Sender<S>(Outlet<S>);

enum Outlet<S> {
    Local(LocalSender<S>),
    Remote(PipeSender),
}

/// The receiving half. Dropping it tells the sender to stop.
pub struct Receiver<R>(Inlet<R>);

enum Inlet<R> {
    Local(LocalReceiver<R>),
    Remote(PipeReceiver),
}

/// One direction within a process. `cut` is set before the channel closes where the end isn't regular.
struct LocalSender<S> {
    frames: mpsc::Sender<S>,
    cut: Arc<OnceLock<String>>,
}

struct LocalReceiver<R> {
    frames: mpsc::Receiver<R>,
    cut: Arc<OnceLock<String>>,
}

impl<S> Drop for LocalSender<S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.cut.get_or_init(|| "the other side panicked".to_owned());
        }
    }
}

fn direction<T>() -> (LocalSender<T>, LocalReceiver<T>) {
    let (sender, receiver) = mpsc::channel(LOCAL_WINDOW);
    let cut = Arc::new(OnceLock::new());
    (LocalSender { frames: sender, cut: cut.clone() }, LocalReceiver { frames: receiver, cut })
}

/// Both ends of a stream within this process.
pub fn pair<S: Message, R: Message>() -> (Duplex<S, R>, Duplex<R, S>) {
    let (up, up_end) = direction();
    let (down, down_end) = direction();
    let near = Duplex { sender: Sender(Outlet::Local(up)), receiver: Receiver(Inlet::Local(down_end)) };
    let far = Duplex { sender: Sender(Outlet::Local(down)), receiver: Receiver(Inlet::Local(up_end)) };
    (near, far)
}

impl<S: Message, R: Message> Duplex<S, R> {
    /// An end whose other end is elsewhere.
    pub(crate) fn remote(sender: PipeSender, receiver: PipeReceiver) -> Self {
        Self { sender: Sender(Outlet::Remote(sender)), receiver: Receiver(Inlet::Remote(receiver)) }
    }
    /// Sends a frame; waits while the receiver's window is full.
    ///
    /// # Errors
    /// [`StreamError::Cut`] when the other side no longer receives.
    pub async fn send(&mut self, frame: S) -> Result<(), StreamError> {
        self.sender.send(frame).await
    }
    /// The next frame; `None` after the other side's end. Cancel-safe.
    ///
    /// # Errors
    /// [`StreamError`] when the stream broke before its end.
    pub async fn recv(&mut self) -> Result<Option<R>, StreamError> {
        self.receiver.recv().await
    }
    /// Both halves, for two tasks.
    pub fn split(self) -> (Sender<S>, Receiver<R>) {
        (self.sender, self.receiver)
    }
    /// Ends the stream as cut: the other side gets [`StreamError::Cut`] with these words once it has received what was sent before.
    pub fn cut(self, why: impl Into<String>) {
        self.sender.cut(why);
    }
    /// Completes when the other side no longer receives.
    pub async fn closed(&mut self) {
        self.sender.closed().await;
    }
}

impl<S: Message> Sender<S> {
    /// As [`Duplex::send`]. Not cancel-safe: a dropped future may or may not have sent its frame.
    ///
    /// # Errors
    /// As [`Duplex::send`].
    pub async fn send(&mut self, frame: S) -> Result<(), StreamError> {
        match &mut self.0 {
            Outlet::Local(local) => local.frames.send(frame).await.map_err(|_| StreamError::Cut("the other side no longer receives".to_owned())),
            Outlet::Remote(pipe) => {
                let body = rmp_serde::to_vec_named(&frame).map_err(|e| StreamError::Encode(e.to_string()))?;
                drop(frame);
                pipe.send(body.into()).await
            }
        }
    }
    /// Completes when the other side no longer receives.
    pub async fn closed(&mut self) {
        match &mut self.0 {
            Outlet::Local(local) => local.frames.closed().await,
            Outlet::Remote(pipe) => pipe.closed().await,
        }
    }
    /// As [`Duplex::cut`].
    pub fn cut(self, why: impl Into<String>) {
        match self.0 {
            Outlet::Local(local) => {
                local.cut.get_or_init(|| why.into());
            }
            Outlet::Remote(pipe) => pipe.cut(why.into()),
        }
    }
}

impl<R: Message> Receiver<R> {
    /// As [`Duplex::recv`]. Cancel-safe.
    ///
    /// # Errors
    /// As [`Duplex::recv`].
    pub async fn recv(&mut self) -> Result<Option<R>, StreamError> {
        match &mut self.0 {
            Inlet::Local(local) => match local.frames.recv().await {
                Some(frame) => Ok(Some(frame)),
                None => local.cut.get().map_or(Ok(None), |why| Err(StreamError::Cut(why.clone()))),
            },
            Inlet::Remote(pipe) => match pipe.recv().await? {
                Some(body) => rmp_serde::from_slice(&body).map(Some).map_err(|e| StreamError::Decode(e.to_string())),
                None => Ok(None),
            },
        }
    }
}
