//! Makes a key wait until the view shows what was written for it. Otherwise a controller could act twice, on a view that is behind the log.
use super::queue::{Task, later};
use super::resource::Resource;
use super::view::View;
use jiff::{SignedDuration, Timestamp};
use model::Key;
use std::collections::{BTreeSet, HashMap};

/// One thing that the view must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// This resource up to this revision, by any of its events or by a bookmark. Revisions of different resources are never
    /// compared: short-lived ones count on their own.
    Revision(Resource, u64),
    /// This object gone, or at another revision than this one.
    Change(Key, u64),
}

impl Expectation {
    /// The resource whose news may end the wait.
    fn resource(&self) -> Resource {
        match self {
            Self::Revision(resource, _) => resource.clone(),
            Self::Change(key, _) => Resource::of_key(key),
        }
    }
    /// Whether there is nothing to wait for: seen, or of a resource that isn't watched.
    fn over(&self, view: &View) -> bool {
        match self {
            Self::Revision(resource, revision) => view.revision(resource).is_none_or(|r| r >= *revision),
            Self::Change(key, revision) => view.at(key).is_none_or(|item| item.revision() != *revision),
        }
    }
}

/// A fence that isn't lifted by then is lifted all the same: a write that no watch ever shows must not hold its key for good.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15);

#[derive(Debug)]
struct PendingExpectations {
    expected: Vec<Expectation>,
    deadline: Timestamp,
}

/// All keys that wait. Each is filed under the resource of the last of its awaits, so that news of a resource touch only those.
#[derive(Debug, Default)]
pub struct Expectations {
    tasks: HashMap<Task, PendingExpectations>,
    by_resource: HashMap<Resource, BTreeSet<Task>>,
    deadlines: BTreeSet<(Timestamp, Task)>,
}

impl Expectations {
    /// Makes `task` wait; `false` when there is nothing to wait for.
    pub fn put(&mut self, task: &Task, awaits: Vec<Expectation>, view: &View, now: Timestamp) -> bool {
        let deadline = later(now, PATIENCE);
        let Some(fence) = still(PendingExpectations { expected: awaits, deadline }, view) else { return false };
        self.deadlines.insert((deadline, task.clone()));
        self.file(task.clone(), fence);
        true
    }

    fn file(&mut self, task: Task, fence: PendingExpectations) {
        if let Some(last) = fence.expected.last() {
            self.by_resource.entry(last.resource()).or_default().insert(task.clone());
        }
        self.tasks.insert(task, fence);
    }

    /// The tasks that the news of `resource` let go.
    pub fn news(&mut self, resource: &Resource, view: &View) -> Vec<Task> {
        let mut free = Vec::new();
        for task in self.by_resource.remove(resource).unwrap_or_default() {
            let Some(fence) = self.tasks.remove(&task) else { continue };
            let deadline = fence.deadline;
            match still(fence, view) {
                Some(fence) => self.file(task, fence),
                None => {
                    self.deadlines.remove(&(deadline, task.clone()));
                    free.push(task);
                }
            }
        }
        free
    }

    /// The tasks that waited too long.
    pub fn overdue(&mut self, now: Timestamp) -> Vec<Task> {
        let mut free = Vec::new();
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, task)) = self.deadlines.pop_first() else { break };
            if let Some(last) = self.tasks.remove(&task).and_then(|f| f.expected.into_iter().next_back())
                && let Some(filed) = self.by_resource.get_mut(&last.resource())
            {
                filed.remove(&task);
            }
            free.push(task);
        }
        free
    }

    /// When the next task will have waited too long.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }
}

/// What is left of a fence; `None` when nothing is.
fn still(mut fence: PendingExpectations, view: &View) -> Option<PendingExpectations> {
    while fence.expected.pop_if(|a| a.over(view)).is_some() {}
    (!fence.expected.is_empty()).then_some(fence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::item::Item;
    use model::{Object, Stored};
    use serde_json::json;
    use std::sync::Arc;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(s).unwrap()
    }
    fn pod(name: &str, revision: u64) -> Item {
        let object = Object::from_value(json!({"metadata": {"name": name, "namespace": "a", "uid": name, "resourceVersion": revision.to_string()}})).unwrap();
        Item::new(Arc::new(Stored::from_object(Resource::PODS.key("a", name), object).unwrap()), at(0))
    }
    fn view() -> View {
        let mut view = View::default();
        view.watch(Resource::PODS, &[], false);
        view.watch(Resource::LEASES, &[], false);
        view
    }
    fn task() -> Task {
        Task { controller: 0, key: Resource::REPLICA_SETS.key("a", "rs") }
    }

    #[test]
    fn a_revision_is_awaited_in_its_own_resource() {
        let (mut view, mut expectations) = (view(), Expectations::default());
        assert!(expectations.put(&task(), vec![Expectation::Revision(Resource::PODS, 7)], &view, at(0)));
        view.advance(&Resource::LEASES, 100);
        assert!(expectations.news(&Resource::LEASES, &view).is_empty(), "leases count on their own");
        view.apply(&Resource::PODS, pod("x", 6));
        assert!(expectations.news(&Resource::PODS, &view).is_empty());
        view.advance(&Resource::PODS, 8);
        assert_eq!(expectations.news(&Resource::PODS, &view), [task()], "a bookmark beyond it will do");
        assert_eq!(expectations.next_deadline(), None);
    }

    #[test]
    fn a_deletion_is_awaited_by_its_object() {
        let (mut view, mut expectations) = (view(), Expectations::default());
        view.apply(&Resource::PODS, pod("x", 6));
        let awaits =
            vec![Expectation::Change(Resource::PODS.key("a", "x"), 6), Expectation::Revision(Resource::PODS, 6), Expectation::Revision(Resource::EVENTS, 9)];
        assert!(expectations.put(&task(), awaits, &view, at(0)));
        view.advance(&Resource::PODS, 9);
        assert!(expectations.news(&Resource::PODS, &view).is_empty());
        view.delete(&Resource::PODS, &Resource::PODS.key("a", "x"), 10, at(1));
        assert_eq!(expectations.news(&Resource::PODS, &view), [task()]);
    }

    #[test]
    fn what_is_never_shown_holds_its_key_for_a_bounded_time() {
        let (view, mut expectations) = (view(), Expectations::default());
        assert!(expectations.put(&task(), vec![Expectation::Revision(Resource::PODS, 7)], &view, at(0)));
        assert_eq!(expectations.next_deadline(), Some(at(15)));
        assert!(expectations.overdue(at(14)).is_empty());
        assert_eq!(expectations.overdue(at(15)), [task()]);
        assert!(expectations.news(&Resource::PODS, &view).is_empty());
        assert!(!expectations.put(&task(), Vec::new(), &view, at(15)), "nothing written, nothing awaited");
    }
}
