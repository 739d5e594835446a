//! PriorityLevelConfigurations: how many requests of a level are worked on, and what the others wait for.
use super::fields::{Checks, int, keep, text};
use super::flow_schema;
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::fmt::Display;

/// An annotation by which older versions told a zero from nothing.
const ZERO: &str = "flowcontrol.k8s.io/preserve-zero-concurrency-shares";
const QUEUES_MAX: i64 = 10_000_000;
/// Most bits of a request's hash that say in which queues it may wait.
const HASH_BITS: i64 = 60;

/// The rules of PriorityLevelConfigurations.
pub static STRATEGY: PriorityLevel = PriorityLevel;

/// The rules of PriorityLevelConfigurations.
pub struct PriorityLevel;

impl Strategy for PriorityLevel {
    fn prepare_create(&self, level: &mut Object) {
        level.set(&["status"], json!({}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, level: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        if level.at(&["metadata", "annotations", ZERO]).is_some() {
            checks.add(Cause::forbidden("metadata.annotations", format_args!("annotation '{ZERO}' is forbidden")));
        }
        let spec = level.at(&["spec"]).unwrap_or(&Value::Null);
        let kind = text(spec, "type");
        if (level.name() == "exempt") != (kind == "Exempt") {
            checks.add(Cause::invalid("spec.type", &kind.into(), "must be 'Exempt' if and only if `name` is 'exempt'"));
        }
        let [limited, exempt] = ["limited", "exempt"].map(|key| spec.get(key));
        match (kind, limited, exempt) {
            ("Exempt", _, _) => {
                limited.into_iter().for_each(|_| checks.add(Cause::forbidden("spec.limited", "must be nil if the type is not Limited")));
                exempt.into_iter().for_each(|exempt| shares(&mut checks, &"spec.exempt", exempt));
            }
            ("Limited", _, _) => {
                exempt.into_iter().for_each(|_| checks.add(Cause::forbidden("spec.exempt", "must be nil if the type is Limited")));
                match limited {
                    None => checks.required("spec.limited", "must not be empty when type is Limited"),
                    Some(limited) => self::limited(&mut checks, limited),
                }
            }
            (kind, _, _) => undeclared(&mut checks, &"spec.type", kind, &["Exempt", "Limited"]),
        }
        mandatory(&mut checks, level.name(), spec);
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        flow_schema::conditions(&mut checks, new);
        checks.0
    }
}

/// A type that isn't known; that one must be there is declared.
fn undeclared(checks: &mut Checks, path: &dyn Display, kind: &str, known: &[&str]) {
    if !kind.is_empty() {
        checks.choice(path, Some(&kind.into()), known);
    }
}

/// The levels that every cluster has.
fn mandatory(checks: &mut Checks, name: &str, spec: &Value) {
    let why = match name {
        "exempt" if text(spec, "type") != "Exempt" || spec.get("limited").is_some() => {
            "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value"
        }
        "catch-all" => {
            let limited = json!({"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}});
            if *spec == json!({"type": "Limited", "limited": limited}) {
                return;
            }
            "spec of 'catch-all' must equal the fixed value"
        }
        _ => return,
    };
    checks.add(Cause::invalid("spec", spec, why));
}

/// What a level has, and what it may lend.
fn shares(checks: &mut Checks, path: &dyn Display, of: &Value) {
    if let Some(n) = int(of, "nominalConcurrencyShares").filter(|n| *n < 0) {
        checks.add(Cause::invalid(format_args!("{path}.nominalConcurrencyShares"), &n.into(), "must be a non-negative integer"));
    }
    if let Some(n) = int(of, "lendablePercent").filter(|n| !(0..=100).contains(n)) {
        checks.add(Cause::invalid(format_args!("{path}.lendablePercent"), &n.into(), "must be between 0 and 100, inclusive"));
    }
}

fn limited(checks: &mut Checks, limited: &Value) {
    let path = "spec.limited";
    shares(checks, &path, limited);
    if let Some(n) = int(limited, "borrowingLimitPercent").filter(|n| *n < 0) {
        checks.add(Cause::invalid(format_args!("{path}.borrowingLimitPercent"), &n.into(), "if specified, must be a non-negative integer"));
    }
    let response = limited.get("limitResponse").unwrap_or(&Value::Null);
    let at = format_args!("{path}.limitResponse.queuing");
    match (text(response, "type"), response.get("queuing")) {
        ("Reject", Some(_)) => checks.add(Cause::forbidden(at, "must be nil if limited.limitResponse.type is not Limited")),
        ("Queue", None) => checks.required(at, "must not be empty if limited.limitResponse.type is Limited"),
        ("Queue", Some(queuing)) => self::queuing(checks, &at, queuing),
        (kind, _) => undeclared(checks, &format_args!("{path}.limitResponse.type"), kind, &["Queue", "Reject"]),
    }
}

fn queuing(checks: &mut Checks, path: &dyn Display, queuing: &Value) {
    let [limit, queues, hand] = ["queueLengthLimit", "queues", "handSize"].map(|key| int(queuing, key).unwrap_or_default());
    let mut refuse = |key: &str, n: i64, why: &dyn Display| checks.add(Cause::invalid(format_args!("{path}.{key}"), &n.into(), why));
    let positive = "must be positive";
    if limit <= 0 {
        refuse("queueLengthLimit", limit, &positive);
    }
    if queues <= 0 {
        refuse("queues", queues, &positive);
    } else if queues > QUEUES_MAX {
        refuse("queues", queues, &format_args!("must not be greater than {QUEUES_MAX}"));
    }
    // an estimate that is a little too large
    let bits = ((queues as f64).log2() * hand as f64).ceil() as i64;
    if hand <= 0 {
        refuse("handSize", hand, &positive);
    } else if hand > queues {
        refuse("handSize", hand, &format_args!("should not be greater than queues ({queues})"));
    } else if bits > HASH_BITS {
        let why = format!("required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS}");
        refuse("handSize", hand, &why);
    }
}

#[cfg(test)]
mod tests {
    use crate::kinds::fixture::{check_defaults, check_kind, merge};
    use serde_json::{Value, json};

    const GROUP: &str = "flowcontrol.apiserver.k8s.io";
    const KIND: &str = "prioritylevelconfigurations";

    fn named(name: &str, spec: Value) -> Value {
        json!({"metadata": {"name": name}, "spec": spec})
    }
    fn limited(change: Value) -> Value {
        let mut limited = json!({"limitResponse": {"type": "Reject"}});
        merge(&mut limited, change);
        named("x", json!({"type": "Limited", "limited": limited}))
    }
    fn queuing(change: Value) -> Value {
        limited(json!({"limitResponse": {"type": "Queue", "queuing": change}}))
    }

    #[test]
    fn levels() {
        let at = "spec.limited.limitResponse";
        let must = "must be 'Exempt' if and only if `name` is 'exempt'";
        check_kind(
            GROUP,
            KIND,
            vec![
                (limited(json!({})), ""),
                (queuing(json!({})), ""),
                (named("exempt", json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 5}})), ""),
                (named("x", json!({"type": "Exempt"})), &format!("spec.type: Invalid value: \"Exempt\": {must}")),
                (named("x", json!({"type": ""})), "spec.type: Required value"),
                (named("x", json!({"type": "Limited"})), "spec.limited: Required value: must not be empty when type is Limited"),
                (
                    named("x", json!({"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}, "exempt": {}})),
                    "spec.exempt: Forbidden: must be nil if the type is Limited",
                ),
                (named("catch-all", json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}})), ""),
                (named("catch-all", json!({"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}})), "spec: Invalid value: …"),
                (limited(json!({"nominalConcurrencyShares": -1})), "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer"),
                (limited(json!({"lendablePercent": 101})), "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive"),
                (
                    limited(json!({"borrowingLimitPercent": -1})),
                    "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
                ),
                (limited(json!({"limitResponse": {"type": ""}})), &format!("{at}.type: Required value")),
                (
                    limited(json!({"limitResponse": {"queuing": {}}})),
                    &format!("{at}.queuing: Forbidden: must be nil if limited.limitResponse.type is not Limited"),
                ),
                (
                    limited(json!({"limitResponse": {"type": "Queue"}})),
                    &format!("{at}.queuing: Required value: must not be empty if limited.limitResponse.type is Limited"),
                ),
                (
                    queuing(json!({"queues": -1})),
                    &format!(
                        "{at}.queuing.queues: Invalid value: -1: must be positive | {at}.queuing.handSize: Invalid value: 8: should not be greater than queues (-1)"
                    ),
                ),
                (
                    queuing(json!({"handSize": 11})),
                    &format!("{at}.queuing.handSize: Invalid value: 11: required entropy bits of deckSize 64 and handSize 11 should not be greater than 60"),
                ),
            ],
        );
        check_defaults(
            GROUP,
            KIND,
            json!({"spec": {"limited": {"limitResponse": {"queuing": {"queues": 0}}}}}),
            json!({"spec": {"limited": {
                "nominalConcurrencyShares": 30, "lendablePercent": 0, "limitResponse": {"queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50}},
            }}}),
        );
    }
}
