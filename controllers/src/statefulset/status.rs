//! What a StatefulSet's status says.
use super::Look;
use crate::pod::pod;
use crate::revisions::POD_LABEL;
use crate::runtime::{Item, Plan};
use crate::status::{count, difference};
use serde_json::{Map, Value, json};
use std::sync::Arc;

impl Look<'_> {
    /// Writes the status where it differs, and asks to look again when the next pod will be available. So many pods of the current revision go with this plan.
    pub(super) fn report(&self, pods: &[&Arc<Item>], outdated: i64, plan: &mut Plan) {
        let amount = |of: &dyn Fn(&Item) -> bool| i64::try_from(pods.iter().filter(|item| of(item)).count()).unwrap_or(i64::MAX);
        let of = |revision: &Item| amount(&|item: &Item| !item.deleting() && item.label(POD_LABEL) == Some(revision.name()));
        let object = self.set.object();
        let wanted = i64::try_from(self.replicas.len()).unwrap_or(i64::MAX);
        let (all, updated) = (amount(&|_| true), of(self.update));
        let ready = amount(&|item| pod(item).serves());
        let available = amount(&|item| pod(item).serves() && pod(item).available(self.min_ready, self.at.now));
        let (current, revision) = match updated == wanted && ready == wanted && all == wanted {
            true => (updated, self.update.name()),
            false => (of(self.current) - outdated, self.current.name()),
        };
        let fields = [
            ("replicas", json!(all)),
            ("readyReplicas", count(ready)),
            ("availableReplicas", json!(available)),
            ("currentReplicas", count(current)),
            ("updatedReplicas", count(updated)),
            ("currentRevision", json!(revision)),
            ("updateRevision", json!(self.update.name())),
            ("observedGeneration", count(self.set.meta.generation)),
            ("collisionCount", json!(object.int_at(&["status", "collisionCount"]).unwrap_or_default())),
        ];
        let fields: Map<String, Value> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        if let Some(patch) = difference(object.at(&["status"]), fields) {
            plan.merge(self.set, "status", json!({"status": patch}));
        }
        let next = pods.iter().filter_map(|item| pod(item).available_at(self.min_ready)).filter(|at| *at > self.at.now).min();
        next.into_iter().for_each(|at| plan.look_again(at));
    }
}
