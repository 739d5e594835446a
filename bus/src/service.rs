//! What is served: the handle that keeps a service running, and its statistics.
use crate::bus::Bus;
use crate::micro::Announced;
use crate::registry::Registration;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Counters of one served message type, shared by its local and its remote callers.
#[derive(Debug, Default)]
pub struct Stats {
    requests: AtomicU64,
    errors: AtomicU64,
    nanos: AtomicU64,
    log_limiter: LogLimiter,
}

/// Lets a few lines a second into the log of what others do wrong, who could fill it otherwise.
#[derive(Debug, Default)]
pub(crate) struct LogLimiter(Mutex<Option<(Instant, u32)>>);

/// Lines a second.
const LINES: u32 = 10;

impl LogLimiter {
    /// Logs, unless that was done often in this second.
    pub(crate) fn log(&self, log: impl FnOnce()) {
        let mut second = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = match *second {
            Some((since, lines)) if since.elapsed() < Duration::from_secs(1) => lines,
            _ => {
                *second = Some((Instant::now(), 0));
                0
            }
        };
        if let Some((_, count)) = second.as_mut().filter(|_| lines < LINES) {
            *count += 1;
            drop(second);
            log();
        }
    }
}

impl Stats {
    /// Logs what somebody did wrong, now and then.
    pub(crate) fn log_limited(&self, log: impl FnOnce()) {
        self.log_limiter.log(log);
    }
    /// Requests answered, well or not.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
    /// Requests whose handler panicked, or whose message didn't decode.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
    /// Time spent in handlers, summed over all requests.
    pub fn processing(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
    /// Counts one request from here to the returned guard's end.
    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        Running { stats: self.clone(), started: Instant::now(), ok: false }
    }
}

/// A request that is being handled; counted when dropped, as an error unless it is [`Running::done`].
pub(crate) struct Running {
    stats: Arc<Stats>,
    started: Instant,
    ok: bool,
}

impl Running {
    /// The handler returned.
    pub(crate) fn done(mut self) {
        self.ok = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.stats.requests.fetch_add(1, Ordering::Relaxed);
        self.stats.nanos.fetch_add(nanos, Ordering::Relaxed);
        if !self.ok {
            self.stats.errors.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A running service. Dropping it stops it: nothing new is taken, what is being handled goes on to its end.
pub struct Service {
    pub(crate) registration: Registration,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) concurrency: u32,
    pub(crate) stats: Arc<Stats>,
    /// Ends what listens for requests from elsewhere.
    pub(crate) listening: CancellationToken,
    pub(crate) _announced: Arc<Announced>,
    /// The connection lives as long as what is served on it.
    pub(crate) _bus: Bus,
}

impl Service {
    /// Its counters.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }
    /// Stops taking requests and waits for those that are being handled.
    pub async fn drain(self) {
        self.registration.withdraw();
        self.listening.cancel();
        if self.permits.acquire_many(self.concurrency).await.is_err() {
            tracing::debug!("drained a service that was closed already");
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.listening.cancel();
        self.permits.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_few() {
        let (log_limiter, logged) = (LogLimiter::default(), AtomicU64::new(0));
        let began = Instant::now();
        for _ in 0..100_000 {
            log_limiter.log(|| _ = logged.fetch_add(1, Ordering::Relaxed));
        }
        let most = u64::from(LINES) * (began.elapsed().as_secs() + 2);
        let logged = logged.load(Ordering::Relaxed);
        assert!((u64::from(LINES)..=most).contains(&logged), "{logged}");
    }
}
