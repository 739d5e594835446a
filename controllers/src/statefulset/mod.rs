//! StatefulSets: pods with names that stay, one for each ordinal, and claims that stay with them.
mod claims;
mod identity;
mod replicas;
mod status;
#[cfg(test)]
mod tests;
mod update;

use crate::ownership;
use crate::pod::pod;
use crate::revisions::{self, History, POD_LABEL};
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange};
use claims::{Claims, Holder};
use model::Key;
use serde_json::Value;
use std::cmp::Reverse;
use std::sync::Arc;

/// The label of a revision that has its hash.
const HASH_LABEL: &str = "controller.kubernetes.io/hash";

/// Keeps the pods of StatefulSets.
pub struct StatefulSets;

impl Controller for StatefulSets {
    fn name(&self) -> &'static str {
        "statefulset-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        let own = [Input::itself(Resource::STATEFUL_SETS), Input::new(Resource::CLAIMS, claimed_by)];
        let parts = [Resource::PODS, Resource::CONTROLLER_REVISIONS].map(|resource| ownership::inputs(resource, Resource::STATEFUL_SETS));
        parts.into_iter().flatten().chain(own).collect()
    }

    fn outputs(&self) -> Vec<Output> {
        vec![
            Output::new(Resource::PODS, Part::Whole, "of StatefulSets"),
            Output::new(Resource::CLAIMS, Part::Whole, "of StatefulSets"),
            Output::new(Resource::CONTROLLER_REVISIONS, Part::Whole, "of StatefulSets"),
            Output::new(Resource::STATEFUL_SETS, Part::Status, ""),
        ]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(set) = view.at(key) else { return plan };
        let Ok(selector) = ownership::selector(set) else { return plan };
        let history = History::claim(view, set, &selector, &mut plan);
        let named = |name: &str| identity::ordinal(set.name(), name).is_some();
        let pods = ownership::claim_named(view, &Resource::PODS, set, &selector, named, &mut plan);
        let latest = if set.deleting() { history.newest() } else { history.latest(view, HASH_LABEL, &mut plan) };
        let Some(update) = latest else { return plan };
        let current = history.named(set.object().str_at(&["status", "currentRevision"])).unwrap_or(update);
        let look = Look::of(view, set, [current, update], &pods, at);
        let outdated = if set.deleting() { 0 } else { look.act(&mut plan) };
        look.report(&pods, outdated, &mut plan);
        let lives = |item: &Item| [current, update].iter().any(|r| r.uid() == item.uid()) || pods.iter().any(|pod| pod.label(POD_LABEL) == Some(item.name()));
        if !set.deleting() {
            revisions::truncate(set, &history.filter(|item| !lives(item)), |_| false, &mut plan);
        }
        plan
    }
}

/// The sets that have a claim for one of their pods.
fn claimed_by(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    let Some(claim) = change.item() else { return Vec::new() };
    let ordinal = claim.name().rsplit('-').next().and_then(|digits| digits.parse().ok());
    let Some(ordinal) = ordinal else { return Vec::new() };
    let is_of = |set: &&Arc<Item>| {
        let templates = set.object().list_at(&["spec", "volumeClaimTemplates"]);
        templates.iter().any(|template| identity::claim_name(template, set.name(), ordinal) == claim.name())
    };
    view.in_namespace(&Resource::STATEFUL_SETS, claim.namespace()).filter(is_of).map(|set| set.key().clone()).collect()
}

/// A pod that a set wants, there or not.
struct Replica<'a> {
    ordinal: i64,
    name: String,
    pod: Option<&'a Arc<Item>>,
}

/// One look at one StatefulSet.
struct Look<'a> {
    set: &'a Item,
    at: &'a Moment<'a>,
    claims: Claims<'a>,
    /// The revision that pods had before, and the one that they are to have.
    current: &'a Item,
    update: &'a Item,
    /// One after the other.
    ordered: bool,
    min_ready: i64,
    start: i64,
    /// Those that are wanted, by their ordinals.
    replicas: Vec<Replica<'a>>,
    /// Those that aren't, the highest ordinal first.
    condemned: Vec<Replica<'a>>,
}

impl<'a> Look<'a> {
    fn of(view: &'a View, set: &'a Item, [current, update]: [&'a Arc<Item>; 2], pods: &[&'a Arc<Item>], at: &'a Moment<'a>) -> Self {
        let object = set.object();
        let number = |path: &[&str]| object.int_at(path);
        let start = number(&["spec", "ordinals", "start"]).unwrap_or_default();
        let wanted = start..start + number(&["spec", "replicas"]).unwrap_or(1);
        let replica = |ordinal| Replica { ordinal, name: identity::pod_name(set.name(), ordinal), pod: None };
        let mut replicas: Vec<Replica<'a>> = wanted.clone().map(replica).collect();
        let mut condemned = Vec::new();
        for item in pods {
            let Some(ordinal) = identity::ordinal(set.name(), item.name()) else { continue };
            let found = usize::try_from(ordinal - start).ok().and_then(|index| replicas.get_mut(index));
            match found.filter(|found| found.name == item.name()) {
                Some(replica) => replica.pod = Some(item),
                None => condemned.push(Replica { pod: Some(item), ordinal, name: item.name().to_owned() }),
            }
        }
        condemned.sort_by_key(|replica| Reverse(replica.ordinal));
        Self {
            set,
            at,
            claims: Claims::of(view, set),
            current,
            update,
            ordered: object.str_at(&["spec", "podManagementPolicy"]) != "Parallel",
            min_ready: number(&["spec", "minReadySeconds"]).unwrap_or_default(),
            start,
            replicas,
            condemned,
        }
    }

    /// What the first of these steps has to do that has something to do. Returns how many pods of the current revision go for an update.
    fn act(&self, plan: &mut Plan) -> i64 {
        if self.keep_replicas(plan) && self.keep_condemned_claims(plan) && self.scale_down(plan) { self.roll(plan) } else { 0 }
    }

    fn holder(&self, replica: &'a Replica<'a>) -> Holder<'a> {
        let end = self.start + i64::try_from(self.replicas.len()).unwrap_or(i64::MAX);
        Holder { ordinal: replica.ordinal, name: &replica.name, pod: replica.pod.map(|item| &**item), wanted: (self.start..end).contains(&replica.ordinal) }
    }

    /// Whether a pod serves, has done so for long enough, and stays.
    fn available(&self, item: &Item) -> bool {
        !item.deleting() && pod(item).available(self.min_ready, self.at.now)
    }

    /// A part of the rolling update's rules; `None` for another strategy, or where nothing is said.
    fn rolling(&self, field: &str) -> Option<&Value> {
        self.set.object().at(&["spec", "updateStrategy", "rollingUpdate", field])
    }

    /// So many of the first pods keep their revision.
    fn partition(&self) -> Option<i64> {
        let rolling = self.set.object().at(&["spec", "updateStrategy", "rollingUpdate"]);
        rolling.map(|_| self.rolling("partition").and_then(Value::as_i64).unwrap_or_default())
    }

    fn delete(&self, item: &Item, plan: &mut Plan) {
        self.says("Delete", item.name(), plan.delete(item));
    }

    /// With events as Kubernetes tells them of a pod of a set.
    fn says(&self, verb: &'static str, name: &str, write: &mut crate::runtime::Write) {
        let [done, failed] = match verb {
            "Create" => ["SuccessfulCreate", "FailedCreate"],
            "Delete" => ["SuccessfulDelete", "FailedDelete"],
            _ => ["SuccessfulUpdate", "FailedUpdate"],
        };
        let set = self.set.name();
        let (told, error) =
            (format!("{verb} Pod {name} in StatefulSet {set} successful"), format!("{verb} Pod {name} in StatefulSet {set} failed error: {{}}"));
        write.says(self.set, (done, told), (failed, error));
    }
}
