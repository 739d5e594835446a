//! Follows the volumes whose directories this node has.
use super::settle::{SettleError, settle};
use crate::executor::Executor;
use futures::StreamExt;
use model::storage::DIRECTORY_NODE;
use model::{ApiError, Stored};
use state_client::{Change, Reflector, Request, Verb};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long after it failed something is tried again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// What is under way.
#[derive(Default)]
struct Work {
    tasks: JoinSet<(String, Result<(), SettleError>)>,
    busy: BTreeSet<String>,
    /// What changed meanwhile, or failed: when it is looked at again.
    due: BTreeMap<String, Instant>,
    /// How often in a row something failed.
    failures: BTreeMap<String, u32>,
}

impl Work {
    /// Begins with a volume; one at a time of each.
    fn begin(&mut self, executor: &Arc<Executor>, volume: Arc<Stored>) {
        let name = volume.key.name.to_string();
        if !self.busy.insert(name.clone()) {
            self.due.insert(name, Instant::now());
            return;
        }
        self.due.remove(&name);
        let executor = executor.clone();
        self.tasks.spawn(async move {
            let result = settle(&executor, &volume).await;
            (name, result)
        });
    }

    fn done(&mut self, name: String, result: Result<(), SettleError>) {
        self.busy.remove(&name);
        let Err(error) = result else {
            self.failures.remove(&name);
            return;
        };
        tracing::warn!(volume = name, %error, "a volume's directory is not as it should be");
        let failures = self.failures.entry(name.clone()).or_default();
        if matches!(error, SettleError::Used(_)) {
            *failures = 0;
        }
        let pause = RETRY.0.saturating_mul(2_u32.saturating_pow(*failures)).min(RETRY.1);
        *failures = failures.saturating_add(1);
        self.due.entry(name).or_insert_with(|| Instant::now() + pause);
    }

    /// What is due and can be begun.
    fn ready(&self, now: Instant) -> Vec<String> {
        self.due.iter().filter(|(name, at)| **at <= now && !self.busy.contains(*name)).map(|(name, _)| name.clone()).collect()
    }

    fn next(&self) -> Option<Instant> {
        self.due.iter().filter(|(name, _)| !self.busy.contains(*name)).map(|(_, at)| *at).min()
    }
}

/// Follows them until it is told to stop.
///
/// # Errors
/// When the work on one of them broke: it is begun anew.
pub async fn run(executor: Arc<Executor>, cancel: CancellationToken) -> Result<(), ApiError> {
    let mut request = Request::new(Verb::Watch, "", "persistentvolumes", "", "");
    request.options.label_selector = format!("{DIRECTORY_NODE}={}", executor.node.name);
    let reflector = Reflector::new(executor.client.clone(), request);
    // what was begun to be read goes on where it was when something else came first
    let mut news = pin!(futures::stream::unfold(reflector, |mut reflector| async move { Some((reflector.next().await, reflector)) }));
    let (mut work, mut known) = (Work::default(), BTreeMap::new());
    loop {
        let wake = work.next();
        let pause = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(changes) = news.next() => for change in changes {
                match change {
                    Change::Applied { new, .. } => {
                        known.insert(new.key.name.to_string(), new.clone());
                        work.begin(&executor, new);
                    }
                    Change::Deleted(last) => {
                        known.remove(&*last.key.name);
                        work.failures.remove(&*last.key.name);
                    }
                    Change::Synced => {}
                }
            },
            Some(ended) = work.tasks.join_next() => {
                let (name, result) = ended.map_err(|e| ApiError::internal(e.to_string()))?;
                work.done(name, result);
            }
            () = pause => {}
            () = cancel.cancelled() => return Ok(()),
        }
        for name in work.ready(Instant::now()) {
            match known.get(&name) {
                Some(volume) => work.begin(&executor, volume.clone()),
                None => _ = work.due.remove(&name),
            }
        }
    }
}
