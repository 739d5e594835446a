//! Decides which key is planned when. A key is in the queue once and planned once at a time; after a failure it waits for a pause that grows.
use bus::backoff;
use jiff::{SignedDuration, Timestamp};
use model::Key;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// A key of one controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Task {
    /// Index of the controller.
    pub controller: usize,
    /// What it is to look at.
    pub key: Key,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.key, self.controller)
    }
}

const BACKOFF_MIN: Duration = Duration::from_millis(5);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A change brings a failed key forward to at most this.
const BACKOFF_CHANGED: SignedDuration = SignedDuration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing to do, unless a timer is set.
    Idle,
    /// In the line.
    Ready,
    /// Being planned, carried out, or waiting until the view shows what was written.
    Busy {
        /// Changed meanwhile.
        dirty: bool,
    },
}

#[derive(Debug)]
struct Slot {
    phase: Phase,
    failures: u32,
    timer: Option<Timestamp>,
}

/// The keys of one runtime. Time comes from outside.
#[derive(Debug, Default)]
pub struct Queue {
    slots: HashMap<Task, Slot>,
    /// One line a controller, each key with its number among all: of those whose turn it may be, the lowest is next.
    lines: BTreeMap<usize, VecDeque<(u64, Task)>>,
    numbers: u64,
    timers: BTreeSet<(Timestamp, Task)>,
}

/// How many keys of a controller are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// In the line.
    pub ready: usize,
    /// Being worked on.
    pub busy: usize,
    /// Waiting for a time.
    pub delayed: usize,
}

impl Queue {
    /// An input of this key changed.
    pub fn add(&mut self, task: Task, now: Timestamp) {
        let slot = self.slots.entry(task.clone()).or_insert(Slot { phase: Phase::Idle, failures: 0, timer: None });
        match &mut slot.phase {
            Phase::Ready => {}
            Phase::Busy { dirty } => *dirty = true,
            Phase::Idle if slot.failures > 0 => {
                let at = later(now, BACKOFF_CHANGED);
                if slot.timer.is_none_or(|t| at < t) {
                    self.set_timer(&task, Some(at));
                }
            }
            Phase::Idle => self.ready(&task),
        }
    }

    fn ready(&mut self, task: &Task) {
        self.set_timer(task, None);
        if let Some(slot) = self.slots.get_mut(task) {
            slot.phase = Phase::Ready;
            self.numbers += 1;
            self.lines.entry(task.controller).or_default().push_back((self.numbers, task.clone()));
        }
    }

    fn set_timer(&mut self, task: &Task, at: Option<Timestamp>) {
        let Some(slot) = self.slots.get_mut(task) else { return };
        if let Some(old) = std::mem::replace(&mut slot.timer, at) {
            self.timers.remove(&(old, task.clone()));
        }
        if let Some(at) = at {
            self.timers.insert((at, task.clone()));
        }
    }

    /// Puts the keys whose time has come in the line.
    pub fn wake(&mut self, now: Timestamp) {
        while let Some((_, task)) = self.timers.first().filter(|(at, _)| *at <= now).cloned() {
            self.ready(&task);
        }
    }

    /// When the next key's time comes.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The next key of the controllers that `may` lets through; it is busy until [`Queue::done`] or [`Queue::failed`].
    pub fn pop(&mut self, may: impl Fn(usize) -> bool) -> Option<Task> {
        let lines = self.lines.iter_mut().filter(|(controller, line)| !line.is_empty() && may(**controller));
        let (_, line) = lines.min_by_key(|(_, line)| line.front().map(|(number, _)| *number))?;
        let (_, task) = line.pop_front()?;
        if let Some(slot) = self.slots.get_mut(&task) {
            slot.phase = Phase::Busy { dirty: false };
        }
        Some(task)
    }

    /// The key's plan is carried out and seen. It goes in the line again if it changed meanwhile, or at `requeue_at`.
    pub fn done(&mut self, task: &Task, requeue_at: Option<Timestamp>) {
        let Some(slot) = self.slots.get_mut(task) else { return };
        slot.failures = 0;
        match slot.phase {
            Phase::Busy { dirty: true } => self.ready(task),
            _ => {
                slot.phase = Phase::Idle;
                match requeue_at {
                    Some(_) => self.set_timer(task, requeue_at),
                    None => _ = self.slots.remove(task),
                }
            }
        }
    }

    /// The key's plan failed, in part or whole: it is planned again after a pause that doubles with each failure in a row, and that a change shortens, also
    /// one that came while the key was busy.
    pub fn failed(&mut self, task: &Task, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(task) else { return };
        let changed = slot.phase == Phase::Busy { dirty: true };
        slot.failures = slot.failures.saturating_add(1);
        slot.phase = Phase::Idle;
        let due = now.saturating_add(backoff::delay(slot.failures, BACKOFF_MIN, BACKOFF_MAX)).unwrap_or(Timestamp::MAX);
        self.set_timer(task, Some(if changed { due.min(later(now, BACKOFF_CHANGED)) } else { due }));
    }

    /// How many keys of this controller are in which state.
    pub fn depth(&self, controller: usize) -> Depth {
        let mut depth = Depth::default();
        for slot in self.slots.iter().filter(|(task, _)| task.controller == controller).map(|(_, slot)| slot) {
            match slot.phase {
                Phase::Ready => depth.ready += 1,
                Phase::Busy { .. } => depth.busy += 1,
                Phase::Idle => depth.delayed += 1,
            }
        }
        depth
    }
}

/// `at` and `by` more; the end of time where there is no such time.
pub fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str) -> Task {
        Task { controller: 0, key: Key::new("", "pods", "a", name) }
    }
    fn all(_: usize) -> bool {
        true
    }
    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn a_key_is_in_the_line_once_and_in_work_once() {
        let mut q = Queue::default();
        q.add(task("x"), at(0));
        q.add(task("x"), at(0));
        assert_eq!(q.pop(all), Some(task("x")));
        q.add(task("x"), at(0));
        q.add(task("x"), at(0));
        assert_eq!(q.pop(all), None, "the key is busy");
        q.done(&task("x"), None);
        assert_eq!(q.pop(all), Some(task("x")), "it changed while busy");
        assert_eq!(q.pop(all), None);
        q.done(&task("x"), None);
        assert_eq!(q.pop(all), None);
        assert_eq!(q.depth(0), Depth::default());
    }

    #[test]
    fn first_come_first_served_among_those_who_may() {
        let of = |controller, name: &str| Task { controller, ..task(name) };
        let mut q = Queue::default();
        for (controller, name) in [(0, "a"), (0, "b"), (1, "c"), (0, "d")] {
            q.add(of(controller, name), at(0));
        }
        let got = [q.pop(all), q.pop(|controller| controller == 1), q.pop(|controller| controller == 1), q.pop(all), q.pop(all)];
        assert_eq!(got, [Some(of(0, "a")), Some(of(1, "c")), None, Some(of(0, "b")), Some(of(0, "d"))]);
    }

    #[test]
    fn a_requeue_waits_for_its_time_and_a_change_comes_first() {
        let mut q = Queue::default();
        q.add(task("x"), at(0));
        q.pop(all).unwrap();
        q.done(&task("x"), Some(at(100)));
        q.wake(at(99));
        assert_eq!((q.pop(all), q.next_wake()), (None, Some(at(100))));
        q.add(task("x"), at(99));
        assert_eq!((q.pop(all), q.next_wake()), (Some(task("x")), None));
        q.done(&task("x"), Some(at(200)));
        q.wake(at(200));
        assert_eq!(q.pop(all), Some(task("x")));
    }

    #[test]
    fn failures_pause_longer_each_time_and_changes_shorten_the_pause() {
        let mut q = Queue::default();
        q.add(task("x"), at(0));
        let mut pauses = Vec::new();
        let mut now = at(0);
        for _ in 0..15 {
            q.pop(all).unwrap();
            q.failed(&task("x"), now);
            let next = q.next_wake().unwrap();
            pauses.push(next.duration_since(now).as_millis());
            now = next;
            q.wake(now);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480, 30000, 30000]);
        q.pop(all).unwrap();
        q.failed(&task("x"), now);
        q.add(task("x"), now);
        assert_eq!(q.next_wake(), Some(later(now, BACKOFF_CHANGED)));
        q.wake(later(now, BACKOFF_CHANGED));
        q.pop(all).unwrap();
        q.add(task("x"), now);
        q.failed(&task("x"), now);
        assert_eq!(q.next_wake(), Some(later(now, BACKOFF_CHANGED)), "it changed while it was busy");
        q.wake(later(now, BACKOFF_CHANGED));
        q.pop(all).unwrap();
        q.done(&task("x"), None);
        q.add(task("x"), now);
        assert_eq!(q.pop(all), Some(task("x")), "a success forgets the failures");
    }
}
