//! Topology spread constraints.
use super::selectors::{label_keys, label_selector};
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, text};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

const ACTIONS: [&str; 2] = ["DoNotSchedule", "ScheduleAnyway"];
const INCLUSION: [&str; 2] = ["Honor", "Ignore"];

pub(super) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let repeated = repeated(list(spec, "topologySpreadConstraints"));
    for (i, (path, constraint)) in items(spec, path, "topologySpreadConstraints").enumerate() {
        let skew = int(constraint, "maxSkew").unwrap_or_default();
        if skew <= 0 {
            checks.add(Cause::invalid(format_args!("{path}.maxSkew"), &skew.into(), "must be greater than zero"));
        }
        let (key, action) = (text(constraint, "topologyKey"), text(constraint, "whenUnsatisfiable"));
        if key.is_empty() {
            checks.required(format_args!("{path}.topologyKey"), "can not be empty");
        }
        checks.choice(format_args!("{path}.whenUnsatisfiable"), Some(&action.into()), &ACTIONS);
        if repeated.contains(&i) {
            let pair = format!("{{{key}, {action}}}");
            checks.add(Cause::duplicate(format_args!("{path}.{{topologyKey, whenUnsatisfiable}}"), &pair.into()));
        }
        min_domains(checks, &format_args!("{path}.minDomains"), int(constraint, "minDomains"), action);
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            checks.choice(format_args!("{path}.{policy}"), constraint.get(policy), &INCLUSION);
        }
        label_keys(checks, &path, constraint);
        label_selector(checks, &path, constraint, "labelSelector");
    }
}

fn min_domains(checks: &mut Checks, path: &dyn Display, domains: Option<i64>, action: &str) {
    let Some(domains) = domains else { return };
    if domains <= 0 {
        checks.add(Cause::invalid(path, &domains.into(), "must be greater than zero"));
    }
    if action != "DoNotSchedule" {
        let why = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
        checks.add(Cause::invalid(path, &domains.into(), why));
    }
}

/// Which constraints a later one repeats: one key and one action make one kind of constraint.
fn repeated(constraints: &[Value]) -> HashSet<usize> {
    let mut later = HashSet::new();
    let kind = |c: &Value| (text(c, "topologyKey").to_owned(), text(c, "whenUnsatisfiable").to_owned());
    constraints.iter().enumerate().rev().filter(|(_, c)| !later.insert(kind(c))).map(|(i, _)| i).collect()
}
