//! Decides whether a pod may be evicted: what its disruption budget says, and what is left of the budget afterwards. The verb carries it out.
use crate::deletion::{self, DeletionOptions, DeletionPlan};
use jiff::Timestamp;
use model::kinds::disruption_budget::{self, ALLOWED, SYNC_FAILED};
use model::{ApiError, Cause, CauseReason, Kind, Object, Stored, time};
use serde_json::{Value, json};
use std::sync::Arc;

/// Group and resource of budgets.
pub const BUDGETS: (&str, &str) = ("policy", "poddisruptionbudgets");
/// With more pods than this in `status.disruptedPods` the controller is behind, and nothing is evicted.
const DISRUPTED_MAX: usize = 2_000;
/// After so many seconds it is worth asking a budget again that its controller hasn't seen yet.
const SOON: u32 = 10;

/// An eviction that is allowed.
#[derive(Clone, Debug, PartialEq)]
pub enum Eviction {
    /// No budget has a say in it.
    Free,
    /// It is one of those that this budget allows. This is the budget with one fewer.
    Counted(Box<Object>),
}

/// Decides on the eviction of a pod at `now`; `budgets` are all in its namespace. Who carries it out sees to it that pod and budget are still the same then.
///
/// # Errors
/// 429 when the budget doesn't allow it now, 403 when the budget is in disorder, 500 when several are about this pod.
pub fn judge(pod: &Object, budgets: &[Arc<Stored>], now: Timestamp) -> Result<Eviction, ApiError> {
    if is_no_disruption(pod) {
        return Ok(Eviction::Free);
    }
    let mut concerned = budgets.iter().map(|b| b.object()).filter(|b| disruption_budget::selector(b).matches(pod.labels()));
    let Some(budget) = concerned.next() else { return Ok(Eviction::Free) };
    if concerned.next().is_some() {
        let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        return Err(ApiError::passed_on(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": 500})));
    }
    if !is_ready(pod) && lets_unready_go(budget) {
        return Ok(Eviction::Free);
    }
    check(budget)?;
    Ok(Eviction::Counted(Box::new(spent(budget, pod.name(), now))))
}

/// Whether nothing is lost with a pod: it has ended, hasn't begun, or is on its way out.
fn is_no_disruption(pod: &Object) -> bool {
    matches!(pod.str_at(&["status", "phase"]), "Succeeded" | "Failed" | "Pending") || pod.deletion_timestamp().is_some()
}

fn is_ready(pod: &Object) -> bool {
    pod.list_at(&["status", "conditions"]).iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

fn count(budget: &Object, field: &str) -> i64 {
    budget.int_at(&["status", field]).unwrap_or_default()
}

/// Whether pods that aren't ready may go whatever the count is: they aren't part of it.
fn lets_unready_go(budget: &Object) -> bool {
    let (healthy, desired) = (count(budget, "currentHealthy"), count(budget, "desiredHealthy"));
    budget.str_at(&["spec", "unhealthyPodEvictionPolicy"]) == "AlwaysAllow" || (healthy >= desired && desired > 0)
}

/// Refuses when the budget allows none.
fn check(budget: &Object) -> Result<(), ApiError> {
    let name = budget.name();
    if count(budget, "observedGeneration") < budget.generation() {
        return Err(violated(SOON, format!("The disruption budget {name} is still being processed by the server.")));
    }
    let allowed = count(budget, "disruptionsAllowed");
    if allowed < 0 {
        return Err(disorder(name, "pdb disruptions allowed is negative", "pdb disruptions allowed is negative"));
    }
    let disrupted = budget.at(&["status", "disruptedPods"]).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    if disrupted > DISRUPTED_MAX {
        let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(disorder(name, why, "too many pending evictions not confirmed by PDB controller"));
    }
    if allowed == 0 { Err(violated(0, none_allowed(budget))) } else { Ok(()) }
}

/// Why a budget allows none.
fn none_allowed(budget: &Object) -> String {
    let name = budget.name();
    let said = budget.list_at(&["status", "conditions"]).iter().find(|c| c["type"] == ALLOWED && c["status"] == "False");
    let text = |field: &str| said.and_then(|c| c[field].as_str()).unwrap_or_default();
    let (healthy, desired) = (count(budget, "currentHealthy"), count(budget, "desiredHealthy"));
    match (text("reason"), text("message")) {
        (SYNC_FAILED, message) if !message.is_empty() => {
            format!("The disruption budget {name} does not allow evicting pods currently because it failed sync: {message}")
        }
        _ if healthy <= desired => format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"),
        (reason, message) if !message.is_empty() => format!("The disruption budget {name} does not allow evicting pods currently ({reason}): {message}"),
        _ => format!("The disruption budget {name} does not allow evicting pods currently"),
    }
}

fn with_cause(mut error: ApiError, message: String) -> ApiError {
    let cause = Cause { reason: CauseReason::DisruptionBudget, field: String::new(), message };
    error.details.get_or_insert_default().causes.push(cause);
    error
}

/// 429, with what the budget says.
fn violated(retry_after_seconds: u32, message: String) -> ApiError {
    let error = ApiError::too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", retry_after_seconds);
    with_cause(error, message)
}

/// 403 of a budget with a status that can't be.
fn disorder(name: &str, why: &str, short: &str) -> ApiError {
    let error = ApiError::forbidden("policy", "poddisruptionbudget", name, why);
    with_cause(error, format!("The disruption budget {name} does not allow evicting pods currently: {short}"))
}

/// The budget with one eviction fewer, which says whose it was: its controller doesn't count that pod until it has seen it go.
fn spent(budget: &Object, pod: &str, now: Timestamp) -> Object {
    let mut next = budget.clone();
    let left = count(budget, "disruptionsAllowed") - 1;
    next.set(&["status", "disruptionsAllowed"], left);
    next.set(&["status", "disruptedPods", pod], time::format(now));
    if left == 0 {
        let mut conditions = budget.list_at(&["status", "conditions"]).to_vec();
        let condition = disruption_budget::allowed_condition(left, count(budget, "observedGeneration"));
        disruption_budget::set_condition(&mut conditions, condition, now);
        next.set(&["status", "conditions"], conditions);
    }
    next
}

/// What becomes of an evicted pod: it says so, and it is deleted.
pub fn ending(kind: &Kind, pod: &Object, asked: &DeletionOptions, now: Timestamp) -> DeletionPlan {
    let announced = announced(pod, now);
    match deletion::plan(kind, &announced, asked, now) {
        DeletionPlan::Pending if announced != *pod => DeletionPlan::Mark(announced),
        plan => plan,
    }
}

/// The pod, which says that it is evicted.
pub fn announced(pod: &Object, now: Timestamp) -> Object {
    let mut conditions = pod.list_at(&["status", "conditions"]).to_vec();
    let condition =
        json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting", "lastProbeTime": null});
    disruption_budget::set_condition(&mut conditions, condition, now);
    let mut next = pod.clone();
    next.set(&["status", "conditions"], conditions);
    next
}

/// 504: others keep on changing the budget.
pub fn contended(budget: &str) -> ApiError {
    let mut error = ApiError::timeout(format!("Timeout: couldn't update PodDisruptionBudget {budget:?} due to conflicts"));
    error.details.get_or_insert_default().retry_after_seconds = SOON;
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Key;

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn budget(name: &str, spec: Value, status: Value) -> Arc<Stored> {
        let mut budget = json!({"metadata": {"namespace": "default", "name": name, "generation": 2}, "spec": {"selector": {"matchLabels": {"app": "web"}}},
            "status": {"observedGeneration": 2, "disruptionsAllowed": 1, "currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3}});
        for (field, change) in [("spec", spec), ("status", status)] {
            budget[field].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        }
        let object = Object::from_value(budget).unwrap();
        Arc::new(Stored::from_object(Key::new(BUDGETS.0, BUDGETS.1, "default", name), object).unwrap())
    }

    fn pod(phase: &str, ready: bool) -> Object {
        let ready = json!({"type": "Ready", "status": if ready { "True" } else { "False" }});
        Object::from_value(
            json!({"metadata": {"namespace": "default", "name": "p", "labels": {"app": "web"}}, "status": {"phase": phase, "conditions": [ready]}}),
        )
        .unwrap()
    }

    /// `free`, how many are left, or the code, the seconds and what the budget says.
    fn outcome(pod: &Object, budgets: &[Arc<Stored>]) -> String {
        match judge(pod, budgets, NOW.parse().unwrap()) {
            Ok(Eviction::Free) => "free".to_owned(),
            Ok(Eviction::Counted(next)) => format!("{} left", count(&next, "disruptionsAllowed")),
            Err(error) => {
                let details = error.details.clone().unwrap_or_default();
                let causes: Vec<_> = details.causes.iter().map(|c| c.message.as_str()).collect();
                format!("{} {} {}", error.code(), details.retry_after_seconds, causes.join(";"))
            }
        }
    }

    #[test]
    fn what_budgets_say() {
        let (none, running) = (json!({}), pod("Running", true));
        let of = |spec: Value, status: Value| vec![budget("b", spec, status)];
        let zero = |more: Value| {
            let mut status = json!({"disruptionsAllowed": 0});
            status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            status
        };
        let said = |reason: &str, message: &str| json!({"currentHealthy": 3, "conditions": [{"type": ALLOWED, "status": "False", "reason": reason, "message": message}]});
        let refused = "The disruption budget b does not allow evicting pods currently";
        let many: serde_json::Map<String, Value> = (0..=DISRUPTED_MAX).map(|n| (format!("p{n}"), NOW.into())).collect();
        let cases = [
            (vec![], "free".to_owned()),
            (of(none.clone(), none.clone()), "0 left".to_owned()),
            (of(none.clone(), json!({"disruptionsAllowed": 5})), "4 left".to_owned()),
            (of(json!({"selector": {"matchLabels": {"app": "db"}}}), zero(none.clone())), "free".to_owned()),
            (of(json!({"selector": null}), zero(none.clone())), "free".to_owned()),
            (of(json!({"selector": {}}), none.clone()), "0 left".to_owned()),
            (of(none.clone(), json!({"observedGeneration": 1})), "429 10 The disruption budget b is still being processed by the server.".to_owned()),
            (of(none.clone(), json!({"disruptionsAllowed": -1})), format!("403 0 {refused}: pdb disruptions allowed is negative")),
            (of(none.clone(), json!({"disruptedPods": many})), format!("403 0 {refused}: too many pending evictions not confirmed by PDB controller")),
            (of(none.clone(), zero(json!({"currentHealthy": 2}))), "429 0 The disruption budget b needs 2 healthy pods and has 2 currently".to_owned()),
            (of(none.clone(), zero(none.clone())), format!("429 0 {refused}")),
            (of(none.clone(), zero(said(SYNC_FAILED, "no scale"))), format!("429 0 {refused} because it failed sync: no scale")),
            (of(none.clone(), zero(said("Other", "why"))), format!("429 0 {refused} (Other): why")),
            (vec![budget("a", none.clone(), none.clone()), budget("b", none.clone(), none.clone())], "500 0 ".to_owned()),
        ];
        for (budgets, want) in cases {
            assert_eq!(outcome(&running, &budgets), want);
        }
    }

    #[test]
    fn pods_that_are_not_ready() {
        let mut ending = pod("Running", true);
        ending.set(&["metadata", "deletionTimestamp"], NOW);
        let refused = "429 0 The disruption budget b needs 2 healthy pods and has 1 currently";
        let (short, full) = (json!({"disruptionsAllowed": 0, "currentHealthy": 1}), json!({"disruptionsAllowed": 0, "currentHealthy": 2}));
        let (always, within) = (json!({"unhealthyPodEvictionPolicy": "AlwaysAllow"}), json!({"unhealthyPodEvictionPolicy": "IfHealthyBudget"}));
        let cases = [
            (pod("Pending", false), json!({}), &short, "free"),
            (pod("Succeeded", false), json!({}), &short, "free"),
            (pod("Failed", false), json!({}), &short, "free"),
            (ending, json!({}), &short, "free"),
            (pod("Running", true), json!({}), &short, refused),
            (pod("Running", false), json!({}), &short, refused),
            (pod("Running", false), within.clone(), &short, refused),
            (pod("Running", false), always, &short, "free"),
            (pod("Running", false), within, &full, "free"),
            (pod("Running", false), json!({}), &full, "free"),
            (pod("Running", true), json!({}), &full, "429 0 The disruption budget b needs 2 healthy pods and has 2 currently"),
        ];
        for (pod, spec, status, want) in cases {
            assert_eq!(outcome(&pod, &[budget("b", spec.clone(), status.clone())]), want, "{pod:?} {spec} {status}");
        }
    }

    #[test]
    fn what_is_left() {
        let before = budget(
            "b",
            json!({}),
            json!({"conditions": [{"type": ALLOWED, "status": "True", "reason": "SufficientPods", "message": "", "lastTransitionTime": "2025-01-01T00:00:00Z"}]}),
        );
        let Ok(Eviction::Counted(next)) = judge(&pod("Running", true), &[before], NOW.parse().unwrap()) else { panic!("it is allowed") };
        assert_eq!(
            next.at(&["status"]),
            Some(
                &json!({"observedGeneration": 2, "disruptionsAllowed": 0, "currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3, "disruptedPods": {"p": NOW},
                "conditions": [{"type": ALLOWED, "status": "False", "reason": "InsufficientPods", "message": "", "observedGeneration": 2, "lastTransitionTime": NOW}]})
            )
        );
        let announced = announced(&pod("Running", true), NOW.parse().unwrap());
        assert_eq!(announced.list_at(&["status", "conditions"])[1]["reason"], "EvictionByEvictionAPI");
    }

    #[test]
    fn several_budgets_are_refused_in_kubernetes_words() {
        let two = ["a", "b"].map(|name| budget(name, json!({}), json!({})));
        let status = judge(&pod("Running", true), &two, NOW.parse().unwrap()).unwrap_err().to_status();
        assert_eq!((status["code"].clone(), status.get("reason")), (json!(500), None));
        assert_eq!(status["message"], "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
    }
}
