//! Other sizes of a pod that runs: what the node allots of what is wanted, and what is told of it.
use super::{COMPARE, PodActor};
use crate::pod::life::Life;
use crate::pod::resize::{self, Pending};
use crate::recorder::Subject;
use jiff::Timestamp;

impl PodActor {
    /// Takes the pod as it is wanted, with the size that the node has allotted to it: the wanted one as soon as there is room.
    pub(super) fn resize(&mut self) {
        let wanted = resize::asked(&self.desired);
        let allotted = self.allotted.take().unwrap_or_else(|| {
            self.seen.pending = resize::said_pending(&self.desired);
            resize::said(&self.desired)
        });
        if resize::same(&wanted, &allotted) {
            self.seen.pending = None;
            self.pod = self.desired.clone();
            self.allotted = Some(wanted);
            return;
        }
        self.pod = resize::with(&self.desired, &allotted).into();
        self.allotted = Some(allotted);
        let now = Timestamp::now();
        if !self.entered || self.resize_at.is_some_and(|at| at > now) || self.seen.rejected.is_some() || Life::of(&self.pod, &self.seen, now) != Life::Lives {
            return;
        }
        self.resize_at = None;
        // what is given back from now on is looked at again
        self.freed.borrow_and_update();
        match self.executor.admission.resize(&self.wanted.uid, &self.desired) {
            Ok(()) => {
                self.executor.recorder.normal(&Subject::pod(&self.desired), "ResizeStarted", &resize::words("Pod resize started", &self.desired, ""));
                self.seen.pending = None;
                self.resizing = true;
                self.pod = self.desired.clone();
                self.allotted = Some(wanted);
            }
            Err((infeasible, message)) => self.wait_for_room(Pending { infeasible, message, generation: self.desired.metadata.generation }),
        }
    }

    fn wait_for_room(&mut self, pending: Pending) {
        let known = self.seen.pending.as_ref().is_some_and(|p| (p.infeasible, p.generation) == (pending.infeasible, pending.generation));
        if !known {
            let words = resize::words(&format!("Pod resize {}", pending.reason()), &self.desired, &pending.message);
            let reason = if pending.infeasible { "ResizeInfeasible" } else { "ResizeDeferred" };
            self.executor.recorder.warning(&Subject::pod(&self.desired), reason, &words);
        }
        self.seen.pending = Some(pending);
    }

    /// Begins to decide on sizes. An agent that has just begun leaves others time to be counted.
    pub(super) fn enter_sizes(&mut self, now: Timestamp) {
        self.entered = true;
        let allotted = self.allotted.as_ref().is_some_and(|sizes| !resize::same(sizes, &resize::asked(&self.desired)));
        self.resize_at = allotted.then(|| now.saturating_add(COMPARE).ok()).flatten();
    }

    /// Whether the pod waits until another one gives room back.
    pub(super) fn waits_for_room(&self) -> bool {
        self.seen.pending.as_ref().is_some_and(|p| !p.infeasible)
    }

    /// Looks again where there may be room now.
    pub(super) fn resize_again(&mut self, now: Timestamp) {
        let freed = self.waits_for_room() && self.freed.has_changed().unwrap_or_default();
        if freed || self.resize_at.is_some_and(|at| at <= now) {
            self.resize();
        }
    }

    /// Tells that the pod has the size that it was given.
    pub(super) fn tell_resized(&mut self) {
        let changing = self.seen.resizing(&self.pod).next().is_some();
        if self.resizing && !changing {
            self.executor.recorder.normal(&Subject::pod(&self.pod), "ResizeCompleted", &resize::words("Pod resize completed", &self.pod, ""));
        }
        self.resizing = changing;
    }
}
