//! What a Deployment's status says: counts, conditions, and how `kubectl rollout status` learns that a rollout moves, is done or is stuck.
use super::arithmetic::Spec;
use super::sets::{Set, Sets};
use crate::runtime::{Failure, Item, Plan, later};
use crate::status::{condition, count, difference, find, list, set, unset};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// Sums over a Deployment's ReplicaSets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pods.
    pub replicas: i64,
    /// Pods of the present template.
    pub updated: i64,
    /// Ready pods.
    pub ready: i64,
    /// Available pods.
    pub available: i64,
    /// Pods asked for that aren't available.
    pub unavailable: i64,
}

impl Counts {
    /// As the ReplicaSets report.
    pub fn of(sets: &Sets<'_>) -> Self {
        let sum = |field: fn(&Set<'_>) -> i64| sets.all().map(field).sum::<i64>();
        let available = sum(|s| s.available);
        Self {
            replicas: sum(|s| s.status_replicas),
            updated: sets.new.as_ref().map_or(0, |n| n.status_replicas),
            ready: sum(|s| s.ready),
            available,
            unavailable: (sum(|s| s.replicas) - available).max(0),
        }
    }
    /// As the Deployment reports.
    fn reported(deployment: &Item) -> Self {
        let status = |field| deployment.object().int_at(&["status", field]).unwrap_or_default();
        Self {
            replicas: status("replicas"),
            updated: status("updatedReplicas"),
            ready: status("readyReplicas"),
            available: status("availableReplicas"),
            unavailable: status("unavailableReplicas"),
        }
    }
    fn moved_since(&self, old: &Self) -> bool {
        self.updated > old.updated || self.replicas - self.updated < old.replicas - old.updated || self.ready > old.ready || self.available > old.available
    }
}

/// Whether all pods are of the present template and available, and no others are left.
pub fn complete(spec: &Spec, counts: &Counts) -> bool {
    counts.updated == spec.replicas && counts.replicas == spec.replicas && counts.available == spec.replicas
}

/// Sets a condition with its time of update.
fn put(conditions: &mut Vec<Value>, mut new: Value, now: Timestamp) {
    new["lastUpdateTime"] = json!(model::time::format(now));
    set(conditions, new, now, false);
}

fn reason<'a>(conditions: &'a [Value], r#type: &str) -> &'a str {
    find(conditions, r#type).and_then(|c| c["reason"].as_str()).unwrap_or_default()
}

/// Notes that the rollout was paused or resumed; a deadline that has passed stays noted.
pub fn note_pause(spec: &Spec, conditions: &mut Vec<Value>, now: Timestamp) {
    let reason = reason(conditions, "Progressing");
    if spec.deadline.is_none() || reason == "ProgressDeadlineExceeded" {
        return;
    }
    let (reason, message) = match (spec.paused, reason == "DeploymentPaused") {
        (true, false) => ("DeploymentPaused", "Deployment is paused"),
        (false, true) => ("DeploymentResumed", "Deployment is resumed"),
        _ => return,
    };
    put(conditions, json!({"type": "Progressing", "status": "Unknown", "reason": reason, "message": message}), now);
}

/// Notes that the new ReplicaSet was created, found, or could not be created.
pub fn note_new(spec: &Spec, new: Option<&Set<'_>>, failed: Option<&Failure>, conditions: &mut Vec<Value>, now: Timestamp) {
    let (Some(new), Some(_)) = (new, spec.deadline) else { return };
    if let Some(failure) = failed.filter(|_| new.is_created()) {
        let message = format!("Failed to create new replica set {:?}: {}", new.name, failure.error.message);
        put(conditions, condition("Progressing", false, "ReplicaSetCreateError", message), now);
    } else if new.is_created() {
        put(conditions, condition("Progressing", true, "NewReplicaSetCreated", format!("Created new replica set {:?}", new.name)), now);
    } else if find(conditions, "Progressing").is_none() {
        put(conditions, condition("Progressing", true, "FoundNewReplicaSet", format!("Found new replica set {:?}", new.name)), now);
    }
}

/// What a status is made from.
pub struct Report<'a> {
    /// Whose.
    pub deployment: &'a Item,
    /// What it asks for.
    pub spec: &'a Spec,
    /// What it has.
    pub sets: &'a Sets<'a>,
    /// Its conditions, with what this plan noted so far.
    pub conditions: Vec<Value>,
    /// Whether its next ReplicaSet's name is taken.
    pub collided: bool,
    /// Whether the rollout's progress is judged, too.
    pub rolling: bool,
    /// When.
    pub now: Timestamp,
}

impl Report<'_> {
    /// Adds what the status should say, and when to look at the deadline.
    pub fn write(mut self, plan: &mut Plan) {
        let (spec, object) = (self.spec, self.deployment.object());
        let counts = Counts::of(self.sets);
        judge_availability(spec, &counts, &mut self.conditions, self.now);
        if self.rolling {
            judge_progress(self.deployment, spec, self.sets, &counts, &mut self.conditions, self.now);
            copy_failure(self.sets, &mut self.conditions, self.now);
        }
        if let Some(at) = (self.rolling && !complete(spec, &counts)).then(|| deadline(spec, &self.conditions)).flatten() {
            plan.look_again(at);
        }
        let collisions = object.int_at(&["status", "collisionCount"]).unwrap_or_default() + i64::from(self.collided);
        let fields = [
            ("observedGeneration", count(self.deployment.meta.generation)),
            ("replicas", count(counts.replicas)),
            ("updatedReplicas", count(counts.updated)),
            ("readyReplicas", count(counts.ready)),
            ("availableReplicas", count(counts.available)),
            ("unavailableReplicas", count(counts.unavailable)),
            ("collisionCount", count(collisions)),
            ("conditions", list(self.conditions)),
        ];
        let fields: Map<String, Value> = fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        if let Some(patch) = difference(object.at(&["status"]), fields) {
            plan.merge(self.deployment, "status", json!({"status": patch}));
        }
    }
}

fn judge_availability(spec: &Spec, counts: &Counts, conditions: &mut Vec<Value>, now: Timestamp) {
    let new = if counts.available >= spec.min_available() {
        condition("Available", true, "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        condition("Available", false, "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    put(conditions, new, now);
}

fn judge_progress(deployment: &Item, spec: &Spec, sets: &Sets<'_>, counts: &Counts, conditions: &mut Vec<Value>, now: Timestamp) {
    if spec.deadline.is_none() {
        unset(conditions, "Progressing");
        return;
    }
    if counts.replicas == counts.updated && reason(conditions, "Progressing") == "NewReplicaSetAvailable" {
        return;
    }
    let who = sets.new.as_ref().map_or_else(|| format!("Deployment {:?}", deployment.name()), |n| format!("ReplicaSet {:?}", n.name));
    if complete(spec, counts) {
        put(conditions, condition("Progressing", true, "NewReplicaSetAvailable", format!("{who} has successfully progressed.")), now);
    } else if counts.moved_since(&Counts::reported(deployment)) {
        progressed(conditions, condition("Progressing", true, "ReplicaSetUpdated", format!("{who} is progressing.")), now);
    } else if timed_out(spec, conditions, now) {
        put(conditions, condition("Progressing", false, "ProgressDeadlineExceeded", format!("{who} has timed out progressing.")), now);
    }
}

/// Each step of progress renews the time of update, from which the deadline counts.
fn progressed(conditions: &mut Vec<Value>, mut new: Value, now: Timestamp) {
    let since = find(conditions, "Progressing").filter(|c| c["status"] == "True").map(|c| c["lastTransitionTime"].clone());
    new["lastUpdateTime"] = json!(model::time::format(now));
    new["lastTransitionTime"] = since.unwrap_or_else(|| json!(model::time::format(now)));
    unset(conditions, "Progressing");
    conditions.push(new);
}

fn timed_out(spec: &Spec, conditions: &[Value], now: Timestamp) -> bool {
    match reason(conditions, "Progressing") {
        "" | "NewReplicaSetAvailable" => false,
        "ProgressDeadlineExceeded" => true,
        _ => deadline(spec, conditions).is_some_and(|at| at <= now),
    }
}

/// When a rollout that doesn't move counts as stuck; `None` when it does already, or can't.
fn deadline(spec: &Spec, conditions: &[Value]) -> Option<Timestamp> {
    if matches!(reason(conditions, "Progressing"), "ProgressDeadlineExceeded" | "NewReplicaSetAvailable") {
        return None;
    }
    let updated: Timestamp = find(conditions, "Progressing")?["lastUpdateTime"].as_str()?.parse().ok()?;
    // a second more, since times are written in whole seconds
    Some(later(updated, SignedDuration::from_secs(spec.deadline? + 1)))
}

/// A ReplicaSet's failure is its Deployment's: the new one's first.
fn copy_failure(sets: &Sets<'_>, conditions: &mut Vec<Value>, now: Timestamp) {
    let failure = |set: &Set<'_>| find(set.item?.object().list_at(&["status", "conditions"]), "ReplicaFailure").filter(|c| c["status"] == "True").cloned();
    let first = sets.new.iter().chain(&sets.old).find_map(failure);
    match first {
        Some(failure) => put(conditions, failure, now),
        None => _ = unset(conditions, "ReplicaFailure"),
    }
}
