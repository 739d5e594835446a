//! Disruption budgets of Deployments: what users do with them, what must hold of evictions, and what must have been counted once all is quiet.
use crate::ask::{act, delete, merge, names, object};
use crate::facts::ready;
use crate::net::{NAMESPACE, Net};
use crate::store::Entry;
use jiff::{SignedDuration, Timestamp};
use model::Object;
use rand::Rng;
use rand::seq::IteratorRandom;
use serde_json::{Value, json};
use state::eviction::BUDGETS;
use state_client::{Options, Request, Verb};

/// The Deployments that may have one, by the label of their pods.
const APPS: [&str; 3] = ["d0", "d1", "d2"];
/// What budgets allow may still be from before what was lost so long ago: the controllers may be cut off several times in a row.
const UNCOUNTED: SignedDuration = SignedDuration::from_mins(5);

/// One thing that users do.
pub fn user(net: &mut Net) {
    if net.random.random_range(0..4) == 0 { budget(net) } else { evict(net) }
}

/// Makes, changes or removes the budget of a Deployment.
fn budget(net: &mut Net) {
    let app = APPS.into_iter().choose(&mut net.random).unwrap_or_default();
    let share = [
        json!({"minAvailable": net.random.random_range(0..5)}),
        json!({"minAvailable": "50%"}),
        json!({"maxUnavailable": 1}),
        json!({"maxUnavailable": "30%"}),
    ];
    let (share, what) = (share.into_iter().choose(&mut net.random).unwrap_or_default(), net.random.random_range(0..6));
    let with_share = |mut spec: Value| {
        spec.as_object_mut().into_iter().for_each(|spec| spec.extend(share.as_object().cloned().unwrap_or_default()));
        spec
    };
    let request = match (what, net.store.get(BUDGETS.0, BUDGETS.1, NAMESPACE, app)) {
        (_, None) => {
            let spec = with_share(json!({"selector": {"matchLabels": {"app": app}}}));
            let made = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": app}, "spec": spec});
            Request::new(Verb::Create, BUDGETS.0, BUDGETS.1, NAMESPACE, "").body(object(made))
        }
        (0, Some(_)) => delete(BUDGETS, NAMESPACE, app, Options::default()),
        (_, Some(_)) => merge(BUDGETS, NAMESPACE, app, &json!({"spec": with_share(json!({"minAvailable": null, "maxUnavailable": null}))})),
    };
    act(net, request);
}

/// The pods of these Deployments.
fn pods(net: &Net) -> Vec<String> {
    let of_app = |name: &String| net.store.get("", "pods", NAMESPACE, name).and_then(|pod| app(pod.object())).is_some();
    names(net, "pods").into_iter().filter(of_app).collect()
}

fn app(pod: &Object) -> Option<&str> {
    pod.label("app").filter(|app| APPS.contains(app))
}

/// Evicts some pods at about the same time.
fn evict(net: &mut Net) {
    let many = net.random.random_range(1..4);
    let some = pods(net).into_iter().choose_multiple(&mut net.random, many);
    some.iter().for_each(|pod| act(net, eviction(pod)));
}

fn eviction(pod: &str) -> Request {
    let body = object(json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}));
    Request::new(Verb::Create, "", "pods", NAMESPACE, pod).subresource("eviction").body(body)
}

/// Evicts every pod.
pub fn evict_all(net: &mut Net) {
    net.say("-- everything is evicted --");
    for pod in pods(net) {
        act(net, eviction(&pod));
    }
}

/// Whether budgets count a pod.
fn healthy(pod: &Object) -> bool {
    pod.deletion_timestamp().is_none() && ready(pod)
}

fn evicted(pod: &Object) -> bool {
    pod.list_at(&["status", "conditions"]).iter().any(|c| c["reason"] == "EvictionByEvictionAPI" && c["status"] == "True")
}

/// What is remembered of pods that were counted.
#[derive(Default)]
pub struct Losses {
    /// The healthy pods that were lost lately by something else than an eviction: when, and of which app.
    lost: Vec<(Timestamp, String)>,
}

impl Losses {
    /// All budgets have counted the pods that there are: what was lost before is no excuse any more.
    pub fn forget(&mut self) {
        self.lost.clear();
    }

    /// An eviction never leaves fewer healthy pods than the budget wants, but for those that were lost otherwise since it was counted.
    ///
    /// # Errors
    /// Which eviction did.
    pub fn written(&mut self, pod: &Object, entry: &Entry, net: &Net) -> Result<(), String> {
        let old = entry.old.as_ref().map(|old| old.object());
        let Some(old) = old.filter(|old| healthy(old) && (entry.deleted || !healthy(pod))) else { return Ok(()) };
        self.lost.retain(|(at, _)| net.now.duration_since(*at) < UNCOUNTED);
        let Some(app) = app(pod) else { return Ok(()) };
        if !evicted(pod) || evicted(old) {
            self.lost.push((net.now, app.to_owned()));
            return Ok(());
        }
        let Some(budget) = net.store.get(BUDGETS.0, BUDGETS.1, NAMESPACE, app).map(|b| b.object()) else { return Ok(()) };
        let left = net.store.all("pods").filter(|p| p.object().label("app") == Some(app) && healthy(p.object())).count();
        let (lost, wanted) = (self.lost.iter().filter(|(_, of)| of == app).count(), budget.int_at(&["status", "desiredHealthy"]).unwrap_or_default());
        if ((left + lost) as i64) < wanted {
            return Err(format!("the eviction of {} leaves {left} healthy pods, {lost} were lost lately, and its budget wants {wanted}", pod.name()));
        }
        Ok(())
    }
}

/// Every budget has counted the pods that there are, and waits for none to go.
pub fn open(net: &Net, open: &mut Vec<String>) {
    for budget in net.store.all("poddisruptionbudgets").map(|b| b.object()) {
        let count = |field| budget.int_at(&["status", field]).unwrap_or_default();
        let there = net.store.all("pods").filter(|p| p.object().label("app") == Some(budget.name()) && healthy(p.object())).count() as i64;
        let allowed = if count("expectedPods") == 0 { 0 } else { (there - count("desiredHealthy")).max(0) };
        let right = (count("currentHealthy"), count("disruptionsAllowed"), count("observedGeneration")) == (there, allowed, budget.generation());
        if !right || budget.at(&["status", "disruptedPods"]).is_some() {
            open.push(format!("the budget {} has not counted {there} pods: {}", budget.name(), budget.at(&["status"]).unwrap_or(&Value::Null)));
        }
    }
}
