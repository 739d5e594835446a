//! The tree of actors of a process: starting, seeing and stopping it.
use super::supervise::{Options, Scope, supervise};
use super::{Actor, ActorRef, Context};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What an actor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Taking messages.
    Running,
    /// Failed, waiting for its next start.
    Restarting,
    /// Failed too often and gave up.
    Failed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
        })
    }
}

/// One actor or task as `whalesong status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ActorReport {
    /// Its place in the tree: `parent/child`.
    pub path: String,
    /// What it is doing.
    pub state: State,
    /// How often it was started again.
    pub restarts: u64,
    /// The last failure's words; empty where there was none.
    pub last_failure: String,
    /// Messages that wait in its mailbox.
    pub mailbox: usize,
    /// Messages that its mailbox holds; 0 for tasks.
    pub capacity: usize,
}

/// An entry of the directory.
pub(super) struct Slot {
    pub(super) path: Arc<str>,
    depth: Box<dyn Fn() -> usize + Send + Sync>,
    capacity: usize,
    progress: Mutex<Progress>,
}

struct Progress {
    state: State,
    restarts: u64,
    last_failure: String,
}

impl Slot {
    pub(super) fn enter(&self, state: State) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).state = state;
    }
    pub(super) fn restarted(&self, why: String) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        *progress = Progress { state: State::Restarting, restarts: progress.restarts + 1, last_failure: why };
    }
    fn report(&self) -> ActorReport {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        ActorReport {
            path: self.path.to_string(),
            state: progress.state,
            restarts: progress.restarts,
            last_failure: progress.last_failure.clone(),
            mailbox: (self.depth)(),
            capacity: self.capacity,
        }
    }
}

/// Path, and number of start, since two siblings may have one name.
type ActorKey = (Arc<str>, u64);

#[derive(Default)]
struct Slots {
    started: u64,
    running: BTreeMap<ActorKey, Arc<Slot>>,
}

/// All that runs in a system.
#[derive(Default)]
pub(super) struct Directory {
    slots: Mutex<Slots>,
    /// Ends everything at once, wherever it is.
    pub(super) kill: CancellationToken,
}

/// An entry's stay in the directory; one that gave up stays, so that it is seen.
struct Listed {
    directory: Arc<Directory>,
    key: ActorKey,
}

impl Directory {
    fn list(self: &Arc<Self>, slot: Arc<Slot>) -> Listed {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.started += 1;
        let key = (slot.path.clone(), slots.started);
        slots.running.insert(key.clone(), slot);
        Listed { directory: self.clone(), key }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut slots = self.directory.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.running.get(&self.key).is_some_and(|slot| slot.report().state != State::Failed) {
            slots.running.remove(&self.key);
        }
    }
}

/// The root of a process's actors. Clones are the same system.
#[derive(Clone)]
pub struct System {
    root: Scope,
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl System {
    /// An empty system.
    pub fn new() -> Self {
        Self { root: Scope::root() }
    }

    /// Starts an actor; `make` makes its value, again after each failure.
    pub fn spawn<A: Actor>(&self, name: &str, options: Options, make: impl Fn() -> A + Send + 'static) -> ActorRef<A::Message> {
        spawn_actor(&self.root, name, options, make)
    }

    /// Starts a loop that is started again, after a pause that grows, whenever it fails or panics, and ends when it returns `Ok`.
    /// It should end soon after its token is cancelled.
    pub fn task<F, R, E>(&self, name: &str, run: F)
    where
        F: Fn(CancellationToken) -> R + Send + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        spawn_task(&self.root, name, Options::task(), run);
    }

    /// Starts a loop that can't begin anew, because what it holds would be lost: when it panics, the system has failed ([`System::failed`]).
    /// It should end soon after its token is cancelled.
    pub fn vital<F, R>(&self, name: &str, run: F)
    where
        F: FnOnce(CancellationToken) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let once = Mutex::new(Some(run));
        spawn_task(&self.root, name, Options::once(), move |cancel| {
            let run = once.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move {
                if let Some(run) = run {
                    run(cancel).await;
                }
                Ok::<(), Infallible>(())
            }
        });
    }

    /// All that runs, ordered by path, and what gave up.
    pub fn report(&self) -> Vec<ActorReport> {
        let slots = self.root.directory.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.running.values().map(|slot| slot.report()).collect()
    }

    /// Completes with the reason when something at the root gave up: nothing above can repair it, so the process should end.
    pub async fn failed(&self) -> String {
        self.root.broken().await
    }

    /// A token that is cancelled when the system stops, for what runs beside it.
    pub fn stopping(&self) -> CancellationToken {
        self.root.stop.clone()
    }

    /// Stops everything in good order, children before parents; whatever takes longer than `grace` is dropped where it is.
    /// Says whether all stopped in time.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        let in_time = tokio::time::timeout(grace, self.root.close()).await.is_ok();
        if !in_time {
            let late: Vec<String> = self.report().into_iter().map(|r| r.path).collect();
            tracing::warn!(?late, "not stopped in time");
            self.root.directory.kill.cancel();
            self.root.children.wait().await;
        }
        in_time
    }
}

fn slot(path: Arc<str>, capacity: usize, depth: impl Fn() -> usize + Send + Sync + 'static) -> Arc<Slot> {
    let progress = Progress { state: State::Running, restarts: 0, last_failure: String::new() };
    Arc::new(Slot { path, depth: Box::new(depth), capacity, progress: Mutex::new(progress) })
}

pub(super) fn spawn_actor<A: Actor>(parent: &Scope, name: &str, options: Options, make: impl Fn() -> A + Send + 'static) -> ActorRef<A::Message> {
    let (sender, receiver) = mpsc::channel(options.mailbox.max(1));
    let me = ActorRef { path: parent.child_path(name), mailbox: sender };
    let gauge = me.mailbox.clone();
    let slot = slot(me.path.clone(), me.mailbox.max_capacity(), move || gauge.max_capacity() - gauge.capacity());
    let listed = parent.directory.list(slot.clone());
    let (scope, address) = (parent.clone(), me.clone());
    let mailbox = Arc::new(tokio::sync::Mutex::new(receiver));
    parent.children.spawn(async move {
        let incarnation = move |scope: Scope| {
            let ctx = Context { me: address.clone(), scope };
            let (actor, mailbox) = (make(), mailbox.clone());
            async move { run(actor, ctx, &mut *mailbox.lock().await).await }
        };
        supervise(scope, slot, options, incarnation).await;
        drop(listed);
    });
    me
}

/// One incarnation of an actor.
async fn run<A: Actor>(mut actor: A, ctx: Context<A::Message>, mailbox: &mut mpsc::Receiver<A::Message>) -> Result<(), String> {
    actor.started(&ctx).await.map_err(|e| e.to_string())?;
    serve_mailbox(&mut actor, &ctx, mailbox).await?;
    ctx.scope.close().await;
    actor.stopping().await;
    Ok(())
}

async fn serve_mailbox<A: Actor>(actor: &mut A, ctx: &Context<A::Message>, mailbox: &mut mpsc::Receiver<A::Message>) -> Result<(), String> {
    let (mut stopped, mut broken) = (std::pin::pin!(ctx.scope.stop.cancelled()), std::pin::pin!(ctx.scope.broken()));
    loop {
        let message = tokio::select! {
            biased;
            () = &mut stopped => return Ok(()),
            why = &mut broken => return Err(why),
            message = mailbox.recv() => message,
        };
        let Some(message) = message else { return Ok(()) };
        actor.handle(message, ctx).await.map_err(|e| e.to_string())?;
    }
}

pub(super) fn spawn_task<F, R, E>(parent: &Scope, name: &str, options: Options, run: F)
where
    F: Fn(CancellationToken) -> R + Send + 'static,
    R: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    let slot = slot(parent.child_path(name), 0, || 0);
    let listed = parent.directory.list(slot.clone());
    let scope = parent.clone();
    parent.children.spawn(async move {
        let incarnation = move |scope: Scope| {
            let work = run(scope.stop);
            async move { work.await.map_err(|e| e.to_string()) }
        };
        supervise(scope, slot, options, incarnation).await;
        drop(listed);
    });
}
