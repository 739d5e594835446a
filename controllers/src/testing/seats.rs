//! A controller whose writes take long doesn't keep the others from theirs.
use super::Sim;
use crate::runtime::{Controller, Input, Moment, Output, Part, Plan, Resource, View};
use model::Key;
use serde_json::json;

/// Writes a label on each object of a resource.
struct Marks(Resource);

impl Controller for Marks {
    fn name(&self) -> &'static str {
        "marks"
    }
    fn inputs(&self) -> Vec<Input> {
        vec![Input::itself(self.0.clone())]
    }
    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(self.0.clone(), Part::Portion, "labels")]
    }
    fn plan(&self, view: &View, key: &Key, _: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        if let Some(item) = view.at(key).filter(|item| item.label("m").is_none()) {
            plan.merge(item, "", json!({"metadata": {"labels": {"m": ""}}}));
        }
        plan
    }
}

#[test]
fn a_slow_controller_leaves_room() {
    let mut sim = Sim::new(vec![Box::new(Marks(Resource::CONFIG_MAPS)), Box::new(Marks(Resource::NODES))]);
    for i in 0..20 {
        sim.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c{i}"), "namespace": "a"}}));
    }
    sim.create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}));
    sim.show_all();
    // nothing of it is carried out: each plan holds its seat
    let jobs = sim.engine.turn(sim.now, 8);
    let of = |name: &str| jobs.iter().filter(|job| &*job.task.key.resource == name).count();
    assert_eq!((of("configmaps"), of("nodes")), (4, 1));
    let more = sim.engine.turn(sim.now, 3);
    assert!(more.is_empty(), "who holds more than is left gets no more");
    for job in jobs {
        let outcomes = job.plan.writes.iter().map(|_| crate::runtime::engine::WriteOutcome::Unsent).collect();
        sim.engine.finish(job, outcomes, sim.now);
    }
    assert_eq!(sim.engine.turn(sim.now, 8).len(), 4, "what is done leaves its seat");
}
