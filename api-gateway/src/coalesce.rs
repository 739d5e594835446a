//! HTTP/2 connections that gather what their streams say before they write it.
//!
//! Each frame of some size is flushed by itself otherwise: an event for a hundred watches of one connection would be a hundred TLS records, as
//! many system calls, and as many wake-ups of the client.
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};

/// So much is written at once: what a TLS record holds at most.
const FULL: usize = 16 * 1024;

/// What a connection's future and its stream share. Both belong to one task.
#[derive(Default)]
struct State {
    /// Flushes are put off.
    held: AtomicBool,
    /// A flush was put off.
    owed: AtomicBool,
}

/// `T` with a buffer, whose flushes are put off while its connection says so.
pub struct CoalescingIo<T> {
    inner: BufWriter<T>,
    state: Arc<State>,
}

/// A connection whose stream is [`CoalescingIo`]. It writes what was gathered once all tasks that could run have had their turn.
pub struct CoalescingConnection<C> {
    inner: Pin<Box<C>>,
    state: Arc<State>,
    gathers: bool,
    /// Others have had their turn.
    waited: bool,
}

/// The connection that `connect` makes of a stream; where it `gathers`, several of its writes become one.
pub fn coalesce<T: AsyncWrite, C>(stream: T, gathers: bool, connect: impl FnOnce(CoalescingIo<T>) -> C) -> CoalescingConnection<C> {
    let state = Arc::new(State::default());
    // without room, what is written goes straight through
    let inner = BufWriter::with_capacity(if gathers { FULL } else { 0 }, stream);
    let inner = connect(CoalescingIo { inner, state: state.clone() });
    CoalescingConnection { inner: Box::pin(inner), state, gathers, waited: false }
}

impl<C> CoalescingConnection<C> {
    /// The connection itself.
    pub fn inner(&mut self) -> Pin<&mut C> {
        self.inner.as_mut()
    }
}

impl<C: Future> Future for CoalescingConnection<C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.state.held.store(self.gathers, Ordering::Relaxed);
        let polled = self.inner.as_mut().poll(cx);
        self.state.held.store(false, Ordering::Relaxed);
        if polled.is_ready() || !self.state.owed.load(Ordering::Relaxed) {
            return polled;
        }
        if !self.waited {
            // a task that wakes itself goes behind those that wait already
            self.waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.waited = false;
        // it flushes when it has nothing more to write
        self.inner.as_mut().poll(cx)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for CoalescingIo<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for CoalescingIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.held.load(Ordering::Relaxed) {
            self.state.owed.store(true, Ordering::Relaxed);
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.state.owed.store(false, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::Mutex;
    use tokio::io::AsyncWriteExt;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    /// Notes what is written at once.
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<usize>>>);

    impl AsyncWrite for Writes {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.0.lock().unwrap().push(buf.len());
            Poll::Ready(Ok(buf.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// As a connection of HTTP/2 does: writes and flushes each part that is there, and flushes when there is nothing more.
    async fn connection(mut stream: CoalescingIo<Writes>, mut parts: UnboundedReceiver<usize>) {
        while let Some(part) = poll_fn(|cx| received(&mut stream, &mut parts, cx)).await {
            stream.write_all(&vec![7; part]).await.unwrap();
            stream.flush().await.unwrap();
        }
        stream.shutdown().await.unwrap();
    }

    fn received(stream: &mut CoalescingIo<Writes>, parts: &mut UnboundedReceiver<usize>, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        let received = parts.poll_recv(cx);
        if received.is_pending() {
            assert!(Pin::new(stream).poll_flush(cx).is_ready());
        }
        received
    }

    async fn written(gathers: bool, parts: &[usize]) -> Vec<usize> {
        let (writes, (sender, receiver)) = (Writes::default(), unbounded_channel());
        let running = tokio::spawn(coalesce(writes.clone(), gathers, |stream| connection(stream, receiver)));
        for part in parts {
            // a task of its own for each, as each stream of a connection has
            let sender = sender.clone();
            let part = *part;
            tokio::spawn(async move { sender.send(part).unwrap() });
        }
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let seen = writes.0.lock().unwrap().clone();
        drop(sender);
        running.await.unwrap();
        assert_eq!(*writes.0.lock().unwrap(), seen, "everything is written while the connection lives");
        seen
    }

    #[tokio::test]
    async fn what_comes_together_is_written_together() {
        assert_eq!(written(true, &[300; 20]).await, [6_000]);
        assert_eq!(written(false, &[300; 20]).await, [300; 20]);
    }

    #[tokio::test]
    async fn much_is_written_when_a_buffer_is_full() {
        let seen = written(true, &[5_000; 10]).await;
        assert_eq!(seen.iter().sum::<usize>(), 50_000);
        assert!(seen.iter().all(|size| *size <= FULL) && seen.len() <= 4, "{seen:?}");
    }
}
