//! The actor of one pod. It keeps what is observed of the pod, asks the pure functions what to do, passes operations to the executor, and reports the status.
mod message;
mod resize;
mod wanted;

pub use message::Message;
pub use wanted::{POD, Wanted};

use crate::admission;
use crate::executor::{Executor, OpContext, OpOutcome, pod_ref};
use crate::logs::beginning;
use crate::pod::backoff;
use crate::pod::life::Life;
use crate::pod::op::{PodOp, StopReason};
use crate::pod::probe::{ProbeKind, ProbeState};
use crate::pod::resize::{Sizes, said_of_run, words};
use crate::pod::status::{NodeFacts, is_reported, status};
use crate::pod::sync::{SyncPlan, Waiting, sync};
use crate::pod::{Observed, Rejection, Slot, Trouble, TroubleKind, full_name};
use crate::recorder::Subject;
use crate::reports::Report;
use crate::runtime::{Container, EventKind, RunState, RuntimeError};
use crate::volumes;
use bus::actor::{Actor, ActorRef, Context};
use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use model::{ApiError, Stored};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long after the runtime didn't answer it is asked again.
const COMPARE: SignedDuration = SignedDuration::from_secs(10);
/// The most of why an op failed.
const MESSAGE_MAX: usize = 4096;

/// Why a pod's actor starts again.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// The object doesn't decode.
    #[error("the pod does not decode: {0}")]
    Object(#[from] ApiError),
    /// The runtime doesn't say what is there.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// One pod.
pub struct PodActor {
    executor: Arc<Executor>,
    wanted: Arc<Wanted>,
    revision: u64,
    /// The pod as it is wanted.
    desired: Arc<Pod>,
    /// The same, with the size that it is given.
    pod: Arc<Pod>,
    /// What its containers are given; unknown at first.
    allotted: Option<Sizes>,
    /// Whether the node runs it, so that sizes are decided on.
    entered: bool,
    /// Until when other sizes than the present ones aren't decided on.
    resize_at: Option<Timestamp>,
    /// Whether it is being given another size.
    resizing: bool,
    /// Tells when another pod gives room back.
    freed: watch::Receiver<()>,
    seen: Observed,
    ending: CancellationToken,
    /// When volumes must be made again.
    refresh: Option<Timestamp>,
    /// When to compare with the runtime, which didn't answer, again.
    compare: Option<Timestamp>,
    /// What is being done with objects that have changed since.
    renewed: BTreeSet<Slot>,
    /// Why the node doesn't run the pod, for want of what it asks for.
    refused: Option<Rejection>,
    /// The status that the cluster has.
    acknowledged: Option<PodStatus>,
    writing: bool,
    write_failures: u32,
    write_again: Option<Timestamp>,
    /// What waits, and was told in an event.
    told: BTreeMap<String, Timestamp>,
    timer: Option<tokio::task::AbortHandle>,
    /// Called when nothing is left of the pod.
    ended: Box<dyn Fn() + Send>,
}

impl PodActor {
    /// A pod's actor; it observes before it acts. `ended` is called when nothing is left of the pod.
    pub fn new(executor: Arc<Executor>, wanted: Arc<Wanted>, ended: Box<dyn Fn() + Send>) -> Self {
        Self {
            freed: executor.freed.subscribe(),
            executor,
            wanted,
            ended,
            revision: 0,
            desired: Arc::default(),
            pod: Arc::default(),
            allotted: None,
            entered: false,
            resize_at: None,
            resizing: false,
            seen: Observed::default(),
            ending: CancellationToken::new(),
            refresh: None,
            compare: None,
            renewed: BTreeSet::new(),
            refused: None,
            acknowledged: None,
            writing: false,
            write_failures: 0,
            write_again: None,
            told: BTreeMap::new(),
            timer: None,
        }
    }
}

impl Actor for PodActor {
    // boxed: a mailbox has room for several at once, and there are as many mailboxes as pods
    type Message = Box<Message>;
    type Error = PodError;

    async fn started(&mut self, ctx: &Context<Box<Message>>) -> Result<(), PodError> {
        self.read_object()?;
        if self.wanted.known.swap(true, Ordering::Relaxed) {
            self.observe().await?;
        }
        self.enter().await;
        let now = Timestamp::now();
        self.enter_sizes(now);
        let before = self.pod.status.as_ref().and_then(|s| s.start_time.as_ref()).map(|t| t.0);
        self.seen.start_time = before.or(Some(now));
        self.advance(ctx, now);
        Ok(())
    }

    async fn handle(&mut self, message: Box<Message>, ctx: &Context<Box<Message>>) -> Result<(), PodError> {
        let now = Timestamp::now();
        if self.wanted.behind.swap(false, Ordering::SeqCst) {
            self.read_object()?;
            self.renew(now);
            self.compare = Some(now);
        }
        if self.compare.is_some_and(|at| at <= now) {
            self.relist(now).await;
        }
        match *message {
            Message::Changed => self.read_object()?,
            Message::Event(event) => self.event(&event, ctx),
            Message::Wake => {}
            Message::Refresh => self.renew(now),
            Message::Done(slot, outcome) => self.done(slot, outcome, now, ctx),
            Message::Seen(id, run, message) => self.saw(id, run, message),
            Message::Written(status, result) => self.written(*status, result, now),
            Message::Relist => self.relist(now).await,
        }
        self.resize_again(now);
        self.advance(ctx, now);
        Ok(())
    }
}

impl PodActor {
    fn read_object(&mut self) -> Result<(), PodError> {
        let object = self.wanted.object();
        self.seen.gone = self.wanted.gone.load(Ordering::Relaxed);
        if object.revision >= self.revision {
            self.revision = object.revision;
            let pod = object.typed::<Pod>()?;
            self.take(pod);
            self.compare_status();
            self.admit();
        }
        if self.seen.gone || self.pod.metadata.deletion_timestamp.is_some() {
            self.ending.cancel();
        }
        Ok(())
    }

    /// Takes a newer form of the pod. What its volumes show of it is written anew where that is another.
    fn take(&mut self, pod: Arc<Pod>) {
        let (new, old) = (&pod.metadata, &self.pod.metadata);
        let others = new.labels != old.labels || new.annotations != old.annotations;
        if others && self.seen.volumes && volumes::show_metadata(&pod) {
            self.refresh = Some(Timestamp::now());
            self.renewed.extend(self.seen.busy.iter().filter(|slot| **slot == Slot::Volumes).cloned());
        }
        self.desired = pod;
        self.resize();
    }

    /// Whether this node runs the pod at all.
    fn admit(&mut self) {
        let forbidden = self.executor.node.sysctls.admit(crate::pod::spec(&self.pod)).err();
        let why = forbidden.map(|message| Rejection { reason: crate::sysctl::FORBIDDEN.into(), message }).or_else(|| self.refused.clone());
        if let Some(Rejection { reason, message }) =
            why.as_ref().filter(|why| self.seen.rejected.as_ref() != Some(why) && !crate::pod::life::was_over(&self.pod))
        {
            self.executor.recorder.warning(&Subject::pod(&self.pod), reason.clone(), message);
        }
        self.seen.rejected = why;
    }

    /// Asks, before anything of the pod is there, whether the node has what it asks for. A pod of which something is there was asked for before.
    async fn enter(&mut self) {
        if self.seen.rejected.is_some() || Life::of(&self.pod, &self.seen, Timestamp::now()) != Life::Lives {
            return;
        }
        let (uid, object) = (self.wanted.uid.clone(), self.wanted.object());
        if admission::has_begun(&self.seen) {
            // an agent before this one may not have had room for what is wanted
            return if Arc::ptr_eq(&self.pod, &self.desired) {
                self.executor.admission.hold(&uid, &object);
            } else {
                self.executor.admission.hold_as(&uid, &self.pod);
            };
        }
        if self.executor.admission.admit(&uid, &object, &self.pod).is_err() {
            // the node's object as it was seen last may be an old one
            crate::node::look(&self.executor).await;
            self.refused = self.executor.admission.admit(&uid, &object, &self.pod).err();
        }
        if let Some(why) = &self.refused {
            self.executor.admission.refuse(&uid, why.clone());
        }
        self.admit();
    }

    /// Somebody else may have written the status (a node that was silent too long): then ours is written again.
    fn compare_status(&mut self) {
        let (Some(ours), Some(theirs)) = (&self.acknowledged, &self.pod.status) else { return };
        let conditions = |s: &PodStatus| -> Vec<(String, String)> {
            let own = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"];
            let mut list: Vec<_> =
                s.conditions.iter().flatten().filter(|c| own.contains(&c.type_.as_str())).map(|c| (c.type_.clone(), c.status.clone())).collect();
            list.sort();
            list
        };
        if !self.writing && (ours.phase != theirs.phase || conditions(ours) != conditions(theirs)) {
            self.acknowledged = None;
        }
    }

    /// What the runtime has of this pod.
    async fn observe(&mut self) -> Result<(), PodError> {
        let uid = &self.wanted.uid;
        self.seen.sandbox = self.executor.runtime.sandbox(uid).await?;
        let runs = self.executor.runs(uid).await?;
        self.seen.attempts = self.executor.attempts(uid);
        let ids: Vec<&str> = runs.iter().map(|r| r.id.as_str()).collect();
        let lost: Vec<String> = self.seen.all().filter(|r| !ids.contains(&r.id.as_str())).map(|r| r.id.clone()).collect();
        lost.iter().for_each(|id| self.seen.forget(id));
        for run in runs {
            if let Some(size) = said_of_run(&self.desired, &run.name, &run.id) {
                self.seen.sizes.entry((run.name.clone(), run.attempt)).or_insert(size);
            }
            // A run that never began shows nothing of why; what is known of it here is better.
            let known = self.seen.all().any(|r| r.id == run.id);
            if !(known && run.state == RunState::Created) {
                if let Some(message) = self.executor.final_message(&self.pod, &run).await {
                    self.seen.messages.insert(run.id.clone(), message);
                }
                self.seen.put(run);
            }
        }
        Ok(())
    }

    /// The same later on: where the runtime doesn't answer, what is known is good enough until it does.
    async fn relist(&mut self, now: Timestamp) {
        let seen = self.observe().await.inspect_err(|error| tracing::warn!(pod = full_name(&self.pod), %error, "a pod could not be compared"));
        self.compare = if seen.is_ok() { None } else { now.saturating_add(COMPARE).ok() };
    }

    /// Something that the pod refers to is another one, or is there at last: what failed for want of it is tried now, and what is being tried with what was
    /// there before is tried again; not more often than each second, however often somebody changes it.
    fn renew(&mut self, now: Timestamp) {
        self.refresh = Some(now);
        self.renewed.clone_from(&self.seen.busy);
        for trouble in self.seen.troubles.values_mut().filter(|t| t.kind.may_lack_an_object()) {
            trouble.retry = trouble.retry.min(apart(trouble.since).max(now));
        }
    }

    fn event(&mut self, event: &crate::runtime::Event, ctx: &Context<Box<Message>>) {
        if event.kind == EventKind::Removed {
            return self.seen.forget(&event.id);
        }
        // A start that this actor makes itself tells its result.
        if event.kind == EventKind::Started {
            return;
        }
        let (executor, me, id, pod) = (self.executor.clone(), ctx.me(), event.id.clone(), self.pod.clone());
        tokio::spawn(async move {
            let message = match executor.runtime.inspect(&id).await {
                Ok(run) => {
                    let text = executor.final_message(&pod, &run).await;
                    Message::Seen(id, Some(run), text)
                }
                Err(RuntimeError::NotFound(_)) => Message::Seen(id, None, None),
                Err(error) => {
                    tracing::warn!(%error, "a container's end could not be read");
                    Message::Relist
                }
            };
            tell(&me, message).await;
        });
    }

    fn saw(&mut self, id: String, run: Option<Container>, message: Option<String>) {
        match run {
            Some(run) => {
                if !matches!(run.state, RunState::Running(_)) {
                    self.seen.stopping.remove(&id);
                }
                if let Some(message) = message {
                    self.seen.messages.insert(id, message);
                }
                self.seen.put(run);
            }
            None => self.seen.forget(&id),
        }
    }

    fn done(&mut self, slot: Slot, outcome: OpOutcome, now: Timestamp, ctx: &Context<Box<Message>>) {
        self.seen.busy.remove(&slot);
        let stale = self.renewed.remove(&slot);
        if let OpOutcome::Failed(kind, message) = outcome {
            if kind == TroubleKind::CreateContainerError {
                // What an agent before had begun to create may be in the way.
                let me = ctx.me();
                tokio::spawn(async move { tell(&me, Message::Relist).await });
            }
            return self.failed(slot, kind, message, now, stale);
        }
        self.seen.troubles.remove(&slot);
        match outcome {
            OpOutcome::Volumes(refresh) => {
                self.seen.volumes = true;
                // Whoever asked for it meanwhile means what has come since.
                self.refresh = [self.refresh, refresh].into_iter().flatten().min();
            }
            OpOutcome::Sandbox(sandbox) => self.seen.sandbox = sandbox,
            OpOutcome::Run(run) if matches!(run.state, RunState::Running(_)) && self.seen.has_ended(&run.id) => {}
            OpOutcome::Run(run) => {
                let ended = matches!(run.state, RunState::Exited(_));
                let event = crate::runtime::Event { id: run.id.clone(), uid: String::new(), kind: EventKind::Ended };
                self.saw(run.id.clone(), Some(run), None);
                if ended {
                    self.event(&event, ctx); // for its last words
                }
            }
            OpOutcome::Removed(id) => self.seen.forget(&id),
            OpOutcome::Probed { container, kind, run, failure } => {
                self.probed(container, kind, &run, failure.is_none(), now);
            }
            OpOutcome::Resized { container, attempt, size } => _ = self.seen.sizes.insert((container, attempt), size),
            OpOutcome::Released => self.seen.released = true,
            OpOutcome::Confirmed => self.seen.confirmed = true,
            OpOutcome::Done | OpOutcome::Failed(..) => {}
        }
    }

    fn probed(&mut self, name: String, kind: ProbeKind, run: &str, success: bool, now: Timestamp) {
        let pod = self.pod.clone();
        let container = crate::pod::container(&pod, &name);
        let Some(probe) = container.as_deref().and_then(|c| kind.of(c)) else { return };
        let Some(Container { id, state: RunState::Running(started), .. }) = self.seen.newest(&name) else { return };
        if id != run {
            return;
        }
        let before = self.seen.probe(&name, kind, run).cloned().unwrap_or_else(|| ProbeState::new(run, kind, probe, *started));
        self.seen.probes.insert((name, kind), before.after(probe, success, now));
    }

    fn failed(&mut self, slot: Slot, kind: TroubleKind, message: String, now: Timestamp, stale: bool) {
        // It becomes a part of the status, and it may hold anything that the pod says.
        let message = beginning(&message, MESSAGE_MAX).to_owned();
        tracing::debug!(pod = full_name(&self.pod), ?slot, ?kind, message, "an op failed");
        if matches!(slot, Slot::Resize(_)) {
            self.executor.recorder.warning(&Subject::pod(&self.pod), "ResizeError", &words("Pod resize error", &self.pod, &message));
        }
        let failures = self.seen.troubles.get(&slot).filter(|t| t.kind == kind).map_or(0, |t| t.failures).saturating_add(1);
        let initial = match kind {
            TroubleKind::ErrImagePull | TroubleKind::InvalidImageName | TroubleKind::ErrImageNeverPull => backoff::INITIAL,
            TroubleKind::FailedMount | TroubleKind::Failed => SignedDuration::from_millis(500),
            _ => SignedDuration::from_secs(1),
        };
        let retry = now.saturating_add(backoff::after(failures, initial)).unwrap_or(now);
        let retry = if stale && kind.may_lack_an_object() { retry.min(apart(now)) } else { retry };
        if slot == Slot::Volumes && self.seen.volumes {
            // they are there, and would not be made once more
            self.refresh = Some(self.refresh.map_or(retry, |at| at.min(retry)));
        }
        self.seen.troubles.insert(slot, Trouble { kind, message, failures, since: now, retry });
    }

    fn written(&mut self, status: PodStatus, result: Result<Arc<Stored>, ApiError>, now: Timestamp) {
        self.writing = false;
        match result {
            Ok(stored) => {
                self.write_failures = 0;
                self.write_again = None;
                self.acknowledged = Some(status);
                if stored.revision > self.revision
                    && let Ok(pod) = stored.typed::<Pod>()
                {
                    self.revision = stored.revision;
                    self.take(pod);
                }
            }
            // The object is gone or another one: there is nothing to report to.
            Err(e) if e.is_not_found() || e.is_conflict() => self.acknowledged = Some(status),
            Err(error) => {
                self.write_failures = self.write_failures.saturating_add(1);
                let after = backoff::after(self.write_failures, SignedDuration::from_millis(200)).min(SignedDuration::from_secs(5));
                self.write_again = now.saturating_add(after).ok();
                tracing::debug!(pod = full_name(&self.pod), %error, "the status was not written");
            }
        }
    }

    /// Decides and begins what follows.
    fn advance(&mut self, ctx: &Context<Box<Message>>, now: Timestamp) {
        if self.refresh.is_some_and(|at| at <= now) && !self.seen.busy.contains(&Slot::Volumes) && Life::of(&self.pod, &self.seen, now) == Life::Lives {
            self.refresh = None;
            self.begin(PodOp::Volumes, now, ctx);
        }
        self.tell_resized();
        let SyncPlan { ops, wake, waiting } = sync(&self.pod, &self.seen, now);
        self.tell_waiting(waiting);
        if admission::has_left(&self.pod, &self.seen, now) {
            self.executor.leave(&self.wanted.uid);
        }
        self.report(ctx, now);
        for op in ops {
            if op != PodOp::Confirm || self.is_reported() {
                self.begin(op, now, ctx);
            }
        }
        if self.seen.released && (self.seen.gone || self.seen.confirmed) {
            (self.ended)();
            return ctx.stop();
        }
        let due = [wake, self.refresh, self.write_again, self.compare, self.resize_at].into_iter().flatten().min();
        self.set_timer(due, now, ctx);
    }

    fn is_reported(&self) -> bool {
        is_reported(self.writing, self.acknowledged.as_ref(), self.seen.reported.as_ref())
    }

    fn tell_waiting(&mut self, waiting: Vec<Waiting>) {
        for Waiting { container: name, until, pull } in waiting {
            let Some(c) = crate::pod::container(&self.pod, &name).filter(|_| self.told.insert(name.clone(), until) != Some(until)) else { continue };
            let recorder = &self.executor.recorder;
            if pull {
                recorder.container(&self.pod, &c, "BackOff", &format!("Back-off pulling image \"{}\"", c.image.as_deref().unwrap_or_default()));
                recorder.container_warning(&self.pod, &c, "Failed", "Error: ImagePullBackOff");
            } else {
                recorder.container_warning(&self.pod, &c, "BackOff", &format!("Back-off restarting failed container {name} in pod {}", full_name(&self.pod)));
            }
        }
    }

    fn job(&self) -> OpContext {
        OpContext { pod: self.pod.clone(), seen: Arc::new(self.seen.clone()), ending: self.ending.clone() }
    }

    fn begin(&mut self, op: PodOp, now: Timestamp, ctx: &Context<Box<Message>>) {
        self.before(&op, now);
        let job = self.job();
        let slot = op.slot();
        self.seen.busy.insert(slot.clone());
        let (executor, wanted, me) = (self.executor.clone(), self.wanted.clone(), ctx.me());
        tokio::spawn(async move {
            let outcome = AssertUnwindSafe(perform(&executor, wanted, &job, &op)).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| OpOutcome::Failed(TroubleKind::Failed, format!("{op:?} panicked")));
            tell(&me, Message::Done(slot, outcome)).await;
        });
    }

    fn before(&mut self, op: &PodOp, now: Timestamp) {
        if let PodOp::Stop { reason: StopReason::Probe(kind), .. } = op {
            tracing::info!(pod = full_name(&self.pod), ?kind, "a container is restarted for its probe");
        }
        if let PodOp::Start { container, attempt } = op
            && let Some(size) = self.allotted.as_ref().and_then(|sizes| sizes.get(container))
        {
            self.seen.sizes.insert((container.clone(), *attempt), size.clone());
        }
        self.seen.begins(op, now);
    }

    fn report(&mut self, ctx: &Context<Box<Message>>, now: Timestamp) {
        let facts = NodeFacts { addresses: self.executor.node.addresses.clone() };
        let Some(status) = status(&self.pod, &self.seen, &facts, now) else {
            self.acknowledged = self.seen.reported.clone();
            return;
        };
        let news = self.seen.reported.as_ref() != Some(&status);
        self.seen.reported = Some(status.clone());
        let waits = self.write_again.is_some_and(|at| at > now);
        if self.seen.gone || waits || self.acknowledged.as_ref() == Some(&status) || (self.writing && !news) {
            return;
        }
        let report = Report { pod: pod_ref(&self.pod), status: Box::new(status), from: ctx.me() };
        if self.writing {
            self.executor.reports.renew(report);
        } else {
            self.writing = true;
            self.executor.reports.put(report);
        }
    }

    fn set_timer(&mut self, due: Option<Timestamp>, now: Timestamp, ctx: &Context<Box<Message>>) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        let waits = self.waits_for_room();
        if due.is_none() && !waits {
            return;
        }
        let wait = due.map(|due| std::time::Duration::try_from(due.duration_since(now)).unwrap_or_default());
        let (me, mut freed) = (ctx.me(), self.freed.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                _ = freed.changed(), if waits => {}
            }
            tell(&me, Message::Wake).await;
        });
        self.timer = Some(task.abort_handle());
    }
}

/// The earliest that what failed then is tried again for the sake of an object.
fn apart(failed: Timestamp) -> Timestamp {
    failed.saturating_add(SignedDuration::from_secs(1)).unwrap_or(failed)
}

/// Carries an op out. A pod is on disk when its sandbox is there: before any of its containers runs.
async fn perform(executor: &Executor, wanted: Arc<Wanted>, job: &OpContext, op: &PodOp) -> OpOutcome {
    if *op != PodOp::CreateSandbox || !executor.runtime.uses_files() {
        return executor.perform(job, op).await;
    }
    let dir = executor.dir(&wanted.uid);
    let kept = tokio::task::spawn_blocking(move || wanted.keep(&dir));
    let (outcome, kept) = futures::join!(executor.perform(job, op), kept);
    kept.map_or_else(|e| OpOutcome::Failed(TroubleKind::Failed, e.to_string()), |()| outcome)
}

async fn tell(me: &ActorRef<Box<Message>>, message: Message) {
    if let Err(stopped) = me.send(Box::new(message)).await {
        tracing::trace!(%stopped, "a pod's actor ended before its op");
    }
}

#[cfg(test)]
mod tests;
