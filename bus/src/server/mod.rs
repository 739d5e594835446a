//! The embedded `nats-server`: a child process with its own configuration, which is restarted when it dies and ends with this process.
//!
//! A dedicated thread starts each child and waits for it. Where `setpriv` exists, its `--pdeathsig` makes the kernel kill the child when that thread ends,
//! even after `kill -9` of this process. Elsewhere the next start finds the remaining server by its pid file and stops it.
mod child;
mod config;
mod error;
mod staging;

use crate::backoff::Backoff;
pub use config::{ServerOptions, Tls, User};
pub use error::ServerError;
pub use staging::forget;

use child::{Child, End, Reloads, find_binary};
use std::fs::{File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The longest that a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a full disk is looked at; nothing tells when space is freed.
const SPACE: Duration = Duration::from_secs(1);
/// With less a server isn't started again after its disk was full, bytes.
const ENOUGH: u64 = 8 << 20;
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// A running server. [`Server::stop`] stops it in good order; dropping it asks it to stop without waiting.
pub struct Server {
    port: u16,
    pid: watch::Receiver<Option<u32>>,
    restarts: watch::Receiver<u64>,
    reloads: watch::Receiver<Reloads>,
    stop: CancellationToken,
    supervisor: JoinHandle<()>,
    options: ServerOptions,
}

impl Server {
    /// Starts a server on the options' data directory and waits until it takes connections.
    ///
    /// # Errors
    /// [`ServerError`], each with its remedy.
    pub async fn start(options: ServerOptions) -> Result<Self, ServerError> {
        let binary = find_binary(options.binaries.as_deref())?;
        let lock = lock(&options.directory)?;
        take_over(&options).await;
        let first = launch(&binary, &options).await?;
        staging::link(&options, true);
        let mut options = options;
        options.port = Some(first.port);
        let (pid, pid_seen) = watch::channel(Some(first.pid));
        let (restarts, restarts_seen) = watch::channel(0);
        let (reloads, reloads_seen) = watch::channel(Reloads::default());
        let (first, stop) = (first.telling(&reloads), CancellationToken::new());
        let supervisor = Supervisor { binary, options: options.clone(), pid, restarts, reloads, stop: stop.clone(), _lock: lock };
        let supervisor = tokio::spawn(supervisor.run(first));
        let port = options.port.unwrap_or_default();
        Ok(Self { port, pid: pid_seen, restarts: restarts_seen, reloads: reloads_seen, stop, supervisor, options })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "tls" } else { "nats" };
        let host = if self.options.host.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { self.options.host };
        format!("{scheme}://{}", SocketAddr::new(host, self.port))
    }

    /// The port of [`Server::url`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The child's process id; `None` while it is being started again.
    pub fn pid(&self) -> Option<u32> {
        *self.pid.borrow()
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u64 {
        *self.restarts.borrow()
    }

    /// Lets these users in, and only them, without a restart. What is returned says when that holds.
    ///
    /// # Errors
    /// When the configuration can't be written or the server can't be told.
    pub fn authorize(&mut self, users: Vec<User>) -> Result<Reloading, ServerError> {
        let before = self.reloads.borrow().clone();
        self.options.users = users;
        config::write(&self.options)?;
        if let Some(pid) = self.pid() {
            child::signal(pid, rustix::process::Signal::HUP).map_err(|source| ServerError::Signal { source })?;
        }
        Ok(Reloading { before, reloads: self.reloads.clone(), restarts: (*self.restarts.borrow(), self.restarts.clone()) })
    }

    /// Makes atomic batches cheaper to streams that were made since the start, and to which nobody writes yet.
    pub fn streams_made(&self) {
        staging::link(&self.options, true);
    }

    /// Stops it and waits until it has stopped.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.supervisor).await {
            tracing::error!(%error, "the supervisor of nats-server failed");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let (false, Some(pid)) = (self.supervisor.is_finished(), self.pid())
            && let Err(error) = child::signal(pid, rustix::process::Signal::TERM)
        {
            tracing::debug!(%error, pid, "nats-server is gone already");
        }
        if let Err(error) = forget(&self.options.directory) {
            tracing::debug!(%error, "what was in memory for batches stays there");
        }
    }
}

/// A configuration that the server is reading.
#[must_use]
pub struct Reloading {
    before: Reloads,
    reloads: watch::Receiver<Reloads>,
    restarts: (u64, watch::Receiver<u64>),
}

impl Reloading {
    /// Completes once the server has read it: who isn't in it is cut off by then.
    ///
    /// # Errors
    /// When it doesn't take it, or doesn't say within ten seconds.
    pub async fn done(mut self) -> Result<(), ServerError> {
        let (before, (restarts, mut restarted)) = (self.before, self.restarts);
        let read = self.reloads.wait_for(|now| now.done > before.done || now.failed > before.failed);
        let read = tokio::time::timeout(PATIENCE, async {
            tokio::select! {
                now = read => now.ok().map(|now| now.clone()),
                // a server that was started meanwhile began with it
                _ = restarted.wait_for(|now| *now > restarts) => None,
            }
        });
        match read.await.map_err(|_| ServerError::Slow { seconds: PATIENCE.as_secs() })? {
            Some(now) if now.failed > before.failed => Err(ServerError::Failed { log: now.why }),
            _ => Ok(()),
        }
    }
}

struct Supervisor {
    binary: PathBuf,
    options: ServerOptions,
    pid: watch::Sender<Option<u32>>,
    restarts: watch::Sender<u64>,
    reloads: watch::Sender<Reloads>,
    stop: CancellationToken,
    _lock: Arc<File>,
}

impl Supervisor {
    /// Keeps a server running until told to stop.
    async fn run(self, mut child: Child) {
        let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
        loop {
            let began = std::time::Instant::now();
            tokio::select! {
                () = self.stop.cancelled() => return child.stop(PATIENCE).await,
                end = child.end() => match end {
                    End::Exited(status) => tracing::warn!(%status, "nats-server ended, starting it again"),
                    End::Stuck(why) => {
                        if !self.unstick(&mut child, &why).await {
                            return child.stop(PATIENCE).await;
                        }
                    }
                },
            }
            self.pid.send_replace(None);
            if began.elapsed() > BACKOFF_MAX {
                backoff.reset();
            }
            let Some(next) = self.again(&mut backoff).await else { return };
            child = next;
            self.restarts.send_modify(|n| *n += 1);
            self.pid.send_replace(Some(child.pid));
        }
    }

    /// A server whose disk was full reads on, and takes writes again only when it is started anew: as soon as there is space. `false` when told to
    /// stop meanwhile.
    async fn unstick(&self, child: &mut Child, why: &str) -> bool {
        tracing::error!(why, directory = %self.options.directory.display(), "NATS can't write its log: free some space on its disk");
        let space = async {
            let mut ticks = tokio::time::interval(SPACE);
            loop {
                tokio::select! {
                    // what else it says must not fill the pipe
                    End::Exited(status) = child.end() => return Some(status),
                    _ = ticks.tick() => if has_space(&self.options.directory) { return None },
                }
            }
        };
        let exited = tokio::select! {
            () = self.stop.cancelled() => return false,
            exited = space => exited,
        };
        if exited.is_none() {
            tracing::warn!("there is space again, starting nats-server again");
            child.quit(PATIENCE).await;
        }
        true
    }

    /// A new child, tried until there is one; `None` when told to stop.
    async fn again(&self, backoff: &mut Backoff) -> Option<Child> {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep(backoff.pause()) => {}
            }
            match Child::start(&self.binary, &self.options, PATIENCE).await {
                Ok(child) => {
                    staging::link(&self.options, false);
                    return Some(child.telling(&self.reloads));
                }
                Err(error) => tracing::error!(%error, "nats-server doesn't start"),
            }
        }
    }
}

async fn launch(binary: &Path, options: &ServerOptions) -> Result<Child, ServerError> {
    config::write(options)?;
    let child = Child::start(binary, options, PATIENCE).await?;
    // the port stays the same over restarts, since clients know it
    let known = ServerOptions { port: Some(child.port), ..options.clone() };
    config::write(&known)?;
    Ok(child)
}

/// Whether a log can go on there. When that can't be told, trying tells.
fn has_space(directory: &Path) -> bool {
    rustix::fs::statvfs(directory).map_or(true, |disk| disk.f_bavail * disk.f_frsize >= ENOUGH)
}

/// One process has the directory at a time.
fn lock(directory: &Path) -> Result<Arc<File>, ServerError> {
    let unwritable = |source: io::Error| ServerError::Unwritable { directory: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(unwritable)?;
    let file = File::options().create(true).truncate(false).write(true).open(directory.join("lock")).map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => Ok(Arc::new(file)),
        Err(TryLockError::WouldBlock) => Err(ServerError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(unwritable(source)),
    }
}

/// Stops a server that an earlier process left on this directory.
async fn take_over(options: &ServerOptions) {
    let Some(pid) = std::fs::read_to_string(options.pid_file()).ok().and_then(|text| text.trim().parse().ok()) else { return };
    if child::is_ours(pid, &options.config_file()) {
        tracing::warn!(pid, "stopping a nats-server that was left behind");
        child::end_orphan(pid, PATIENCE).await;
    }
}
