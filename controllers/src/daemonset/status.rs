//! What a DaemonSet's status says.
use super::Daemon;
use crate::pod::pod;
use crate::runtime::Plan;
use crate::status::{count, difference};
use serde_json::{Map, Value, json};

#[derive(Default)]
struct Counts {
    desired: i64,
    current: i64,
    misscheduled: i64,
    ready: i64,
    available: i64,
    updated: i64,
}

impl Daemon<'_> {
    /// Writes the status where it differs, and asks to look again when the next pod will be available.
    pub(super) fn report(&self, plan: &mut Plan) {
        let counts = self.counts();
        let fields = [
            ("currentNumberScheduled", json!(counts.current)),
            ("numberMisscheduled", json!(counts.misscheduled)),
            ("desiredNumberScheduled", json!(counts.desired)),
            ("numberReady", json!(counts.ready)),
            ("observedGeneration", count(self.set.meta.generation)),
            ("updatedNumberScheduled", count(counts.updated)),
            ("numberAvailable", count(counts.available)),
            ("numberUnavailable", count(counts.desired - counts.available)),
        ];
        let fields: Map<String, Value> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        if let Some(patch) = difference(self.set.object().at(&["status"]), fields) {
            plan.merge(self.set, "status", json!({"status": patch}));
        }
        let pods = self.places.values().flat_map(|place| &place.pods);
        let next = pods.filter_map(|item| pod(item).available_at(self.limits.min_ready)).filter(|at| *at > self.at.now).min();
        next.into_iter().for_each(|at| plan.look_again(at));
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for place in self.places.values().filter(|place| place.node.is_some()) {
            let first = place.pods.first();
            if !place.verdict.run {
                counts.misscheduled += i64::from(first.is_some());
                continue;
            }
            counts.desired += 1;
            let Some(first) = first else { continue };
            counts.current += 1;
            counts.ready += i64::from(pod(first).ready());
            counts.available += i64::from(self.available(first));
            counts.updated += i64::from(self.version.has(first));
        }
        counts
    }
}
