//! Makes consistent reads possible: a reader waits until the cache holds everything that the log held when it asked. Readers that ask at the same time share
//! one question to the server.
use super::error::StoreError;
use super::leader::Leader;
use super::log::Log;
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
    leader: Leader,
    timeout: Duration,
    askers: mpsc::Sender<Asker>,
}

impl Barrier {
    /// A barrier and the loop that asks for it.
    pub(crate) fn new(log: Arc<Log>, leader: Leader, counters: Arc<Counters>, timeout: Duration) -> (Self, Questions) {
        let (askers, inbox) = mpsc::channel(4096);
        (Self { log, leader: leader.clone(), timeout, askers }, Questions { leader, counters, inbox })
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
        let mut applied = self.log.subscribe();
        loop {
            let reached = async { applied.wait_for(|applied| *applied >= end).await.map(drop) };
            match tokio::time::timeout(SUSPICIOUS, reached).await {
                Ok(reached) => return reached.map_err(|_| stopped()),
                Err(_) => self.leader.settle(&self.log, end).await.map_err(StoreError::Unavailable)?,
            }
        }
    }
}

/// The loop that asks the stream's leader, for all who came meanwhile.
pub(crate) struct Questions {
    leader: Leader,
    counters: Arc<Counters>,
    inbox: mpsc::Receiver<Asker>,
}

impl Questions {
    /// Runs until cancelled or until nobody can ask any more.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut askers = Vec::new();
        loop {
            let n = tokio::select! {
                () = cancel.cancelled() => return,
                n = self.inbox.recv_many(&mut askers, 4096) => n,
            };
            if n == 0 {
                return;
            }
            self.counters.barriers.add(1);
            let end = self.leader.end().await;
            for asker in askers.drain(..) {
                // Who stopped waiting needs no answer.
                _ = asker.send(end.clone());
            }
        }
    }
}
