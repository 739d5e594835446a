//! Statistics of what is served.
use crate::log_limiter::LogLimiter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counters of one served message type, shared by its local and its remote callers.
#[derive(Debug, Default)]
pub struct Stats {
    requests: AtomicU64,
    errors: AtomicU64,
    nanos: AtomicU64,
    log_limiter: LogLimiter,
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
