//! Deployments: rolling from one ReplicaSet to the next.
mod arithmetic;
mod progress;
mod sets;
#[cfg(test)]
mod tests;

use crate::ownership;
use crate::pod::pod;
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange, controller_key};
use arithmetic::Spec;
use model::Key;
use sets::{Set, Sets};

/// Rolls Deployments out.
pub struct Deployments;

impl Controller for Deployments {
    fn name(&self) -> &'static str {
        "deployment-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        let own = [Input::itself(Resource::DEPLOYMENTS), Input::new(Resource::PODS, waiting_for_pod)];
        ownership::inputs(Resource::REPLICA_SETS, Resource::DEPLOYMENTS).into_iter().chain(own).collect()
    }

    fn outputs(&self) -> Vec<Output> {
        vec![
            Output::new(Resource::REPLICA_SETS, Part::Whole, "of Deployments"),
            Output::new(Resource::DEPLOYMENTS, Part::Status, ""),
            Output::new(Resource::DEPLOYMENTS, Part::Portion, "annotation deployment.kubernetes.io/revision"),
        ]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(deployment) = view.at(key) else { return plan };
        let Ok(selector) = ownership::selector(deployment) else { return plan };
        let owned = ownership::claim(view, &Resource::REPLICA_SETS, deployment, &selector, |_| true, &mut plan);
        let rollout = Rollout { view, deployment, spec: Spec::of(deployment), at, sets: Sets::of(deployment, &owned), collided: false };
        rollout.run(plan)
    }
}

/// A pod that ended or went concerns a Deployment that waits for its old pods to go.
fn waiting_for_pod(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let ended = |item: &Item| pod(item).terminal();
    if change.new.is_some_and(|new| !ended(new)) {
        return Vec::new();
    }
    let set = change.item().and_then(|item| controller_key(view, item, &Resource::REPLICA_SETS)).and_then(|key| view.at(&key));
    let key = set.and_then(|set| controller_key(view, set, &Resource::DEPLOYMENTS));
    key.filter(|k| view.at(k).is_some_and(|d| d.object().str_at(&["spec", "strategy", "type"]) == "Recreate")).into_iter().collect()
}

/// One look at one Deployment.
struct Rollout<'a> {
    view: &'a View,
    deployment: &'a Item,
    spec: Spec,
    at: &'a Moment<'a>,
    sets: Sets<'a>,
    collided: bool,
}

impl Rollout<'_> {
    fn run(mut self, mut plan: Plan) -> Plan {
        let mut conditions = self.deployment.object().list_at(&["status", "conditions"]).to_vec();
        if self.deployment.deleting() {
            self.report(conditions, &mut plan, false);
            return plan;
        }
        progress::note_pause(&self.spec, &mut conditions, self.at.now);
        self.sets.number(self.deployment, &self.spec);
        let rolling = !self.spec.paused && !self.sets.scaling(self.spec.replicas);
        if !rolling {
            self.sets.proportion(&self.spec, self.deployment);
            if self.spec.paused {
                self.clean(&mut plan);
            }
        } else if self.spec.recreate {
            self.recreate(&mut plan);
        } else {
            self.roll(&mut plan);
        }
        self.note_new(&mut conditions);
        self.number_deployment(&mut plan);
        self.sets.write(self.deployment, &self.spec, &mut plan);
        self.report(conditions, &mut plan, rolling);
        plan
    }

    /// Rolling update: up as far as the surge allows, else down as far as availability allows.
    fn roll(&mut self, plan: &mut Plan) {
        self.need_new();
        if self.collided || self.sets.grow_new(&self.spec) || self.sets.shrink_old(&self.spec) {
            return;
        }
        if self.complete() {
            self.clean(plan);
        }
    }

    /// Recreate: all old pods go before the first new one comes.
    fn recreate(&mut self, plan: &mut Plan) {
        let mut shrunk = false;
        for set in self.sets.old.iter_mut().filter(|s| s.replicas > 0) {
            set.scale(0);
            shrunk = true;
        }
        if shrunk || self.old_pods_run() {
            return;
        }
        self.need_new();
        if let Some(new) = &mut self.sets.new {
            new.scale(self.spec.replicas);
        }
        if self.complete() {
            self.clean(plan);
        }
    }

    fn old_pods_run(&self) -> bool {
        let runs = |set: &Set<'_>| set.item.is_some_and(|i| self.view.controlled_by(&Resource::PODS, i.uid()).any(|p| !pod(p).terminal()));
        self.sets.old.iter().any(|set| set.status_replicas > 0 || runs(set))
    }

    /// Makes the new ReplicaSet where there is none. Where its name is taken by another, the Deployment counts a collision.
    fn need_new(&mut self) {
        if self.sets.new.is_some() {
            return;
        }
        let new = Set::create(self.deployment, &self.spec, &self.sets.old);
        if self.view.get(&Resource::REPLICA_SETS, self.deployment.namespace(), &new.name).is_some() {
            self.collided = true;
        } else {
            self.sets.new = Some(new);
        }
    }

    fn complete(&self) -> bool {
        progress::complete(&self.spec, &progress::Counts::of(&self.sets))
    }

    /// Deletes old ReplicaSets beyond the history's limit, the oldest revisions first.
    fn clean(&self, plan: &mut Plan) {
        let Some(limit) = self.spec.history_limit else { return };
        let mut old: Vec<&Set<'_>> = self.sets.old.iter().filter(|s| s.item.is_some_and(|i| !i.deleting())).collect();
        old.sort_by_key(|s| (s.revision, s.created));
        let beyond = old.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        for item in old.into_iter().take(beyond).filter(|s| s.idle()).filter_map(|s| s.item) {
            plan.delete(item);
        }
    }

    fn note_new(&self, conditions: &mut Vec<serde_json::Value>) {
        let failed = self.at.failed.iter().find(|f| f.create && *f.key.resource == *Resource::REPLICA_SETS.name);
        progress::note_new(&self.spec, self.sets.new.as_ref(), failed, conditions, self.at.now);
    }

    /// The Deployment carries its new ReplicaSet's revision.
    fn number_deployment(&self, plan: &mut Plan) {
        let Some(new) = &self.sets.new else { return };
        let revision = new.revision.to_string();
        if self.deployment.object().annotation(sets::REVISION) != Some(&revision) {
            plan.merge(self.deployment, "", serde_json::json!({"metadata": {"annotations": {(sets::REVISION): revision}}}));
        }
    }

    fn report(&self, conditions: Vec<serde_json::Value>, plan: &mut Plan, rolling: bool) {
        let Self { deployment, spec, sets, collided, at, .. } = self;
        progress::Report { deployment, spec, sets, conditions, collided: *collided, rolling, now: at.now }.write(plan);
    }
}
