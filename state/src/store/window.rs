//! The window of recent changes of a resource, which watches and paged lists read.
use model::Stored;
use std::collections::VecDeque;
use std::sync::Arc;

/// How much of the recent past a resource keeps for watches and paged lists.
#[derive(Clone, Copy, Debug)]
pub struct WindowLimits {
    /// At most so many changes.
    pub events: usize,
    /// At most so many bytes of JSON in them.
    pub bytes: usize,
}

impl Default for WindowLimits {
    fn default() -> Self {
        Self { events: 10_000, bytes: 32 << 20 }
    }
}

/// One change of one object, shared by all who watch.
#[derive(Clone, Debug)]
pub struct RecordedChange {
    /// The object before; `None` when it is new.
    pub old: Option<Arc<Stored>>,
    /// The object now; of a deleted one its last state, at the revision of the deletion.
    pub new: Arc<Stored>,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Where in the log.
    pub revision: u64,
}

/// So many of the newest changes, and the objects that they left, keep what was parsed of them; who comes later parses again.
pub(crate) const FRESH: usize = 64;

/// Recent changes, in order. Positions count all changes ever made, so that a reader's place survives evictions.
#[derive(Debug)]
pub(crate) struct Window {
    changes: VecDeque<Arc<RecordedChange>>,
    first: u64,
    floor: u64,
    bytes: usize,
    limits: WindowLimits,
}

impl Window {
    pub(crate) fn new(floor: u64, limits: WindowLimits) -> Self {
        Self { changes: VecDeque::new(), first: 0, floor, bytes: 0, limits }
    }

    /// The change that has just become old.
    pub(crate) fn aged(&mut self) -> Option<&mut Arc<RecordedChange>> {
        let index = self.changes.len().checked_sub(FRESH + 1)?;
        self.changes.get_mut(index)
    }

    pub(crate) fn push(&mut self, change: Arc<RecordedChange>) {
        self.bytes += change.new.json().len();
        self.changes.push_back(change);
        while self.changes.len() > self.limits.events || self.bytes > self.limits.bytes {
            let Some(evicted) = self.changes.pop_front() else { break };
            self.bytes -= evicted.new.json().len();
            self.floor = evicted.revision;
            self.first += 1;
        }
    }

    /// The revision since which no change is missing.
    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// The position after the last change.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.changes.len() as u64
    }

    /// The position of the first change after `revision`; `None` when it may be lost.
    pub(crate) fn after(&self, revision: u64) -> Option<u64> {
        (revision >= self.floor).then(|| self.first + self.changes.partition_point(|c| c.revision <= revision) as u64)
    }

    /// The changes from `position` on; `None` when it was evicted.
    pub(crate) fn from(&self, position: u64) -> Option<impl Iterator<Item = &Arc<RecordedChange>>> {
        let skip = usize::try_from(position.checked_sub(self.first)?).ok()?;
        Some(self.changes.range(skip.min(self.changes.len())..))
    }

    /// Drops everything, so that every reader learns that it missed something.
    pub(crate) fn reset(&mut self, floor: u64) {
        *self = Self { first: self.end() + 1, ..Self::new(floor, self.limits) };
    }
}
