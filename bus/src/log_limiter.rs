//! Logging what others do wrong without letting them fill the log.
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

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
