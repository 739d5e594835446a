//! How many requests there were, how they ended, and how long they took.
use dashmap::DashMap;
use state_client::Verb;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug, Default)]
struct Counter {
    requests: AtomicU64,
    micros: AtomicU64,
}

/// One line of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestStat {
    /// The verb.
    pub verb: Verb,
    /// The resource.
    pub resource: Arc<str>,
    /// The HTTP status.
    pub code: u16,
    /// How many.
    pub requests: u64,
    /// How long they took together.
    pub time: Duration,
}

/// Counts requests by verb, resource and status.
#[derive(Debug, Default)]
pub struct Metrics {
    counters: DashMap<(Verb, Arc<str>, u16), Counter>,
}

impl Metrics {
    pub(crate) fn count(&self, verb: Verb, resource: &Arc<str>, code: u16, took: Duration) {
        // resources that don't exist are a client's words and would grow without bound
        let resource = if code == 404 { Arc::from("") } else { resource.clone() };
        let counter = self.counters.entry((verb, resource, code)).or_default();
        counter.requests.fetch_add(1, Ordering::Relaxed);
        counter.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The account so far.
    pub fn read(&self) -> Vec<RequestStat> {
        let line = |entry: dashmap::mapref::multiple::RefMulti<'_, (Verb, Arc<str>, u16), Counter>| {
            let (verb, resource, code) = entry.key().clone();
            let (requests, micros) = (entry.requests.load(Ordering::Relaxed), entry.micros.load(Ordering::Relaxed));
            RequestStat { verb, resource, code, requests, time: Duration::from_micros(micros) }
        };
        self.counters.iter().map(line).collect()
    }
}
