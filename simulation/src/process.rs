//! The simulated processes of the control plane: the controllers with their engine, and the scheduler with its core.
use crate::feed::Feed;
use crate::net::{Event, Net, Proc, Results};
use controllers::runtime::actor::{HEARTBEAT_LEASE, request};
use controllers::runtime::engine::{Dispatch, HEARTBEAT, WriteOutcome};
use controllers::runtime::{Engine, Guard, Resource};
use controllers::{Options, engine};
use jiff::Timestamp;
use model::{ApiError, Kinds, Object};
use scheduler::core::{self, BindingResult, Reservation, SchedulerOutput};
use scheduler::pod::PodInfo;
use scheduler::requests::{self, Eviction};
use scheduler::{inputs, schedule};
use serde_json::json;
use state_client::{Body, Change, PatchKind, Reply, Request, Verb};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many plans at most are being carried out at once.
const PARALLEL: usize = 256;

/// What such a process does with what it is told.
pub trait ProcessLogic {
    /// What it waits for a reply to.
    type Pending;
    /// As it is when its process starts.
    fn fresh(&self, net: &mut Net) -> Self;
    /// What it watches.
    fn feeds(&self) -> Vec<Feed>;
    /// A watch showed something.
    fn shown(&mut self, net: &Net, resource: &(String, String), changes: Vec<Change>, revision: u64);
    /// Replies came. May ask for more.
    fn replied(&mut self, net: &mut Net, pending: Self::Pending, results: Results) -> Vec<(Vec<Request>, Self::Pending)>;
    /// What is to be sent now.
    fn turn(&mut self, net: &mut Net) -> Vec<(Vec<Request>, Self::Pending)>;
    /// When it has something to do though nothing comes.
    fn due(&self) -> Option<Timestamp>;
}

/// A process with a logic.
pub struct Process<M: ProcessLogic> {
    proc: Proc,
    logic: M,
    /// Whether it runs.
    pub up: bool,
    /// How often it was started.
    pub epoch: u32,
    /// Its watches.
    pub feeds: Vec<Feed>,
    pending: BTreeMap<u64, M::Pending>,
    wake: Option<Timestamp>,
}

impl<M: ProcessLogic> Process<M> {
    /// One that is not yet started.
    pub fn new(proc: Proc, logic: M) -> Self {
        Self { proc, logic, up: false, epoch: 0, feeds: Vec::new(), pending: BTreeMap::new(), wake: None }
    }

    /// What it thinks.
    pub fn logic(&self) -> &M {
        &self.logic
    }

    /// Starts, knowing nothing; if it doesn't run already.
    pub fn start(&mut self, net: &mut Net) {
        if self.up {
            return;
        }
        self.logic = self.logic.fresh(net);
        (self.up, self.feeds, self.wake) = (true, self.logic.feeds(), None);
        self.go_on(net);
    }

    /// Stops at once.
    pub fn stop(&mut self) {
        (self.up, self.epoch) = (false, self.epoch + 1);
        self.pending.clear();
        self.feeds.clear();
    }

    /// A watch showed something.
    pub fn shown(&mut self, net: &mut Net, resource: &(String, String), changes: Vec<Change>, revision: u64) {
        self.logic.shown(net, resource, changes, revision);
        self.go_on(net);
    }

    /// Replies came.
    pub fn replied(&mut self, net: &mut Net, epoch: u32, id: u64, results: Results) {
        let Some(pending) = self.pending.remove(&id).filter(|_| epoch == self.epoch) else { return };
        let more = self.logic.replied(net, pending, results);
        self.send(net, more);
        self.go_on(net);
    }

    /// Something is due.
    pub fn woken(&mut self, net: &mut Net, epoch: u32) {
        if self.up && epoch == self.epoch {
            self.wake = None;
            self.go_on(net);
        }
    }

    fn send(&mut self, net: &mut Net, all: Vec<(Vec<Request>, M::Pending)>) {
        for (requests, pending) in all {
            let id = net.send(self.proc, self.epoch, requests);
            self.pending.insert(id, pending);
        }
    }

    fn go_on(&mut self, net: &mut Net) {
        let all = self.logic.turn(net);
        self.send(net, all);
        if let Some(due) = self.logic.due().filter(|due| self.wake.is_none_or(|wake| *due < wake)) {
            self.wake = Some(due);
            net.at(due, Event::Wake(self.proc, self.epoch));
        }
    }
}

/// The controllers.
pub struct ControllersProcess {
    kinds: Arc<Kinds>,
    engine: Engine,
    carried: usize,
    beat: Timestamp,
}

/// What the controllers wait for.
pub enum ControllerRequest {
    /// Whether a job's guards hold.
    Guards(Dispatch),
    /// A job's writes: the outcomes so far, and which of them these are.
    Writes(Dispatch, Vec<WriteOutcome>, Vec<usize>),
    /// The heartbeat, or events: whatever comes of it.
    Nothing,
}

impl ControllersProcess {
    /// All of them.
    pub fn new(net: &Net) -> Self {
        let kinds = net.store.kinds.clone();
        let all = engine(&Options::new("PEM", kinds.clone()));
        // the same outputs as in the real process, whose own test sees to it that nothing is owned twice
        let engine = all.unwrap_or_else(|_| unreachable!("nothing is owned twice"));
        Self { kinds, engine, carried: 0, beat: net.now }
    }

    /// Whether a job is being carried out.
    pub fn is_busy(&self) -> bool {
        self.carried > 0
    }

    fn heartbeat(&mut self, net: &Net) -> (Vec<Request>, ControllerRequest) {
        let (namespace, name) = HEARTBEAT_LEASE;
        let spec = json!({"holderIdentity": "c", "leaseDurationSeconds": 25, "renewTime": model::time::format_micro(net.now)});
        let to = |verb, name: &str| Request::new(verb, &Resource::LEASES.group, &Resource::LEASES.name, namespace, name);
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": namespace}, "spec": spec});
        let patch = to(Verb::Patch, name).body(Body::Patch(PatchKind::Merge, json!({"spec": spec}).to_string().into()));
        let create = to(Verb::Create, "").body(Body::Object(Box::new(Object::from_value(lease).unwrap_or_default())));
        self.beat = controllers::runtime::later(net.now, HEARTBEAT);
        (vec![patch, create], ControllerRequest::Nothing)
    }

    fn write(&mut self, net: &Net, mut job: Dispatch, held: Vec<WriteOutcome>) -> Option<(Vec<Request>, ControllerRequest)> {
        let sent: Vec<usize> = held.iter().enumerate().filter(|(_, o)| matches!(o, WriteOutcome::Unsent)).map(|(i, _)| i).collect();
        if sent.is_empty() {
            self.finish(net, job, held);
            return None;
        }
        let requests = sent.iter().filter_map(|i| job.plan.writes.get_mut(*i).map(request)).collect();
        Some((requests, ControllerRequest::Writes(job, held, sent)))
    }

    fn finish(&mut self, net: &Net, job: Dispatch, outcomes: Vec<WriteOutcome>) {
        self.carried -= 1;
        // events are for people
        drop(self.engine.finish(job, outcomes, net.now));
    }

    fn begin(&mut self, net: &Net, job: Dispatch) -> Option<(Vec<Request>, ControllerRequest)> {
        self.carried += 1;
        let guards: Vec<Request> = job.plan.writes.iter().flat_map(|w| &w.guards).map(question).collect();
        if guards.is_empty() {
            let open = job.plan.writes.iter().map(|_| WriteOutcome::Unsent).collect();
            return self.write(net, job, open);
        }
        Some((guards, ControllerRequest::Guards(job)))
    }
}

fn question(guard: &Guard) -> Request {
    match guard {
        Guard::Absent { key, .. } => Request::new(Verb::Get, &key.group, &key.resource, &key.namespace, &key.name),
        Guard::Empty { resource, namespace } => Request::new(Verb::List, &resource.group, &resource.name, namespace, ""),
    }
}

fn holds(guard: &Guard, answer: Result<Reply, ApiError>) -> Result<bool, ApiError> {
    match (guard, answer) {
        (Guard::Absent { uid, .. }, Ok(Reply::Object { object, .. })) => Ok(!uid.is_empty() && object.object().uid() != uid),
        (Guard::Absent { .. }, Err(error)) if error.is_not_found() => Ok(true),
        (Guard::Empty { .. }, Ok(Reply::List(list))) => Ok(list.items.is_empty()),
        (_, Err(error)) => Err(error),
        (_, Ok(_)) => Err(ApiError::internal("another reply than asked for")),
    }
}

fn outcome(reply: Result<Reply, ApiError>) -> WriteOutcome {
    match reply {
        Ok(Reply::Object { object, .. }) => WriteOutcome::Done(Some(object)),
        Ok(_) => WriteOutcome::Done(None),
        Err(error) => WriteOutcome::Failed(error),
    }
}

impl ProcessLogic for ControllersProcess {
    type Pending = ControllerRequest;

    fn fresh(&self, net: &mut Net) -> Self {
        Self::new(net)
    }

    fn feeds(&self) -> Vec<Feed> {
        self.engine.resources().iter().map(|r| Feed::new(&r.group, &r.name, None)).collect()
    }

    fn shown(&mut self, net: &Net, resource: &(String, String), changes: Vec<Change>, revision: u64) {
        let Some(kind) = self.kinds.resource(&resource.0, &resource.1) else { return };
        let resource = Resource::of_kind(kind);
        let ours = |c: &Change| matches!(c, Change::Applied { new, .. } if (&*new.key.namespace, &*new.key.name) == HEARTBEAT_LEASE);
        if resource == Resource::LEASES && changes.iter().any(ours) {
            self.engine.heard(net.now);
        }
        self.engine.observe(&resource, changes, Some(revision), net.now);
    }

    fn replied(&mut self, net: &mut Net, pending: ControllerRequest, results: Results) -> Vec<(Vec<Request>, ControllerRequest)> {
        match pending {
            ControllerRequest::Nothing => Vec::new(),
            ControllerRequest::Guards(job) => {
                let mut answers = results.into_iter();
                let mut one = |guards: &[Guard]| {
                    let held: Vec<_> = guards.iter().map(|g| holds(g, answers.next().unwrap_or_else(|| Err(crate::store::lost())))).collect();
                    match held.into_iter().find(|h| !matches!(h, Ok(true))) {
                        None => WriteOutcome::Unsent,
                        Some(Ok(_)) => WriteOutcome::Held,
                        Some(Err(error)) => WriteOutcome::Failed(error),
                    }
                };
                let held = job.plan.writes.iter().map(|w| one(&w.guards)).collect();
                self.write(net, job, held).into_iter().collect()
            }
            ControllerRequest::Writes(job, mut outcomes, sent) => {
                for (index, result) in sent.into_iter().zip(results) {
                    if let Some(slot) = outcomes.get_mut(index) {
                        *slot = outcome(result);
                    }
                }
                self.finish(net, job, outcomes);
                Vec::new()
            }
        }
    }

    fn turn(&mut self, net: &mut Net) -> Vec<(Vec<Request>, ControllerRequest)> {
        let mut all = Vec::new();
        if self.beat <= net.now {
            all.push(self.heartbeat(net));
        }
        for job in self.engine.turn(net.now, PARALLEL.saturating_sub(self.carried)) {
            all.extend(self.begin(net, job));
        }
        all
    }

    fn due(&self) -> Option<Timestamp> {
        self.engine.next_wake().into_iter().chain([self.beat]).min()
    }
}

/// The scheduler.
pub struct SchedulerProcess {
    seed: u64,
    core: core::SchedulerCore,
    synced: usize,
    writing: usize,
}

/// What the scheduler waits for.
pub enum SchedulerRequest {
    /// Bindings.
    Bindings(Vec<(Arc<PodInfo>, Arc<str>)>),
    /// Victims are told why they go,
    Conditions(Vec<Eviction>),
    /// and to go.
    Deletions(Vec<Eviction>),
    /// What comes before bindings.
    Reservations(Vec<Reservation>),
    /// Statuses of pods without a node: whatever comes of it.
    Refusals(Vec<Arc<str>>),
}

type Sends = Vec<(Vec<Request>, SchedulerRequest)>;

impl SchedulerProcess {
    /// One that has seen nothing.
    pub fn new(seed: u64) -> Self {
        Self { seed, core: core::SchedulerCore::new(seed), synced: 0, writing: 0 }
    }

    fn carry_out(&mut self, output: SchedulerOutput, now: Timestamp) -> Sends {
        let SchedulerOutput { bindings, refusals, evictions, reservations } = output;
        let binding = bindings.iter().map(|(pod, node)| requests::binding(pod, node)).collect();
        let conditions = evictions.iter().map(|e| e.condition(now)).collect();
        let before = reservations.iter().flat_map(|r| &r.writes).map(scheduler::writes::Write::request).collect();
        let (uids, statuses) = refusals.into_iter().unzip();
        self.send(vec![
            (binding, SchedulerRequest::Bindings(bindings)),
            (statuses, SchedulerRequest::Refusals(uids)),
            (conditions, SchedulerRequest::Conditions(evictions)),
            (before, SchedulerRequest::Reservations(reservations)),
        ])
    }

    fn send(&mut self, mut all: Sends) -> Sends {
        all.retain(|(requests, _)| !requests.is_empty());
        self.writing += all.len();
        all
    }

    /// Those that say why they go are told to; the others stay.
    fn tell(&mut self, evictions: Vec<Eviction>, results: Results) -> Sends {
        let (mut told, mut failed) = (Vec::new(), Vec::new());
        for (eviction, result) in evictions.into_iter().zip(results) {
            match result {
                Ok(_) => told.push(eviction),
                Err(error) => failed.push((eviction, Err(error))),
            }
        }
        self.core.evicted(failed);
        let deletions = told.iter().map(Eviction::deletion).collect();
        self.send(vec![(deletions, SchedulerRequest::Deletions(told))])
    }
}

impl ProcessLogic for SchedulerProcess {
    type Pending = SchedulerRequest;

    fn fresh(&self, _: &mut Net) -> Self {
        Self::new(self.seed.wrapping_add(1))
    }

    fn feeds(&self) -> Vec<Feed> {
        inputs::watched().into_iter().map(|w| Feed::new(w.group, w.resource, None)).collect()
    }

    fn shown(&mut self, net: &Net, _: &(String, String), changes: Vec<Change>, _: u64) {
        self.synced += changes.iter().filter(|c| matches!(c, Change::Synced)).count();
        self.core.apply(changes, net.now);
    }

    fn replied(&mut self, net: &mut Net, pending: SchedulerRequest, results: Results) -> Sends {
        self.writing -= 1;
        match pending {
            SchedulerRequest::Bindings(bindings) => {
                let both = bindings.into_iter().zip(results);
                self.core.written(both.map(|((pod, node), result)| BindingResult { pod, node, result: result.map(drop) }).collect(), net.now);
            }
            SchedulerRequest::Conditions(evictions) => return self.tell(evictions, results),
            SchedulerRequest::Deletions(evictions) => {
                self.core.evicted(evictions.into_iter().zip(results).map(|(eviction, result)| (eviction, result.map(drop))).collect());
            }
            SchedulerRequest::Reservations(reservations) => {
                let mut results = results.into_iter().map(|r| r.map(|reply| if let Reply::Object { object, .. } = reply { object.revision } else { 0 }));
                let reserved = reservations.into_iter().map(|r| {
                    let own = results.by_ref().take(r.writes.len()).collect();
                    (r, own)
                });
                let output = self.core.reserved(reserved.collect(), net.now);
                return self.carry_out(output, net.now);
            }
            SchedulerRequest::Refusals(uids) => self.core.refused(&uids),
        }
        Vec::new()
    }

    fn turn(&mut self, net: &mut Net) -> Sends {
        self.core.move_due(net.now);
        drop(self.core.notes());
        let output = self.core.come_about(net.now);
        let mut all = self.carry_out(output, net.now);
        while self.synced >= inputs::watched().len() && self.writing < 4 && self.core.is_ready() {
            let (mut snapshot, pods, seed) = self.core.take(4096, net.now);
            let decisions = schedule(&mut snapshot, &pods, seed);
            let output = self.core.decided(snapshot, decisions, net.now);
            all.extend(self.carry_out(output, net.now));
        }
        all
    }

    fn due(&self) -> Option<Timestamp> {
        self.core.next().filter(|_| self.writing < 4)
    }
}
