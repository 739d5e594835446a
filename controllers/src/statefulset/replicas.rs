//! The pods that a set wants come, and those that it doesn't want go: one after the other, or all at once.
use super::claims::ClaimState;
use super::identity::{missing_labels, new_pod};
use super::{Look, Replica};
use crate::pod::pod;
use crate::revisions::template;
use crate::runtime::{Item, Plan, Resource};

impl Look<'_> {
    /// Brings each replica a step on; of an ordered set the first one that isn't there yet holds the others. Whether there is room for what comes next.
    pub(super) fn keep_replicas(&self, plan: &mut Plan) -> bool {
        for replica in &self.replicas {
            let settled = match replica.pod {
                Some(item) => self.keep(replica, item, plan),
                None => self.bring(replica, plan),
            };
            if !settled && self.ordered {
                return false;
            }
        }
        true
    }

    /// A replica that isn't there: first its claims, then the pod.
    fn bring(&self, replica: &Replica<'_>, plan: &mut Plan) -> bool {
        let holder = self.holder(replica);
        if !self.claims.stale(holder) && self.claims.ensure(holder, plan) == ClaimState::There && self.claims.own(holder, plan) {
            let revision = self.revision_of_new(replica.ordinal);
            let new = new_pod(self.set, replica.ordinal, &template(revision), revision.name());
            self.says("Create", &replica.name, plan.create(&Resource::PODS, new));
        }
        false
    }

    /// A pod that is there; whether nothing has to be waited for.
    fn keep(&self, replica: &Replica<'_>, item: &Item, plan: &mut Plan) -> bool {
        let (pod, holder) = (pod(item), self.holder(replica));
        if pod.terminal() {
            if !item.deleting() {
                self.delete(item, plan);
            }
            return false;
        }
        let pending = pod.phase() == "Pending" && !item.deleting();
        let settled = !self.ordered || pod.serves() && self.available(item);
        if pending {
            self.claims.ensure(holder, plan);
        }
        if pending || settled {
            self.claims.own(holder, plan);
        }
        if let Some(patch) = missing_labels(item, replica.ordinal).filter(|_| settled) {
            self.says("Update", &replica.name, plan.merge(item, "", patch));
        }
        settled
    }

    /// The revision that the pod of an ordinal gets: those below the partition come back as they were.
    fn revision_of_new(&self, ordinal: i64) -> &Item {
        let object = self.set.object();
        let rolls = object.str_at(&["spec", "updateStrategy", "type"]) == "RollingUpdate";
        let unchanged = || object.int_at(&["status", "currentReplicas"]).filter(|_| rolls).unwrap_or_default();
        if ordinal < self.start + self.partition().unwrap_or_else(unchanged) { self.current } else { self.update }
    }

    /// Pods that go take their claims with them only if these belong to them before.
    pub(super) fn keep_condemned_claims(&self, plan: &mut Plan) -> bool {
        let mut right = true;
        for replica in &self.condemned {
            right &= self.claims.own(self.holder(replica), plan);
        }
        right
    }

    /// Pods beyond what is wanted go, the highest ordinals first. Of an ordered set one goes at a time, and only while all others that stay longer serve.
    pub(super) fn scale_down(&self, plan: &mut Plan) -> bool {
        let first_unavailable = self.first_unavailable();
        for item in self.condemned.iter().filter_map(|replica| replica.pod) {
            if item.deleting() {
                if self.ordered {
                    return false;
                }
                continue;
            }
            let serves = pod(item).serves() && self.available(item);
            if self.ordered && !serves && first_unavailable.is_none_or(|first| first.uid() != item.uid()) {
                return false;
            }
            self.delete(item, plan);
            if self.ordered {
                return false;
            }
        }
        true
    }

    /// The first pod that isn't available: of those that are wanted, else of those that aren't, by their ordinals.
    fn first_unavailable(&self) -> Option<&Item> {
        let all = self.replicas.iter().chain(self.condemned.iter().rev());
        all.filter_map(|replica| replica.pod).find(|item| !self.available(item)).map(|item| &**item)
    }
}
