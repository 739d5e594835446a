//! Making one caller's connection bad on purpose while it is in use: simulated nodes fall silent, become slow or are cut off so, without anything of
//! what they run being another than a real node's.
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

/// Bytes that one direction of an impaired connection holds at most. A blackhole that has so many swallows the rest.
const HELD_BYTES: u32 = 8 << 20;

/// What becomes of messages, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImpairmentMode {
    /// They come through.
    #[default]
    None,
    /// They come through so much later, in order.
    Delayed(Duration),
    /// None comes through, and nobody is told. What waited comes through when that ends.
    Blackholed,
    /// The connection is gone, with what was under way, and who uses it is told.
    Disconnected,
}

/// The connection was cut on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is cut")]
pub struct Disconnected;

/// Says what is the matter with a connection. Clones say the same of the same connection.
#[derive(Clone, Debug, Default)]
pub struct Impairment(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    mode: ImpairmentMode,
    /// How often the connection was cut: what was under way then doesn't arrive later.
    cuts: u64,
}

impl Impairment {
    /// Makes it so from now on, for what is under way too.
    pub fn set(&self, mode: ImpairmentMode) {
        self.0.send_if_modified(|now| {
            let cut = mode == ImpairmentMode::Disconnected && now.mode != mode;
            now.cuts += u64::from(cut);
            std::mem::replace(&mut now.mode, mode) != mode
        });
    }

    /// What it is now.
    pub fn mode(&self) -> ImpairmentMode {
        self.0.borrow().mode
    }

    /// Tells of each time that the connection is cut from now on.
    pub(crate) fn cuts(&self) -> Cuts {
        let state = self.0.subscribe();
        let seen = state.borrow().cuts;
        Cuts { state, seen }
    }

    /// Room for what one direction holds.
    pub(crate) fn room() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(HELD_BYTES as usize))
    }

    /// A queue through which messages of one direction go in order. Queues that share `room` are held to it together.
    pub(crate) fn queue<T>(&self, room: Arc<Semaphore>) -> (ImpairedSender<T>, ImpairedReceiver<T>) {
        let (held, queue) = mpsc::unbounded_channel();
        (ImpairedSender { impairment: self.clone(), room, held }, ImpairedReceiver { state: self.0.subscribe(), queue })
    }
}

/// The times that a connection is cut.
pub(crate) struct Cuts {
    state: watch::Receiver<State>,
    seen: u64,
}

impl Cuts {
    /// Completes when the connection was cut since the last time; never when nobody can cut it any more.
    pub(crate) async fn next(&mut self) -> Disconnected {
        let seen = self.seen;
        let cuts = self.state.wait_for(|state| state.cuts > seen).await.map(|state| state.cuts);
        let Ok(cuts) = cuts else { return std::future::pending().await };
        self.seen = cuts;
        Disconnected
    }
}

/// A message that waits.
struct Held<T> {
    message: T,
    since: Instant,
    cuts: u64,
    _room: OwnedSemaphorePermit,
}

/// Where messages enter one direction.
pub(crate) struct ImpairedSender<T> {
    impairment: Impairment,
    room: Arc<Semaphore>,
    held: mpsc::UnboundedSender<Held<T>>,
}

impl<T> ImpairedSender<T> {
    /// Lets a message of so many bytes in. Waits for room, except that a blackhole takes all at once and keeps what it has room for.
    ///
    /// # Errors
    /// When the connection is cut.
    pub(crate) async fn send(&self, message: T, size: usize) -> Result<(), Disconnected> {
        let size = u32::try_from(size).unwrap_or(u32::MAX).min(HELD_BYTES);
        let mut state = self.impairment.0.subscribe();
        loop {
            let now = *state.borrow_and_update();
            let room = match now.mode {
                ImpairmentMode::Disconnected => return Err(Disconnected),
                ImpairmentMode::Blackholed => self.room.clone().try_acquire_many_owned(size).ok(),
                ImpairmentMode::None | ImpairmentMode::Delayed(_) => tokio::select! {
                    room = self.room.clone().acquire_many_owned(size) => room.ok(),
                    Ok(()) = state.changed() => continue,
                },
            };
            let Some(room) = room else { return Ok(()) };
            if self.held.send(Held { message, since: Instant::now(), cuts: now.cuts, _room: room }).is_err() {
                tracing::debug!("nobody takes what comes through an impaired connection any more");
            }
            return Ok(());
        }
    }
}

/// Where they come out.
pub(crate) struct ImpairedReceiver<T> {
    state: watch::Receiver<State>,
    queue: mpsc::UnboundedReceiver<Held<T>>,
}

impl<T> ImpairedReceiver<T> {
    /// The next message that comes through; `None` when the last one has and no more will enter.
    pub(crate) async fn recv(&mut self) -> Option<T> {
        loop {
            let held = self.queue.recv().await?;
            if self.arrives(held.since, held.cuts).await {
                return Some(held.message);
            }
        }
    }

    /// Completes when a message that entered then has come through, or is lost.
    async fn arrives(&mut self, since: Instant, cuts: u64) -> bool {
        loop {
            let now = *self.state.borrow_and_update();
            let due = match now.mode {
                _ if now.cuts != cuts => return false,
                ImpairmentMode::None => return true,
                ImpairmentMode::Delayed(delay) => Some(since + delay),
                ImpairmentMode::Blackholed | ImpairmentMode::Disconnected => None,
            };
            let come = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = come => return true,
                changed = self.state.changed() => if changed.is_err() { return true },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const SECOND: Duration = Duration::from_secs(1);

    fn queue() -> (Impairment, ImpairedSender<u32>, ImpairedReceiver<u32>) {
        let impairment = Impairment::default();
        let (sender, receiver) = impairment.queue(Impairment::room());
        (impairment, sender, receiver)
    }

    #[tokio::test(start_paused = true)]
    async fn delayed_messages_come_later_and_in_order() {
        let (impairment, sender, mut receiver) = queue();
        sender.send(0, 1).await.unwrap();
        assert_eq!(receiver.recv().now_or_never(), Some(Some(0)));
        impairment.set(ImpairmentMode::Delayed(2 * SECOND));
        let start = Instant::now();
        sender.send(1, 1).await.unwrap();
        tokio::time::sleep(SECOND).await;
        sender.send(2, 1).await.unwrap();
        assert_eq!((receiver.recv().await, start.elapsed()), (Some(1), 2 * SECOND));
        assert_eq!((receiver.recv().await, start.elapsed()), (Some(2), 3 * SECOND), "each is delayed by itself");
    }

    #[tokio::test(start_paused = true)]
    async fn a_blackhole_gives_back_what_it_has_room_for() {
        let (impairment, sender, mut receiver) = queue();
        impairment.set(ImpairmentMode::Blackholed);
        let half = (HELD_BYTES / 2) as usize;
        for n in 0..3 {
            sender.send(n, half).now_or_never().unwrap().unwrap();
        }
        drop(sender);
        let arriving = tokio::spawn(async move { [receiver.recv().await, receiver.recv().await, receiver.recv().await] });
        tokio::time::sleep(3600 * SECOND).await;
        assert!(!arriving.is_finished());
        impairment.set(ImpairmentMode::None);
        assert_eq!(arriving.await.unwrap(), [Some(0), Some(1), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_lost_with_the_connection() {
        let (impairment, sender, mut receiver) = queue();
        impairment.set(ImpairmentMode::Blackholed);
        sender.send(1, 1).await.unwrap();
        let mut cuts = impairment.cuts();
        assert_eq!(cuts.next().now_or_never(), None);
        impairment.set(ImpairmentMode::Disconnected);
        assert_eq!((cuts.next().await, sender.send(2, 1).await), (Disconnected, Err(Disconnected)));
        assert_eq!(cuts.next().now_or_never(), None, "it is cut once");
        impairment.set(ImpairmentMode::None);
        sender.send(3, 1).await.unwrap();
        assert_eq!(receiver.recv().await, Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_waits_for_room_hears_of_the_end() {
        let (impairment, sender, _receiver) = queue();
        sender.send(1, HELD_BYTES as usize).await.unwrap();
        let waiting = sender.send(2, 1);
        tokio::pin!(waiting);
        assert_eq!(waiting.as_mut().now_or_never(), None);
        impairment.set(ImpairmentMode::Disconnected);
        assert_eq!(waiting.await, Err(Disconnected));
    }
}
