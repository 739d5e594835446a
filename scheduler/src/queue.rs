//! The queue of pods that have no node yet. A pod that was refused is tried again when something changes that concerns the filters that refused it, and never
//! because time passed. A pause only keeps a pod that fails repeatedly from being tried at once. The module is pure: `now` is an argument.
use crate::pod::PodInfo;
use crate::wake::Wake;
use bus::backoff;
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The first wait of a pod that failed.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// The longest.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

type Uid = Arc<str>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be tried now.
    Active,
    /// To be tried at this time.
    Backoff(Timestamp),
    /// To be tried when something of this happens.
    Waiting(Wake),
    /// Being tried, or its binding is being written.
    InFlight,
    /// To be tried once what was said of it before is written.
    Held,
    /// Held back by scheduling gates.
    Gated,
}

#[derive(Debug)]
struct Entry {
    pod: Arc<PodInfo>,
    state: State,
    /// Order of arrival.
    arrival: u64,
    /// Failures so far.
    failures: u32,
    /// Not before this, whatever happens.
    earliest: Timestamp,
    /// Writes of its status that are under way: none of them may come after its binding.
    writing: u32,
}

/// The queue. Each pod is in it from when it is seen unbound until it is seen bound, finished or gone.
#[derive(Debug, Default)]
pub struct Queue {
    pods: HashMap<Uid, Entry>,
    /// Greater priority first, then in order of arrival.
    active: BTreeMap<(Reverse<i32>, u64), Uid>,
    backoff: BTreeSet<(Timestamp, Uid)>,
    waiting: BTreeMap<Wake, BTreeSet<Uid>>,
    arrivals: u64,
}

impl Queue {
    /// Takes in an unbound pod, new or changed. A change of what it asks for is a reason to try it again.
    pub fn upsert(&mut self, pod: Arc<PodInfo>, now: Timestamp) {
        let uid = pod.uid.clone();
        let Some(entry) = self.pods.get_mut(&uid) else {
            self.arrivals += 1;
            let state = if pod.gated { State::Gated } else { State::Active };
            self.pods.insert(uid.clone(), Entry { pod, state: State::Gated, arrival: self.arrivals, failures: 0, earliest: now, writing: 0 });
            return self.enter(&uid, state);
        };
        let was = std::mem::replace(&mut entry.pod, pod);
        if entry.pod.gated {
            self.enter(&uid, State::Gated);
        } else if entry.state == State::Gated || (matches!(entry.state, State::Waiting(_)) && was.class != entry.pod.class) {
            self.wake_pod(&uid, now);
        } else if entry.state == State::Active && was.priority != entry.pod.priority {
            self.active.remove(&(Reverse(was.priority), entry.arrival));
            self.enter(&uid, State::Active);
        }
    }

    /// Forgets a pod: bound, finished or gone. Whether it had been tried in vain.
    pub fn remove(&mut self, uid: &str) -> bool {
        self.leave(uid);
        self.pods.remove(uid).is_some_and(|e| e.failures > 0)
    }

    /// Pods whose backoff is over can be taken.
    pub fn ripen(&mut self, now: Timestamp) {
        while let Some((_, uid)) = self.backoff.first().filter(|(due, _)| *due <= now).cloned() {
            self.enter(&uid, State::Active);
        }
    }

    /// All pods to be tried now, in order, at most `limit`; they are in flight until [`Queue::failed`], [`Queue::retry`] or [`Queue::remove`].
    pub fn take(&mut self, limit: usize, now: Timestamp) -> Vec<Arc<PodInfo>> {
        self.ripen(now);
        let uids: Vec<Uid> = self.active.values().take(limit).cloned().collect();
        let mut pods = Vec::with_capacity(uids.len());
        for uid in uids {
            self.enter(&uid, State::InFlight);
            pods.extend(self.pods.get(&uid).map(|e| e.pod.clone()));
        }
        pods
    }

    /// No node took a pod: it waits for something of `wakes`.
    pub fn failed(&mut self, uid: &str, wakes: Wake, now: Timestamp) {
        if self.back_off(uid, now).is_some() {
            self.enter(uid, State::Waiting(wakes));
        }
    }

    /// Room is being made for a pod: it waits for something of `wakes`, and is tried at once then.
    pub fn expects(&mut self, uid: &str, wakes: Wake) {
        if self.pods.get(uid).is_some_and(|e| e.state == State::InFlight) {
            self.enter(uid, State::Waiting(wakes));
        }
    }

    /// A write of a pod's status is under way: the pod isn't tried before [`Queue::wrote`].
    pub fn writes(&mut self, uid: &str) {
        let Some(entry) = self.pods.get_mut(uid) else { return };
        entry.writing += 1;
        if entry.state == State::Active {
            self.enter(uid, State::Active);
        }
    }

    /// Such a write has come to an end.
    pub fn wrote(&mut self, uid: &str) {
        let Some(entry) = self.pods.get_mut(uid) else { return };
        entry.writing = entry.writing.saturating_sub(1);
        if entry.writing == 0 && entry.state == State::Held {
            self.enter(uid, State::Active);
        }
    }

    /// A pod that waits is tried at once.
    pub fn activate(&mut self, uid: &str) {
        if self.pods.get(uid).is_some_and(|e| matches!(e.state, State::Waiting(_) | State::Backoff(_))) {
            self.enter(uid, State::Active);
        }
    }

    /// A pod's binding wasn't written: it is tried again after its backoff.
    pub fn retry(&mut self, uid: &str, now: Timestamp) {
        if let Some(earliest) = self.back_off(uid, now) {
            self.enter(uid, State::Backoff(earliest));
        }
    }

    /// Something happened: the pods that it concerns are tried again.
    pub fn wake(&mut self, wake: Wake, now: Timestamp) {
        let concerned: Vec<Wake> = self.waiting.keys().copied().filter(|w| w.meets(wake)).collect();
        for group in concerned {
            for uid in self.waiting.remove(&group).unwrap_or_default() {
                self.wake_pod(&uid, now);
            }
        }
    }

    /// When [`Queue::take`] will give a pod that it doesn't give now; `None`: only after something happens.
    pub fn next(&self) -> Option<Timestamp> {
        self.backoff.first().map(|(due, _)| *due)
    }

    /// Whether a pod can be taken at once, without any backoff ending.
    pub fn is_ready(&self) -> bool {
        !self.active.is_empty()
    }

    /// A pod of the queue.
    pub fn get(&self, uid: &str) -> Option<&Arc<PodInfo>> {
        self.pods.get(uid).map(|e| &e.pod)
    }

    /// How many pods are to be tried, wait for time, wait for something to happen, are in flight or gated.
    pub fn lengths(&self) -> Lengths {
        let waiting = self.waiting.values().map(BTreeSet::len).sum();
        Lengths { active: self.active.len(), backoff: self.backoff.len(), waiting, all: self.pods.len() }
    }

    fn back_off(&mut self, uid: &str, now: Timestamp) -> Option<Timestamp> {
        let entry = self.pods.get_mut(uid).filter(|e| e.state == State::InFlight)?;
        entry.failures = entry.failures.saturating_add(1);
        entry.earliest = now.saturating_add(backoff::delay(entry.failures, BACKOFF_MIN, BACKOFF_MAX)).unwrap_or(Timestamp::MAX);
        Some(entry.earliest)
    }

    fn wake_pod(&mut self, uid: &str, now: Timestamp) {
        let Some(earliest) = self.pods.get(uid).map(|e| e.earliest) else { return };
        self.enter(uid, if earliest > now { State::Backoff(earliest) } else { State::Active });
    }

    fn enter(&mut self, uid: &str, state: State) {
        self.leave(uid);
        let Some(entry) = self.pods.get_mut(uid) else { return };
        let state = if state == State::Active && entry.writing > 0 { State::Held } else { state };
        entry.state = state;
        let uid = entry.pod.uid.clone();
        match state {
            State::Active => _ = self.active.insert((Reverse(entry.pod.priority), entry.arrival), uid),
            State::Backoff(due) => _ = self.backoff.insert((due, uid)),
            State::Waiting(wakes) => _ = self.waiting.entry(wakes).or_default().insert(uid),
            State::InFlight | State::Held | State::Gated => {}
        }
    }

    fn leave(&mut self, uid: &str) {
        let Some(entry) = self.pods.get(uid) else { return };
        match entry.state {
            State::Active => _ = self.active.remove(&(Reverse(entry.pod.priority), entry.arrival)),
            State::Backoff(due) => _ = self.backoff.remove(&(due, entry.pod.uid.clone())),
            State::Waiting(wakes) => {
                if let Some(group) = self.waiting.get_mut(&wakes) {
                    group.remove(uid);
                }
            }
            State::InFlight | State::Held | State::Gated => {}
        }
    }
}

/// Numbers of pods in a [`Queue`], by what they wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// To be tried now.
    pub active: usize,
    /// To be tried later.
    pub backoff: usize,
    /// To be tried when something happens.
    pub waiting: usize,
    /// All, those in flight and gated included.
    pub all: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    fn names(pods: &[Arc<PodInfo>]) -> Vec<&str> {
        pods.iter().map(|p| &*p.name).collect()
    }

    #[test]
    fn greater_priority_first_then_first_come() {
        let mut queue = Queue::default();
        for (name, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", 5)] {
            queue.upsert(pod(name).priority(priority).info(), at(0));
        }
        assert_eq!(names(&queue.take(3, at(0))), ["b", "d", "a"]);
        assert_eq!(names(&queue.take(3, at(0))), ["c"]);
        assert!(queue.take(3, at(0)).is_empty());
    }

    #[test]
    fn a_refused_pod_waits_for_what_concerns_it_and_never_for_time() {
        let mut queue = Queue::default();
        queue.upsert(pod("a").info(), at(0));
        queue.take(1, at(0));
        queue.failed("a", Wake::POD_GONE | Wake::NODE_ADDED, at(0));
        assert_eq!((queue.next(), queue.is_ready()), (None, false));
        assert!(queue.take(1, at(3600)).is_empty());
        queue.wake(Wake::NODE_LABELS, at(3600));
        assert!(!queue.is_ready());
        queue.wake(Wake::POD_GONE, at(3600));
        assert_eq!(names(&queue.take(1, at(3600))), ["a"]);
    }

    #[test]
    fn failures_back_off_from_one_to_ten_seconds() {
        let mut queue = Queue::default();
        queue.upsert(pod("a").info(), at(0));
        let mut now = 0;
        for wait in [1, 2, 4, 8, 10, 10] {
            assert_eq!(names(&queue.take(1, at(now))), ["a"]);
            queue.failed("a", Wake::POD_GONE, at(now));
            queue.wake(Wake::POD_GONE, at(now));
            assert_eq!(queue.next(), Some(at(now + wait)));
            assert!(queue.take(1, at(now + wait - 1)).is_empty());
            now += wait;
        }
    }

    #[test]
    fn a_failed_binding_is_tried_again_without_a_reason() {
        let mut queue = Queue::default();
        queue.upsert(pod("a").info(), at(0));
        queue.take(1, at(0));
        queue.retry("a", at(0));
        assert_eq!(queue.next(), Some(at(1)));
        assert_eq!(names(&queue.take(1, at(1))), ["a"]);
    }

    #[test]
    fn a_pod_is_not_tried_while_its_status_is_written() {
        let mut queue = Queue::default();
        queue.upsert(pod("a").info(), at(0));
        queue.take(1, at(0));
        queue.failed("a", Wake::POD_GONE, at(0));
        queue.writes("a");
        queue.wake(Wake::POD_GONE, at(5));
        assert!(!queue.is_ready() && queue.take(1, at(9)).is_empty());
        queue.wrote("a");
        assert_eq!(names(&queue.take(1, at(9))), ["a"]);
    }

    #[test]
    fn gates_hold_a_pod_until_they_are_gone() {
        let mut queue = Queue::default();
        queue.upsert(pod("a").gated().info(), at(0));
        assert!(queue.take(1, at(0)).is_empty());
        queue.upsert(pod("a").info(), at(1));
        assert_eq!(names(&queue.take(1, at(1))), ["a"]);
    }

    #[test]
    fn a_pod_that_asks_for_less_is_tried_again_and_one_that_only_has_a_new_status_is_not() {
        let mut queue = Queue::default();
        queue.upsert(pod("a").cpu("2").info(), at(0));
        queue.take(1, at(0));
        queue.failed("a", Wake::POD_GONE, at(0));
        queue.upsert(pod("a").cpu("2").info(), at(5));
        assert!(!queue.is_ready());
        queue.upsert(pod("a").cpu("1").info(), at(5));
        assert!(queue.is_ready());
    }

    #[test]
    fn a_removed_pod_is_nowhere_any_more() {
        let mut queue = Queue::default();
        for (name, wakes) in [("a", None), ("b", Some(Wake::POD_GONE)), ("c", None)] {
            queue.upsert(pod(name).info(), at(0));
            if let Some(wakes) = wakes {
                queue.take(9, at(0));
                queue.failed(name, wakes, at(0));
                queue.retry("a", at(0));
            }
        }
        for name in ["a", "b", "c"] {
            queue.remove(name);
        }
        queue.wake(Wake::POD_GONE, at(9));
        assert_eq!(queue.lengths(), Lengths { active: 0, backoff: 0, waiting: 0, all: 0 });
        assert!(queue.take(9, at(99)).is_empty());
    }
}
