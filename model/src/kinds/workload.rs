//! What workloads whose pods run for good share: a selector, a template, replicas.
use super::fields::{Checks, int, map, text};
use super::pod;
use crate::error::Cause;
use crate::object::Object;
use crate::selector::LabelSelector;
use serde_json::{Map, Value};

/// How many names of a workload's objects were taken by others.
pub(super) const COLLISIONS: &str = "collisionCount";

/// How refusals name a kind of workload.
#[derive(Clone, Copy)]
pub(super) struct Named {
    /// `deployment`
    pub(super) selector: &'static str,
    /// `ReplicaSet`
    pub(super) template: &'static str,
    /// What is said where the selector is missing, and where it can't be read: nothing where that is declared.
    pub(super) refuses: Refuses,
}

/// What is said of a selector as a whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refuses {
    /// That it is missing, or invalid.
    Both,
    /// That it is invalid.
    Unreadable,
    /// Nothing.
    Neither,
}

/// Deployments and ReplicaSets.
pub(super) const REPLICATED: Named = Named { selector: "deployment", template: "ReplicaSet", refuses: Refuses::Both };

/// Checks `spec.selector`, `spec.template`, `spec.replicas` and `spec.minReadySeconds`.
pub(super) fn validate(checks: &mut Checks, spec: &Value, named: Named) {
    for field in ["replicas", "minReadySeconds"] {
        checks.not_negative(format_args!("spec.{field}"), int(spec, field));
    }
    let template = spec.get("template").unwrap_or(&Value::Null);
    let labels = template.get("metadata").and_then(|m| map(m, "labels"));
    if let Some(selector) = spec.get("selector") {
        pod::selector_rules(checks, &"spec.selector", selector);
    }
    if selects(checks, spec.get("selector"), labels, named) {
        pod::validate_template(checks, &"spec.template", template);
    }
    restarted(checks, template.get("spec").unwrap_or(&Value::Null), named.template);
}

/// Checks that the selector selects the pods of the template. Whether the template is to be looked at: not where it can't be told.
fn selects(checks: &mut Checks, selector: Option<&Value>, labels: Option<&Map<String, Value>>, named: Named) -> bool {
    let matches = match selector {
        None | Some(Value::Null) => {
            if named.refuses == Refuses::Both {
                checks.required("spec.selector", "");
            }
            false
        }
        Some(selector) => match LabelSelector::from_json(selector) {
            Err(_) => {
                match named.refuses {
                    Refuses::Both => checks.add(Cause::invalid("spec.selector", selector, "invalid label selector")),
                    Refuses::Unreadable => checks.add(Cause::wrong("spec.selector", selector)),
                    Refuses::Neither => {}
                }
                return named.refuses == Refuses::Neither;
            }
            Ok(s) if s.is_empty() => {
                checks.add(Cause::invalid("spec.selector", selector, format_args!("empty selector is invalid for {}", named.selector)));
                true
            }
            Ok(s) => s.matches(labels),
        },
    };
    if !matches {
        let labels = labels.map_or(Value::Null, |l| Value::Object(l.clone()));
        checks.add(Cause::invalid("spec.template.metadata.labels", &labels, "`selector` does not match template `labels`"));
    }
    true
}

/// The pods are to run for good: only the policy that restarts them is accepted, and no deadline.
pub(super) fn restarted(checks: &mut Checks, pod: &Value, kind: &str) {
    let policy = text(pod, "restartPolicy");
    if matches!(policy, "Never" | "OnFailure") {
        checks.add(Cause::not_supported("spec.template.spec.restartPolicy", &policy.into(), &["Always"]));
    }
    if pod.get("activeDeadlineSeconds").is_some() {
        checks.add(Cause::forbidden("spec.template.spec.activeDeadlineSeconds", format!("activeDeadlineSeconds in {kind} is not Supported")));
    }
}

/// The selector stays what it was.
pub(super) fn validate_update(new: &Object, old: &Object) -> Vec<Cause> {
    let mut checks = Checks::default();
    checks.immutable("spec.selector", new.at(&["spec", "selector"]), old.at(&["spec", "selector"]));
    checks.0
}

/// The number of collisions isn't negative, and never falls.
pub(super) fn collisions(checks: &mut Checks, new: &Object, old: &Object) {
    let count = |workload: &Object| workload.int_at(&["status", COLLISIONS]);
    checks.not_negative(format_args!("status.{COLLISIONS}"), count(new));
    if count(new) < count(old) {
        checks.add(Cause::invalid(format_args!("status.{COLLISIONS}"), &count(new).unwrap_or_default().into(), "cannot be decremented"));
    }
}

/// Checks the numbers of a status: `parts` are counts of pods that `status.replicas` counts too, `others` any other numbers, and
/// `ready` names the count of those that are ready.
pub(super) fn status(checks: &mut Checks, workload: &Object, parts: &[&str], others: &[&str], ready: &str) {
    let number = |key: &str| workload.int_at(&["status", key]);
    for key in ["replicas", "readyReplicas", "availableReplicas", "observedGeneration", "terminatingReplicas"].iter().chain(parts).chain(others) {
        checks.not_negative(format_args!("status.{key}"), number(key));
    }
    let count = |key: &str| number(key).unwrap_or_default();
    for key in parts.iter().chain(&["readyReplicas", "availableReplicas"]).filter(|key| count(key) > count("replicas")) {
        checks.add(Cause::invalid(format_args!("status.{key}"), &count(key).into(), "cannot be greater than status.replicas"));
    }
    if count("availableReplicas") > count("readyReplicas") {
        checks.add(Cause::invalid("status.availableReplicas", &count("availableReplicas").into(), format_args!("cannot be greater than {ready}")));
    }
}

#[cfg(test)]
mod tests {
    use crate::kinds::fixture::{check, check_change, check_status, merge};
    use crate::kinds::{deployment, replica_set};
    use crate::strategy::Strategy;
    use serde_json::{Value, json};

    const BOTH: [&dyn Strategy; 2] = [&deployment::STRATEGY, &replica_set::STRATEGY];

    fn with(change: Value) -> Value {
        let pod = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let mut spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": pod});
        merge(&mut spec, change);
        json!({ "spec": spec })
    }

    #[test]
    fn specs() {
        let expression = |expression: Value| with(json!({"selector": {"matchExpressions": [expression]}}));
        let template = |spec: Value| with(json!({"template": {"spec": spec}}));
        let at = "spec.selector.matchExpressions[0]";
        let invalid = |message: &str, expression: &str| {
            let selector = format!(r#"{{"matchExpressions":[{expression}],"matchLabels":{{"a":"b"}}}}"#);
            format!("{message} | spec.selector: Invalid value: {selector}: invalid label selector")
        };
        for strategy in BOTH {
            check(
                strategy,
                vec![
                    (with(json!({"replicas": 0, "minReadySeconds": 0})), ""),
                    (expression(json!({"key": "a", "operator": "In", "values": ["b"]})), ""),
                    (with(json!({"replicas": -1})), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
                    (with(json!({"minReadySeconds": -1})), "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"),
                    (
                        with(json!({"selector": null})),
                        r#"spec.selector: Required value | spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`"#,
                    ),
                    (
                        expression(json!({"key": "a", "operator": "In", "values": []})),
                        &invalid(
                            &format!("{at}.values: Required value: must be specified when `operator` is 'In' or 'NotIn'"),
                            r#"{"key":"a","operator":"In","values":[]}"#,
                        ),
                    ),
                    (
                        expression(json!({"key": "a", "operator": "X"})),
                        &invalid(&format!("{at}.operator: Invalid value: \"X\": not a valid selector operator"), r#"{"key":"a","operator":"X"}"#),
                    ),
                    (
                        with(json!({"selector": {"matchLabels": {"a": "c"}}})),
                        r#"spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`"#,
                    ),
                    (
                        template(json!({"restartPolicy": "Never"})),
                        "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
                    ),
                    (
                        template(json!({"activeDeadlineSeconds": 5})),
                        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
                    ),
                ],
            );
            let other = with(json!({"selector": {"matchLabels": {"a": "c"}}}));
            check_change(
                strategy,
                vec![
                    (with(json!({})), with(json!({"replicas": 4})), ""),
                    (with(json!({})), other, r#"spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable"#),
                ],
            );
        }
    }

    #[test]
    fn deployments() {
        let of = |strategy: Value| with(json!({ "strategy": strategy }));
        let rolling = |rolling: Value| of(json!({ "rollingUpdate": rolling }));
        let path = "spec.strategy.rollingUpdate";
        check(
            &deployment::STRATEGY,
            vec![
                (of(json!({"type": "Recreate"})), ""),
                (rolling(json!({"maxSurge": 0, "maxUnavailable": "100%"})), ""),
                (
                    of(json!({"type": "X"})),
                    r#"spec.strategy: Unsupported value: {"Type":"X","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate""#,
                ),
                (of(json!({"type": "Recreate", "rollingUpdate": {}})), &format!("{path}: Forbidden: may not be specified when strategy `type` is 'Recreate'")),
                (rolling(json!({"maxSurge": -1})), &format!("{path}.maxSurge: Invalid value: -1: must be greater than or equal to 0")),
                (rolling(json!({"maxSurge": "10"})), &format!("{path}.maxSurge: Invalid value: \"10\": a valid percent string must…")),
                (
                    rolling(json!({"maxSurge": 0, "maxUnavailable": "0%"})),
                    &format!("{path}.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0"),
                ),
                (rolling(json!({"maxUnavailable": "101%"})), &format!("{path}.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%")),
                (with(json!({"revisionHistoryLimit": -1})), "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"),
                (
                    with(json!({"progressDeadlineSeconds": 5, "minReadySeconds": 5})),
                    "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
                ),
            ],
        );
    }

    #[test]
    fn statuses() {
        let of = |status: Value| json!({ "status": status });
        let negative = "must be greater than or equal to 0";
        let more = "cannot be greater than status.replicas";
        for (strategy, part) in [(BOTH[0], "updatedReplicas"), (BOTH[1], "fullyLabeledReplicas")] {
            let whole = of(json!({"replicas": 3, part: 3, "readyReplicas": 2, "availableReplicas": 1, "terminatingReplicas": 1, "observedGeneration": 4}));
            let mut rows = vec![
                (whole, String::new()),
                (of(json!({"replicas": 1, part: 2})), format!("status.{part}: Invalid value: 2: {more}")),
                (of(json!({"replicas": 1, "readyReplicas": 2})), format!("status.readyReplicas: Invalid value: 2: {more}")),
                (
                    of(json!({"replicas": 2, "readyReplicas": 1, "availableReplicas": 2})),
                    "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas".into(),
                ),
                (
                    of(json!({"readyReplicas": 2, "replicas": 2, "availableReplicas": 3})),
                    format!(
                        "status.availableReplicas: Invalid value: 3: {more} | status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas"
                    ),
                ),
            ];
            for key in [part, "readyReplicas", "observedGeneration", "terminatingReplicas"] {
                rows.push((
                    of(json!({ key: -1 })),
                    if key == "readyReplicas" {
                        format!(
                            "status.{key}: Invalid value: -1: {negative} | status.availableReplicas: Invalid value: 0: cannot be greater than readyReplicas"
                        )
                    } else {
                        format!("status.{key}: Invalid value: -1: {negative}")
                    },
                ));
            }
            check_status(strategy, rows.iter().map(|(new, expected)| (of(json!({})), new.clone(), expected.as_str())).collect());
        }
        let collisions = |n: Value| of(json!({ "collisionCount": n }));
        let decremented = "status.collisionCount: Invalid value: 0: cannot be decremented";
        check_status(
            BOTH[0],
            vec![
                (collisions(json!(1)), collisions(json!(2)), ""),
                (collisions(Value::Null), collisions(json!(0)), ""),
                (collisions(json!(1)), collisions(json!(0)), decremented),
                (collisions(json!(0)), collisions(Value::Null), decremented),
                (collisions(Value::Null), collisions(json!(-1)), &format!("status.collisionCount: Invalid value: -1: {negative}")),
                (of(json!({})), of(json!({"unavailableReplicas": -1})), &format!("status.unavailableReplicas: Invalid value: -1: {negative}")),
            ],
        );
    }
}
