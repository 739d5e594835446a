//! An actor's life: what it does with messages, what it has around it meanwhile, and how it is started.
use super::actor_ref::ActorRef;
use super::directory::Slot;
use super::options::Options;
use super::supervise::{Scope, supervise};
use std::fmt;
use std::future::{Future, ready};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A value that handles messages one at a time.
pub trait Actor: Send + 'static {
    /// What it is told.
    type Message: Send + 'static;
    /// Why it can't go on. It is then replaced by a fresh value.
    type Error: fmt::Display + Send;

    /// Runs before the first message, after each (re)start.
    fn started(&mut self, ctx: &Context<Self::Message>) -> impl Future<Output = Result<(), Self::Error>> + Send {
        _ = ctx;
        ready(Ok(()))
    }
    /// Handles one message.
    fn handle(&mut self, message: Self::Message, ctx: &Context<Self::Message>) -> impl Future<Output = Result<(), Self::Error>> + Send;
    /// Runs when the actor is stopped, after its children; not when it failed.
    fn stopping(&mut self) -> impl Future<Output = ()> + Send {
        ready(())
    }
}

/// What an actor has around it while it runs: its own address, its children, its end.
pub struct Context<M> {
    me: ActorRef<M>,
    scope: Scope,
}

impl<M: Send + 'static> Context<M> {
    /// Its own address. An actor that keeps a clone of it in its messages doesn't keep itself alive: it lives until it is stopped.
    pub fn me(&self) -> ActorRef<M> {
        self.me.clone()
    }
    /// Starts a child: it is stopped before its parent, and fails its parent when it keeps failing.
    pub fn spawn<A: Actor>(&self, name: &str, options: Options, make: impl Fn() -> A + Send + 'static) -> ActorRef<A::Message> {
        spawn_actor(&self.scope, name, options, make)
    }
    /// Starts a child task, as [`super::System::task`].
    pub fn task<F, R, E>(&self, name: &str, run: F)
    where
        F: Fn(CancellationToken) -> R + Send + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        spawn_task(&self.scope, name, Options::task(), run);
    }
    /// Stops this actor after the current message. Queued messages are dropped.
    pub fn stop(&self) {
        self.scope.stop.cancel();
    }
    /// Completes when the actor is asked to stop, for handlers that wait for something.
    pub async fn cancelled(&self) {
        self.scope.stop.cancelled().await;
    }
}

pub(super) fn spawn_actor<A: Actor>(parent: &Scope, name: &str, options: Options, make: impl Fn() -> A + Send + 'static) -> ActorRef<A::Message> {
    let (sender, receiver) = mpsc::channel(options.mailbox.max(1));
    let me = ActorRef { path: parent.child_path(name), mailbox: sender };
    let gauge = me.mailbox.clone();
    let slot = Slot::new(me.path.clone(), me.mailbox.max_capacity(), move || gauge.max_capacity() - gauge.capacity());
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
    let slot = Slot::new(parent.child_path(name), 0, || 0);
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
