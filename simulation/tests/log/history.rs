//! What clients did and saw, held against what the streams took.
use crate::network::{Shared, World};
use crate::stream::Accepted;
use model::{Key, Stored};
use serde_json::Value;
use state::store::{CommitError, RecordedChange, subject};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::time::Instant;

/// A resource that clients write, and the stream that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    pub group: &'static str,
    pub name: &'static str,
    pub stream: usize,
    /// What the stream's subjects start with.
    pub prefix: &'static str,
    pub namespaces: &'static [&'static str],
    pub objects: u64,
}

/// All of them.
pub const RESOURCES: [Resource; 3] = [
    Resource { group: "", name: "configmaps", stream: 0, prefix: "$KV.ws-test-objects", namespaces: &["a", "b"], objects: 4 },
    Resource { group: "", name: "events", stream: 1, prefix: "$KV.ws-test-events", namespaces: &["a"], objects: 3 },
    Resource { group: "coordination.k8s.io", name: "leases", stream: 2, prefix: "$KV.ws-test-leases", namespaces: &["a"], objects: 2 },
];

/// A process between its start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnation {
    pub process: usize,
    pub number: u64,
}

/// How a write ended for who asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is in the stream, at this sequence.
    Done(u64),
    /// It is not.
    NotDone,
    /// Nobody knows.
    Unknown,
}

struct Attempt {
    key: Key,
    by: Incarnation,
    expect: u64,
    delete: bool,
    /// The first write that it belongs with.
    group: usize,
    outcome: Outcome,
}

/// What happened.
#[derive(Default)]
pub struct Record {
    attempts: Vec<Attempt>,
    /// The newest revision of each key that somebody was told of.
    told: HashMap<Key, u64>,
    /// The revisions that each key's object had.
    had: HashMap<Key, Vec<u64>>,
    /// What went against the rules.
    pub problems: Vec<String>,
    /// Each end of a write, with its time: the same for the same seed.
    pub trace: Vec<String>,
    /// What was checked.
    pub seen: u64,
}

/// The record of one life, and the world that it is held against.
#[derive(Clone)]
pub struct History {
    record: Arc<Mutex<Record>>,
    world: Shared,
    started: Instant,
}

/// The number of the attempt that a message is from.
fn attempt_of(message: &Accepted) -> Option<usize> {
    let value: Value = serde_json::from_slice(&message.payload).ok()?;
    value["data"]["value"].as_u64().map(|n| n as usize)
}

fn number_of(stored: &Stored) -> Option<u64> {
    stored.read(|object| object.at(&["data", "value"]).and_then(Value::as_u64))
}

fn key_of(resource: Resource, message: &Accepted) -> Key {
    let parts = subject::parse(resource.prefix, &message.subject).unwrap();
    Key::new(&*parts.group, &*parts.resource, &*parts.namespace, &*parts.name)
}

impl History {
    pub fn new(world: Shared) -> Self {
        Self { record: Arc::default(), world, started: Instant::now() }
    }

    pub fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }

    /// What a stream took for a key, and from whom, for a problem's words.
    fn told_of(&self, world: &World, resource: Resource, key: &Key) -> String {
        let record = self.lock();
        let about = |m: &Accepted| {
            let attempt = attempt_of(m).map(|n| (n, record.attempts[n].by.process, record.attempts[n].by.number, record.attempts[n].outcome));
            format!("{}{} {attempt:?}", m.sequence, if m.is_object() { "" } else { " marker" })
        };
        let of_key = world.streams[resource.stream].accepted.iter().filter(|m| key_of(resource, m) == *key);
        of_key.map(about).collect::<Vec<_>>().join(", ")
    }

    fn problem(&self, what: String) {
        let at = self.started.elapsed();
        self.lock().problems.push(format!("{at:?}: {what}"));
    }

    /// A write begins: its number. It is done together with those since `group`, or alone.
    pub fn begin(&self, by: Incarnation, key: &Key, expect: u64, delete: bool, group: Option<usize>) -> usize {
        let mut record = self.lock();
        let number = record.attempts.len();
        record.attempts.push(Attempt { key: key.clone(), by, expect, delete, group: group.unwrap_or(number), outcome: Outcome::Unknown });
        number
    }

    /// It has ended.
    pub fn ended(&self, number: usize, result: &Result<Arc<Stored>, CommitError>) {
        let at = self.started.elapsed().as_millis();
        let mut record = self.lock();
        let outcome = match result {
            Ok(stored) => Outcome::Done(stored.revision),
            Err(CommitError::Unknown(_)) => Outcome::Unknown,
            Err(_) => Outcome::NotDone,
        };
        record.trace.push(format!("{at} {number} {outcome:?}"));
        record.attempts[number].outcome = outcome;
        if let Outcome::Done(revision) = outcome {
            let key = record.attempts[number].key.clone();
            if !record.attempts[number].delete {
                record.had.entry(key.clone()).or_default().push(revision);
            }
            let told = record.told.entry(key).or_default();
            *told = revision.max(*told);
        }
    }

    /// The newest revision of a key that somebody was told of.
    pub fn told(&self, key: &Key) -> u64 {
        self.lock().told.get(key).copied().unwrap_or_default()
    }

    /// The revisions that the key's object had, as far as anybody was told.
    pub fn had(&self, key: &Key) -> Vec<u64> {
        self.lock().had.get(key).cloned().unwrap_or_default()
    }

    /// A consistent read that began when `told` was the newest found this.
    pub fn read(&self, by: Incarnation, resource: Resource, key: &Key, told: u64, found: Option<&Arc<Stored>>) {
        self.lock().seen += 1;
        let world = self.world.lock();
        let accepted = &world.streams[resource.stream].accepted;
        match found {
            Some(found) => {
                if found.revision < told && !self.is_overwritten(accepted, &accepted[told as usize - 1], by) {
                    self.problem(format!(
                        "{key} was read by {by:?} at {}, and {told} was acknowledged before, of {}",
                        found.revision,
                        self.told_of(&world, resource, key)
                    ));
                }
                let held = &accepted[found.revision as usize - 1];
                if key_of(resource, held) != *key || !held.is_object() || attempt_of(held).map(|n| n as u64) != number_of(found) {
                    self.problem(format!("{key} was read at {} as it never was", found.revision));
                }
            }
            None if told > 0 => {
                let gone = accepted[told as usize - 1..].iter().any(|m| !m.is_object() && key_of(resource, m) == *key);
                if !gone && !self.is_overwritten(accepted, &accepted[told as usize - 1], by) {
                    self.problem(format!("{key} wasn't found, and {told} was acknowledged before"));
                }
            }
            None => {}
        }
    }

    /// A watch that had come to `from` showed this next.
    pub fn watched(&self, by: Incarnation, resource: Resource, namespace: &str, from: u64, change: &RecordedChange) {
        self.lock().seen += 1;
        let world = self.world.lock();
        if change.revision <= from {
            self.problem(format!("a watch of {} went from {from} back to {}", resource.name, change.revision));
            return;
        }
        let accepted = &world.streams[resource.stream].accepted;
        let held = &accepted[change.revision as usize - 1];
        let same = key_of(resource, held) == change.new.key && held.is_object() != change.deleted;
        let ended = held.payload.is_empty();
        if !same || !ended && attempt_of(held).map(|n| n as u64) != number_of(&change.new) {
            self.problem(format!("a watch of {} showed {} at {} as it wasn't", resource.name, change.new.key, change.revision));
        }
        for missed in &accepted[from as usize..change.revision as usize - 1] {
            let key = key_of(resource, missed);
            let concerned = &*key.resource == resource.name && (namespace.is_empty() || *key.namespace == *namespace);
            if concerned && !self.may_be_missed(&world, resource, missed, by) {
                self.problem(format!(
                    "a watch of {} in {by:?} went from {from} to {} and missed {key} at {} of {}",
                    resource.name,
                    change.revision,
                    missed.sequence,
                    self.told_of(&world, resource, &key)
                ));
            }
        }
    }

    /// The stream keeps one message a subject, so a tail that is behind another process sees only the last of its writes to an object. A deletion is nothing
    /// to one who never saw the object, and what the server says of an object's end is nothing without the object.
    fn may_be_missed(&self, world: &World, resource: Resource, message: &Accepted, by: Incarnation) -> bool {
        let accepted = &world.streams[resource.stream].accepted;
        if self.is_overwritten(accepted, message, by) || message.is_object() {
            return self.is_overwritten(accepted, message, by);
        }
        let before = accepted[..message.sequence as usize - 1].iter().rev().find(|m| m.subject == message.subject);
        message.payload.is_empty() || before.is_none_or(|before| !self.is_own(before, by))
    }

    /// Whether this incarnation wrote the message, and was told so.
    fn is_own(&self, message: &Accepted, by: Incarnation) -> bool {
        let record = self.lock();
        attempt_of(message).map(|n| &record.attempts[n]).is_some_and(|a| a.by == by && a.outcome == Outcome::Done(message.sequence))
    }

    /// Whether it has been overwritten, by others or from others: what a process writes on top of its own, it has seen. What goes by itself may have gone
    /// before its acknowledgement came.
    fn is_overwritten(&self, accepted: &[Accepted], message: &Accepted, by: Incarnation) -> bool {
        let next = accepted[message.sequence as usize..].iter().find(|later| later.subject == message.subject);
        let expires = message.subject.starts_with(RESOURCES[1].prefix);
        next.is_some_and(|next| expires || !self.is_own(message, by) || !self.is_own(next, by))
    }

    /// What one who watches, or a cache, holds at the end is what the stream holds.
    pub fn holds(&self, who: &str, resource: Resource, held: &BTreeMap<Key, u64>) {
        self.lock().seen += 1;
        let world = self.world.lock();
        let there: BTreeMap<Key, u64> = world.streams[resource.stream].objects().map(|m| (key_of(resource, m), m.sequence)).collect();
        let keys: BTreeSet<&Key> = there.keys().chain(held.keys()).collect();
        for key in keys.into_iter().filter(|key| there.get(key) != held.get(key)) {
            let (there, held, all) = (there.get(key), held.get(key), self.told_of(&world, resource, key));
            self.problem(format!("{who} holds {key} at {held:?}, and the stream at {there:?}, of {all}"));
        }
    }

    /// All has ended: each write is in its stream as often as was said, and on top of what it expected.
    pub fn settle(&self) {
        let world = self.world.lock();
        let mut found: HashMap<usize, Vec<u64>> = HashMap::new();
        for resource in RESOURCES {
            let mut last: HashMap<&str, &Accepted> = HashMap::new();
            for message in &world.streams[resource.stream].accepted {
                if let Some(number) = attempt_of(message) {
                    found.entry(number).or_default().push(message.sequence);
                    self.expected(number, last.get(&*message.subject).copied(), message);
                }
                last.insert(&message.subject, message);
            }
        }
        let problems: Vec<String> = {
            let record = self.lock();
            let wrong = |(number, attempt): (usize, &Attempt)| {
                let found = found.get(&number).map_or(&[][..], Vec::as_slice);
                let right = match attempt.outcome {
                    Outcome::Done(revision) => found == [revision],
                    Outcome::NotDone => found.is_empty(),
                    Outcome::Unknown => found.len() <= 1,
                };
                (!right)
                    .then(|| format!("write {number} of {} by {:?} ended as {:?}, and is in the stream at {found:?}", attempt.key, attempt.by, attempt.outcome))
            };
            record.attempts.iter().enumerate().filter_map(wrong).collect()
        };
        problems.into_iter().for_each(|problem| self.problem(problem));
        self.whole(&world, &found);
    }

    /// Writes that belong together are in their stream one behind the other, or not at all. Where the power failed, only the first ones may be, or the others
    /// later.
    fn whole(&self, world: &World, found: &HashMap<usize, Vec<u64>>) {
        let mut groups: BTreeMap<usize, Vec<Option<u64>>> = BTreeMap::new();
        for (number, attempt) in self.lock().attempts.iter().enumerate().filter(|(_, attempt)| &*attempt.key.resource == RESOURCES[0].name) {
            groups.entry(attempt.group).or_default().push(found.get(&number).and_then(|all| all.first().copied()));
        }
        let torn = &world.streams[RESOURCES[0].stream].torn;
        for (group, places) in groups {
            let cut = places.windows(2).find_map(|pair| match pair {
                [None, Some(_)] => Some(0),
                [Some(before), Some(after)] if before + 1 != *after => Some(*before),
                [Some(before), None] => Some(*before),
                _ => None,
            });
            if cut.is_some_and(|cut| !torn.contains(&cut)) {
                self.problem(format!("writes {group} and those that belong with it are in the stream at {places:?}"));
            }
        }
    }

    fn expected(&self, number: usize, before: Option<&Accepted>, message: &Accepted) {
        let (expect, delete) = {
            let record = self.lock();
            (record.attempts[number].expect, record.attempts[number].delete)
        };
        let live = before.filter(|before| before.is_object()).map_or(0, |before| before.sequence);
        if live != expect || delete == message.is_object() {
            self.problem(format!("write {number} expected {expect}, and {live} was there before it at {}", message.sequence));
        }
    }
}
