//! Jobs with `ttlSecondsAfterFinished` are deleted so long after their end, their pods first.
use crate::job::brief::brief;
use crate::runtime::{Controller, Input, Moment, Output, Part, Plan, Resource, View, WriteOp, later};
use jiff::SignedDuration;
use model::Key;
use state_client::Propagation;

/// Deletes Jobs some time after their end.
pub struct TtlAfterFinished;

impl Controller for TtlAfterFinished {
    fn name(&self) -> &'static str {
        "ttl-after-finished-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        let ended = |job: &crate::runtime::Item| !job.deleting() && brief(job).end.is_some() && brief(job).ttl.is_some();
        vec![Input::new(Resource::JOBS, move |_, change| change.new.filter(|job| ended(job)).map(|job| job.key().clone()).into_iter().collect())]
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::JOBS, Part::End, "after their time")]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(job) = view.at(key).filter(|job| !job.deleting()) else { return plan };
        let brief = brief(job);
        let (Some(ttl), Some(ended)) = (brief.ttl, brief.end.and_then(|end| end.at)) else { return plan };
        let due = later(ended, SignedDuration::from_secs(ttl));
        if due > at.now {
            plan.look_again(due);
        } else {
            // only as it was seen: another time may have been set meanwhile
            let (uid, revision) = (job.uid().to_owned(), job.revision());
            plan.write(key.clone(), WriteOp::Delete { uid, revision, propagation: Some(Propagation::Foreground), grace: None });
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Sim;
    use serde_json::json;

    #[test]
    fn jobs_go_after_their_time() {
        let mut sim = Sim::new(vec![Box::new(TtlAfterFinished)]);
        let job = |name: &str, ttl: Option<i64>| json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "a"}, "spec": {"ttlSecondsAfterFinished": ttl}});
        for (name, ttl) in [("none", None), ("short", Some(5)), ("long", Some(100)), ("going", Some(0))] {
            sim.create(job(name, ttl));
        }
        for (name, r#type) in [("none", "Complete"), ("short", "Failed"), ("long", "Complete"), ("going", "Suspended")] {
            let condition = json!({"type": r#type, "status": "True", "lastTransitionTime": model::time::format(sim.now)});
            sim.patch(&Resource::JOBS, name, "status", json!({"status": {"conditions": [condition]}}));
        }
        let left = |sim: &Sim| -> Vec<String> {
            let jobs = sim.all(&Resource::JOBS);
            jobs.iter().filter(|job| job.object().deletion_timestamp().is_none()).map(|job| job.key.name.to_string()).collect()
        };
        sim.pass(4);
        assert_eq!(left(&sim), ["going", "long", "none", "short"]);
        sim.pass(1);
        assert_eq!(left(&sim), ["going", "long", "none"]);
        let gone = sim.get(&Resource::JOBS, "short").unwrap();
        assert_eq!(gone.finalizers().collect::<Vec<_>>(), ["foregroundDeletion"]);
        sim.patch(&Resource::JOBS, "long", "", json!({"spec": {"ttlSecondsAfterFinished": 1000}}));
        sim.pass(500);
        assert_eq!(left(&sim), ["going", "long", "none"]);
    }
}
