//! Which nodes lack a pod, and which pods are too many, whatever revision they are of.
use super::{Changes, Daemon, Place};
use crate::pod::pod;
use crate::runtime::{Item, Plan};
use std::sync::Arc;

impl<'a> Daemon<'a> {
    /// Every node that is meant gets a pod, and no other node keeps one.
    pub(super) fn manage(&self, plan: &mut Plan) -> Changes<'a> {
        let mut changes = Changes::default();
        for (name, place) in &self.places {
            let alive = place.pods.iter().filter(|item| !item.deleting()).copied();
            match place.node {
                // what is bound goes with its node: others see to that
                None => changes.delete.extend(alive.filter(|item| pod(item).node().is_empty())),
                Some(_) if place.verdict.run && place.pods.is_empty() => changes.create.push(name.clone()),
                Some(_) if place.verdict.stay => self.tend(name, place, &mut changes, plan),
                Some(_) => changes.delete.extend(alive),
            }
        }
        changes
    }

    /// A node whose pods may stay: those that ended go, and so does what is more than one pod, or than one of each revision while the DaemonSet surges.
    fn tend(&self, name: &Arc<str>, place: &Place<'a>, changes: &mut Changes<'a>, plan: &mut Plan) {
        let mut running = Vec::new();
        for item in place.pods.iter().filter(|item| !item.deleting()).copied() {
            match pod(item).phase() {
                "Failed" => self.replace_failed(name, item, changes, plan),
                "Succeeded" => {
                    let what = format!("Found succeeded daemon pod {}/{} on node {name}, will try to delete it", item.namespace(), item.name());
                    plan.tell(self.set, "SucceededDaemonPod", what);
                    changes.delete.push(item);
                }
                _ => running.push(item),
            }
        }
        if self.limits.surge(1) == 0 {
            changes.delete.extend(running.into_iter().skip(1));
        } else if running.is_empty() && place.verdict.run {
            changes.create.push(name.clone());
        } else {
            self.keep_one_of_each(running, changes);
        }
    }

    /// A pod that failed is replaced; where that happens again and again, after a pause that grows.
    fn replace_failed(&self, name: &str, item: &'a Arc<Item>, changes: &mut Changes<'a>, plan: &mut Plan) {
        let observed = self.set.object().int_at(&["status", "observedGeneration"]).unwrap_or_default();
        let retry = format!("{observed}/{name}");
        let due = self.at.retries.next(&retry);
        if due > self.at.now {
            plan.look_again(due);
            return;
        }
        plan.retries.push(retry);
        let what = format!("Found failed daemon pod {}/{} on node {name}, will try to kill it", item.namespace(), item.name());
        plan.warn(self.set, "FailedDaemonPod", what);
        changes.delete.push(item);
    }

    /// Of each revision the oldest pod stays; the one of an old revision only while it is ready and the new one isn't available.
    fn keep_one_of_each(&self, running: Vec<&'a Arc<Item>>, changes: &mut Changes<'a>) {
        let (mut new, mut old) = (None, None);
        for item in running {
            let first = if item.label(crate::revisions::POD_LABEL) == Some(self.version.hash) { &mut new } else { &mut old };
            if first.is_none() { *first = Some(item) } else { changes.delete.push(item) }
        }
        if let (Some(new), Some(old)) = (new, old)
            && (!pod(old).ready() || self.available(new))
        {
            changes.delete.push(old);
        }
    }
}
