//! The runtime as one value without I/O: it takes changes and outcomes of writes, and returns plans to carry out. The time is an argument.
use super::controller::{Controller, Failure, Mapping, Moment, Output, ViewChange};
use super::expectations::{Expectation, Expectations};
use super::item::Item;
use super::outside::Questions;
use super::plan::{Plan, Words, Write, WriteOp};
use super::queue::{Depth, Queue, Task};
use super::resource::Resource;
use super::retries::{self, Retries};
use super::view::{FieldIndex, View};
use jiff::{SignedDuration, Timestamp};
use model::{ApiError, Key, Kind, Kinds, Reason, Stored, custom};
use serde_json::Value;
use state_client::events::{EventCorrelator, EventRecord, EventWrite, Source};
use state_client::metrics::{MetricAnswer, MetricQuery};
use state_client::usage::NodeUsage;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Why controllers can't run together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Two own the same.
    #[error("{first} and {second} both own {part:?} of {resource} ({which})")]
    OwnedTwice {
        /// One controller.
        first: &'static str,
        /// The other one.
        second: &'static str,
        /// Of which resource.
        resource: Resource,
        /// Which part.
        part: super::controller::Part,
        /// Of which objects.
        which: &'static str,
    },
}

/// How objects of a resource can be looked up, besides by name and owner.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lookup {
    /// By these fields.
    pub fields: &'static [FieldIndex],
    /// By labels.
    pub labels: bool,
}

/// A plan on its way.
#[derive(Debug)]
pub struct Dispatch {
    /// For whom.
    pub task: Task,
    /// What to do.
    pub plan: Plan,
    /// The revision that the view showed of each write's object.
    before: Vec<u64>,
}

/// What became of one write.
#[derive(Clone, Debug)]
pub enum WriteOutcome {
    /// Done; with the object as it is now, where the reply has it.
    Done(Option<Arc<Stored>>),
    /// A guard didn't hold.
    Held,
    /// Not sent, because others of the same plan failed before.
    Unsent,
    /// Failed.
    Failed(ApiError),
}

/// What is known of one controller, as data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Its name.
    pub name: &'static str,
    /// Whether all of its inputs are complete.
    pub synced: bool,
    /// Its keys.
    pub depth: Depth,
    /// Plans made.
    pub plans: u64,
    /// Writes carried out.
    pub writes: u64,
    /// Writes that met a newer object.
    pub conflicts: u64,
    /// Writes that failed otherwise, and plans that were refused or panicked.
    pub errors: u64,
}

/// What becomes of a key once its writes are seen.
#[derive(Clone, Copy, Debug)]
enum After {
    Done(Option<Timestamp>),
    Failed,
}

struct Member {
    controller: Box<dyn Controller>,
    reads: BTreeSet<Resource>,
    outputs: Vec<Output>,
    stats: Stats,
    /// Plans that are being carried out.
    under_way: usize,
}

/// The controllers, their view and their keys.
pub struct Engine {
    members: Vec<Member>,
    mappings: HashMap<Resource, Vec<(usize, Mapping)>>,
    view: View,
    queue: Queue,
    expectations: Expectations,
    failures: HashMap<Task, Vec<Failure>>,
    retries: HashMap<Task, Retries>,
    after: HashMap<Task, After>,
    events: EventCorrelator,
    hearing: WatchHealth,
    /// Custom resources that are watched.
    custom: BTreeSet<Resource>,
    questions: Questions,
    /// What plans of a key keep for the next one.
    kept: HashMap<Task, Value>,
}

/// Whether the runtime hears: its own heartbeats come back by the same way as everybody's.
#[derive(Clone, Copy, Debug, Default)]
pub struct WatchHealth {
    since: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// How often the runtime's own heartbeat is written.
pub const HEARTBEAT: SignedDuration = SignedDuration::from_secs(10);
/// Without a heartbeat for this long, the runtime takes itself for deaf.
pub const DEAF_AFTER: SignedDuration = SignedDuration::from_secs(25);

impl WatchHealth {
    /// A heartbeat came back.
    pub fn heard(&mut self, now: Timestamp) {
        if self.since(now).is_none() {
            self.since = Some(now);
        }
        self.last = Some(now);
    }
    /// Since when heartbeats have come without a gap; `None` in a gap.
    pub fn since(&self, now: Timestamp) -> Option<Timestamp> {
        let last = self.last?;
        if now.duration_since(last) > DEAF_AFTER { None } else { self.since }
    }
}

impl Engine {
    /// The runtime of these controllers. `lookups` tells how some resources can be looked up.
    ///
    /// # Errors
    /// [`StartError::OwnedTwice`] when two controllers own the same output.
    pub fn new(controllers: Vec<Box<dyn Controller>>, kinds: Arc<Kinds>, lookups: &[(Resource, Lookup)]) -> Result<Self, StartError> {
        owned_once(&controllers)?;
        let mut engine = Self {
            members: Vec::new(),
            mappings: HashMap::new(),
            view: View::new(kinds),
            queue: Queue::default(),
            expectations: Expectations::default(),
            failures: HashMap::new(),
            retries: HashMap::new(),
            after: HashMap::new(),
            events: EventCorrelator::default(),
            hearing: WatchHealth::default(),
            custom: BTreeSet::new(),
            questions: Questions::default(),
            kept: HashMap::new(),
        };
        for (index, controller) in controllers.into_iter().enumerate() {
            let mut reads = BTreeSet::new();
            for input in controller.inputs() {
                reads.insert(input.resource.clone());
                engine.mappings.entry(input.resource).or_default().push((index, input.keys));
            }
            let stats = Stats { name: controller.name(), ..Stats::default() };
            engine.members.push(Member { reads, outputs: controller.outputs(), controller, stats, under_way: 0 });
        }
        let watched: BTreeSet<Resource> = engine.mappings.keys().cloned().collect();
        for resource in watched {
            let lookup = lookups.iter().find(|(r, _)| *r == resource).map(|(_, l)| *l).unwrap_or_default();
            engine.view.watch(resource, lookup.fields, lookup.labels);
        }
        Ok(engine)
    }

    /// What is seen.
    pub fn view(&self) -> &View {
        &self.view
    }
    /// The resources to be watched.
    pub fn resources(&self) -> Vec<Resource> {
        self.view.resources().cloned().collect()
    }
    /// What is known of each controller.
    pub fn stats(&self) -> Vec<Stats> {
        let with_depth = |(i, m): (usize, &Member)| Stats { depth: self.queue.depth(i), ..m.stats.clone() };
        self.members.iter().enumerate().map(with_depth).collect()
    }
    /// When [`Engine::turn`] has something to do though nothing came in.
    pub fn next_wake(&self) -> Option<Timestamp> {
        [self.queue.next_wake(), self.expectations.next_deadline()].into_iter().flatten().min()
    }
    /// The runtime's own heartbeat came back.
    pub fn heard(&mut self, now: Timestamp) {
        self.hearing.heard(now);
    }

    /// The node of this name says what it and its pods use.
    pub fn used(&mut self, node: &str, said: NodeUsage, now: Timestamp) {
        let concerned = |(index, member): (usize, &Member)| (index, member.controller.used(&self.view, &said));
        let synced = self.members.iter().enumerate().filter(|(_, member)| member.stats.synced);
        let concerned: Vec<(usize, Vec<Key>)> = synced.map(concerned).collect();
        if !self.view.outside.usage.insert(node, said, now) {
            tracing::warn!(node, "there is no room for what this node says that it uses");
        }
        for (controller, keys) in concerned {
            keys.into_iter().for_each(|key| self.queue.add(Task { controller, key }, now));
        }
    }

    /// The next question that plans have for sources of metrics, until there is none.
    pub fn question(&mut self) -> Option<MetricQuery> {
        self.questions.next()
    }

    /// A question was answered: those who had it are planned again.
    pub fn answered(&mut self, question: MetricQuery, answer: MetricAnswer, now: Timestamp) {
        let waiting = self.questions.answered(&question);
        self.view.outside.set(question, answer, now);
        waiting.into_iter().for_each(|task| self.queue.add(task, now));
    }

    /// A watch showed these changes of `resource`, and that it is current up to `revision`.
    pub fn observe(&mut self, resource: &Resource, changes: Vec<state_client::Change>, revision: Option<u64>, now: Timestamp) {
        let mut synced = false;
        for change in changes {
            match change {
                state_client::Change::Applied { new, .. } => {
                    let (new, old) = self.view.apply(resource, Item::new(new, now));
                    self.map(resource, ViewChange { old: old.as_deref(), new: Some(&new) }, now);
                }
                state_client::Change::Deleted(last) => {
                    let old = self.view.delete(resource, &last.key, last.revision, now);
                    self.map(resource, ViewChange { old: old.as_deref(), new: None }, now);
                }
                state_client::Change::Synced => synced = true,
            }
        }
        if *resource == Resource::DEFINITIONS {
            self.follow_definitions();
        }
        if let Some(revision) = revision {
            self.view.advance(resource, revision);
        }
        if synced && self.view.synced_at(resource).is_none() {
            self.view.set_synced(resource, now);
            self.start_members(now);
            if self.custom.contains(resource) {
                self.look_at_definition(resource, now);
            }
        }
        for task in self.expectations.news(resource, &self.view) {
            self.release(&task, now);
        }
    }

    /// Brings the table of kinds, and what is watched of custom resources, to where their definitions are.
    fn follow_definitions(&mut self) {
        let definitions = self.view.all(&Resource::DEFINITIONS);
        let builtin = custom::without_definitions(self.view.kinds());
        let kinds = Arc::new(definitions.fold(builtin, |table, crd| crd.read(|crd| custom::with_definition(&table, crd))));
        let wanted: Vec<Arc<Kind>> = kinds.rows().iter().filter(|row| row.schema.custom().is_some() && row.stored_as.is_none()).cloned().collect();
        let resources: BTreeSet<Resource> = wanted.iter().map(|row| Resource::of_kind(row)).collect();
        for gone in self.custom.difference(&resources) {
            self.mappings.remove(gone);
            self.view.unwatch(gone);
        }
        for row in wanted.iter().filter(|row| !self.custom.contains(&Resource::of_kind(row))) {
            self.view.watch(Resource::of_kind(row), &[], false);
            for (index, member) in self.members.iter().enumerate() {
                let input = member.controller.custom_input(row);
                input.into_iter().for_each(|input| self.mappings.entry(input.resource).or_default().push((index, input.keys)));
            }
        }
        self.custom = resources;
        self.view.set_kinds(kinds);
    }

    /// What waits for a custom resource to be seen, such as the end of its definition, is planned once it is.
    fn look_at_definition(&mut self, resource: &Resource, now: Timestamp) {
        let name = format!("{}.{}", resource.name, resource.group);
        let definition = self.view.all(&Resource::DEFINITIONS).find(|definition| *definition.key().name == *name).cloned();
        if let Some(definition) = definition {
            self.map(&Resource::DEFINITIONS, ViewChange { old: None, new: Some(&definition) }, now);
        }
    }

    fn map(&mut self, resource: &Resource, change: ViewChange<'_>, now: Timestamp) {
        for (controller, keys) in self.mappings.get(resource).into_iter().flatten() {
            if self.members.get(*controller).is_some_and(|m| m.stats.synced) {
                for key in keys(&self.view, change) {
                    self.queue.add(Task { controller: *controller, key }, now);
                }
            }
        }
    }

    /// Controllers whose inputs have just become complete get all of their keys.
    fn start_members(&mut self, now: Timestamp) {
        for (index, member) in self.members.iter_mut().enumerate() {
            if member.stats.synced || !member.reads.iter().all(|r| self.view.synced_at(r).is_some()) {
                continue;
            }
            member.stats.synced = true;
            for resource in &member.reads {
                for (_, keys) in self.mappings.get(resource).into_iter().flatten().filter(|(i, _)| *i == index) {
                    for item in self.view.all(resource) {
                        for key in keys(&self.view, ViewChange { old: None, new: Some(item) }) {
                            self.queue.add(Task { controller: index, key }, now);
                        }
                    }
                }
            }
        }
    }

    fn release(&mut self, task: &Task, now: Timestamp) {
        let after = self.after.remove(task).unwrap_or(After::Done(None));
        self.conclude(task, after, now);
    }

    fn conclude(&mut self, task: &Task, after: After, now: Timestamp) {
        match after {
            After::Done(requeue_at) => self.queue.done(task, requeue_at),
            After::Failed => self.queue.failed(task, now),
        }
    }

    /// Plans keys whose turn it is, until `room` plans have something to be carried out.
    pub fn turn(&mut self, now: Timestamp, room: usize) -> Vec<Dispatch> {
        for task in self.expectations.overdue(now) {
            tracing::warn!(%task, "what was written was not shown in time; planning again all the same");
            self.release(&task, now);
            // what it waited for may never show: of a resource that is gone
            self.queue.add(task, now);
        }
        self.queue.wake(now);
        let mut jobs = Vec::new();
        while jobs.len() < room {
            // a controller whose writes take long leaves room for the others, as callers of `state` do
            let (members, free) = (&self.members, room - jobs.len());
            let Some(task) = self.queue.pop(|controller| members.get(controller).is_some_and(|m| m.under_way < free)) else { break };
            match self.plan(&task, now) {
                Ok(plan) if plan.is_empty() => self.queue.done(&task, plan.requeue_at),
                Ok(plan) => jobs.push(self.job(task, plan)),
                Err(why) => {
                    tracing::error!(%task, why, "planning failed");
                    self.stat(&task, |s| s.errors += 1);
                    self.queue.failed(&task, now);
                }
            }
        }
        jobs
    }

    fn stat(&mut self, task: &Task, change: impl FnOnce(&mut Stats)) {
        if let Some(member) = self.members.get_mut(task.controller) {
            change(&mut member.stats);
        }
    }

    fn job(&mut self, task: Task, plan: Plan) -> Dispatch {
        if let Some(member) = self.members.get_mut(task.controller) {
            member.under_way += 1;
        }
        let before = plan.writes.iter().map(|w| self.view.at(&w.key).map_or(0, |i| i.revision())).collect();
        Dispatch { task, plan, before }
    }

    fn plan(&mut self, task: &Task, now: Timestamp) -> Result<Plan, String> {
        let failed = self.failures.remove(task).unwrap_or_default();
        if self.view.at(&task.key).is_none() {
            self.retries.remove(task);
        }
        let retries = self.retries.get(task).unwrap_or(&retries::NONE);
        let at = Moment { now, heard_since: self.hearing.since(now), failed: &failed, retries, kept: self.kept.get(task) };
        let Some(member) = self.members.get_mut(task.controller) else { return Ok(Plan::nothing()) };
        member.stats.plans += 1;
        let planning = std::panic::AssertUnwindSafe(|| member.controller.plan(&self.view, &task.key, &at));
        let plan = std::panic::catch_unwind(planning).map_err(|_| "the plan panicked".to_owned())?;
        tracing::debug!(controller = member.stats.name, key = %task.key, %plan, "planned");
        for question in &plan.asks {
            self.questions.put(question.clone(), task);
        }
        match &plan.keep {
            Some(Value::Null) => _ = self.kept.remove(task),
            Some(kept) => _ = self.kept.insert(task.clone(), kept.clone()),
            None => {}
        }
        match plan.writes.iter().find(|w| !member.outputs.iter().any(|o| o.permits(w))) {
            Some(foreign) => Err(format!("not among the outputs of {}: {foreign}", member.stats.name)),
            None => Ok(plan),
        }
    }

    /// A job is carried out, with one outcome for each of its writes. Returns the events to be written about it.
    pub fn finish(&mut self, job: Dispatch, outcomes: Vec<WriteOutcome>, now: Timestamp) -> Vec<EventWrite> {
        let Dispatch { task, plan, before } = job;
        if !plan.retries.is_empty() {
            self.retries.entry(task.clone()).or_default().note(plan.retries, now);
        }
        if let Some(member) = self.members.get_mut(task.controller) {
            member.under_way = member.under_way.saturating_sub(1);
        }
        let mut tally = Tally { events: plan.events, ..Tally::default() };
        for ((write, outcome), before) in plan.writes.iter().zip(outcomes).zip(before) {
            tally.count(write, outcome, before);
        }
        self.stat(&task, |s| {
            s.writes += tally.done;
            s.conflicts += tally.conflicts;
            s.errors += tally.failures.len() as u64;
        });
        let after = if tally.again || !tally.failures.is_empty() { After::Failed } else { After::Done(plan.requeue_at) };
        if !tally.failures.is_empty() {
            self.failures.insert(task.clone(), tally.failures);
        }
        // what did succeed must be seen first, failure or not
        if self.expectations.put(&task, tally.awaits, &self.view, now) {
            self.after.insert(task.clone(), after);
        } else {
            self.conclude(&task, after, now);
        }
        let component = self.members.get(task.controller).map_or("", |m| m.stats.name);
        let source = Source { component, host: "" };
        tally.events.iter().filter_map(|event| self.events.record(source, event, now)).collect()
    }

    /// An event that was to be counted is no longer there.
    pub fn event_gone(&mut self, key: &Key) {
        self.events.forget(key);
    }
}

/// What the outcomes of a plan come to.
#[derive(Default)]
struct Tally {
    events: Vec<EventRecord>,
    awaits: Vec<Expectation>,
    failures: Vec<Failure>,
    done: u64,
    conflicts: u64,
    again: bool,
}

impl Tally {
    fn count(&mut self, write: &Write, outcome: WriteOutcome, before: u64) {
        match outcome {
            WriteOutcome::Done(object) => {
                self.done += 1;
                self.awaits.push(shown(write, object.as_deref(), before));
                self.events.extend(write.tells.iter().cloned());
                let name = object.as_ref().map_or(&*write.key.name, |o| &*o.key.name);
                self.say(write, write.says.as_ref().and_then(|s| s.done.as_ref()), name, false);
            }
            WriteOutcome::Held | WriteOutcome::Unsent => self.again = true,
            WriteOutcome::Failed(error) if error.is_conflict() || taken(write, &error) => {
                self.conflicts += 1;
                self.again = true;
            }
            WriteOutcome::Failed(error) if error.is_not_found() && !matches!(write.op, WriteOp::Create(_)) => {
                self.awaits.push(Expectation::Change(write.key.clone(), before))
            }
            // a namespace on its way out takes nothing new, and nothing is wrong with that
            WriteOutcome::Failed(error) if matches!(write.op, WriteOp::Create(_)) && namespace_ends(&error) => {}
            WriteOutcome::Failed(error) => {
                tracing::warn!(%write, %error, "a write failed");
                self.say(write, write.says.as_ref().and_then(|s| s.failed.as_ref()), &error.message, true);
                if error.reason == Reason::Timeout {
                    // nobody knows whether it was carried out: wait as long as a fence holds
                    self.awaits.push(Expectation::Revision(Resource::of_key(&write.key), u64::MAX));
                }
                self.failures.push(Failure { key: write.key.clone(), create: matches!(write.op, WriteOp::Create(_)), error });
            }
        }
    }

    fn say(&mut self, write: &Write, words: Option<&Words>, what: &str, warning: bool) {
        if let (Some(says), Some((reason, words))) = (&write.says, words) {
            self.events.push(EventRecord { about: says.about.clone(), warning, reason: (*reason).into(), message: words.replace("{}", what) });
        }
    }
}

/// Whether an object of that name is there, which the view will show.
fn taken(write: &Write, error: &ApiError) -> bool {
    matches!(write.op, WriteOp::Create(_)) && error.reason == Reason::AlreadyExists
}

fn namespace_ends(error: &ApiError) -> bool {
    let terminating = |d: &model::error::Details| d.causes.iter().any(|c| c.reason == model::CauseReason::NamespaceTerminating);
    error.reason == Reason::Forbidden && error.details.as_deref().is_some_and(terminating)
}

/// What the view shows once it has seen a write.
fn shown(write: &Write, reply: Option<&Stored>, before: u64) -> Expectation {
    match (&write.op, reply) {
        (WriteOp::Delete { .. }, Some(object)) if object.revision >= before => Expectation::Revision(Resource::of_key(&object.key), object.revision),
        (WriteOp::Delete { .. }, _) | (_, None) => Expectation::Change(write.key.clone(), before),
        (_, Some(object)) => Expectation::Revision(Resource::of_key(&write.key), object.revision),
    }
}

fn owned_once(controllers: &[Box<dyn Controller>]) -> Result<(), StartError> {
    let mut owners: BTreeMap<String, &'static str> = BTreeMap::new();
    for controller in controllers {
        for output in controller.outputs() {
            if let Some(first) = owners.insert(format!("{output:?}"), controller.name()) {
                let Output { resource, part, which } = output;
                return Err(StartError::OwnedTwice { first, second: controller.name(), resource, part, which });
            }
        }
    }
    Ok(())
}
