//! Makes consistent reads possible: a reader waits until the cache holds everything that the log held when it asked. Readers that ask at the same time share
//! one question to the server.
use super::error::StoreError;
use super::log::Log;
use super::server::StreamServer;
use super::stats::Counters;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// When the tables are still behind after so long, perhaps the log's last messages have expired and will never come.
const SUSPICIOUS: Duration = Duration::from_millis(200);

type Asker = oneshot::Sender<Result<u64, String>>;

/// Asks for a stream's end. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Barrier {
    log: Arc<Log>,
    server: Arc<dyn StreamServer>,
    timeout: Duration,
    askers: mpsc::Sender<Asker>,
}

impl Barrier {
    /// A barrier and the loop that asks for it.
    pub(crate) fn new(log: Arc<Log>, server: Arc<dyn StreamServer>, counters: Arc<Counters>, timeout: Duration) -> (Self, Questions) {
        let (askers, inbox) = mpsc::channel(4096);
        (Self { log, server: server.clone(), timeout, askers }, Questions { server, counters, inbox })
    }

    /// Waits until the tables hold what the log holds now.
    pub(crate) async fn wait(&self) -> Result<(), StoreError> {
        let late = || StoreError::Unavailable(format!("the cache did not reach the log's end within {:?}", self.timeout));
        tokio::time::timeout(self.timeout, self.reach()).await.map_err(|_| late())?
    }

    async fn reach(&self) -> Result<(), StoreError> {
        let stopped = || StoreError::Unavailable("the store has stopped".to_owned());
        let (asker, answer) = oneshot::channel();
        self.askers.send(asker).await.map_err(|_| stopped())?;
        let end = answer.await.map_err(|_| stopped())?.map_err(StoreError::Unavailable)?;
        loop {
            match tokio::time::timeout(SUSPICIOUS, self.log.reach(end)).await {
                Ok(()) => return Ok(()),
                Err(_) => self.settle(end).await.map_err(StoreError::Unavailable)?,
            }
        }
    }

    /// When nothing is left between what the tables have and `end`, they are up to date; unless deletions are among what has gone.
    async fn settle(&self, end: u64) -> Result<(), String> {
        if !self.log.may_lack_markers() && !self.server.holds_after(self.log.applied()).await? {
            self.log.advance(end);
        }
        Ok(())
    }
}

/// The loop that asks the stream's leader, for all who came meanwhile.
pub(crate) struct Questions {
    server: Arc<dyn StreamServer>,
    counters: Arc<Counters>,
    inbox: mpsc::Receiver<Asker>,
}

impl Questions {
    /// Runs until cancelled or until nobody can ask any more.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut askers = Vec::new();
        loop {
            let n = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                n = self.inbox.recv_many(&mut askers, 4096) => n,
            };
            if n == 0 {
                return;
            }
            self.counters.barriers.add(1);
            let end = self.server.state().await.map(|state| state.last_sequence);
            for asker in askers.drain(..) {
                // Who stopped waiting needs no answer.
                _ = asker.send(end.clone());
            }
        }
    }
}
