//! StatefulSets.
use super::fields::{Checks, fill, items, keep, list, map_mut, put, shown, text, with_field};
use super::workload::{self, Named, Refuses};
use super::{amounts, pod, volume};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

const NAMED: Named = Named { selector: "statefulset", template: "StatefulSet", refuses: Refuses::Unreadable };
const TYPES: &str = "must be 'RollingUpdate' or 'OnDelete'";

/// The rules of StatefulSets.
pub static STRATEGY: StatefulSet = StatefulSet;

/// The rules of StatefulSets.
pub struct StatefulSet;

impl Strategy for StatefulSet {
    fn name_errors(&self, name: &str) -> Vec<String> {
        names::dns_label(name)
    }
    fn default(&self, set: &mut Object) {
        with_field(set, "spec", |spec| {
            if let Some(strategy) = map_mut(spec, "updateStrategy") {
                let rolls = matches!(text(strategy, "type"), "" | "RollingUpdate");
                if text(strategy, "type").is_empty() {
                    fill(strategy, "type", "RollingUpdate");
                    map_mut(strategy, "rollingUpdate");
                }
                if let Some(rolling) = strategy.get_mut("rollingUpdate").filter(|_| rolls) {
                    fill(rolling, "partition", 0);
                    fill(rolling, "maxUnavailable", 1);
                }
            }
            if let Some(retention) = map_mut(spec, "persistentVolumeClaimRetentionPolicy") {
                fill(retention, "whenDeleted", "Retain");
                fill(retention, "whenScaled", "Retain");
            }
            for claim in super::fields::items_mut(spec, "volumeClaimTemplates") {
                fill(claim, "apiVersion", "v1");
                fill(claim, "kind", "PersistentVolumeClaim");
                map_mut(claim, "spec").into_iter().for_each(|spec| fill(spec, "volumeMode", "Filesystem"));
                map_mut(claim, "status").into_iter().for_each(|status| fill(status, "phase", "Pending"));
            }
            map_mut(spec, "template").into_iter().for_each(pod::default_template);
        });
    }
    fn prepare_create(&self, set: &mut Object) {
        set.set(&["status"], json!({"replicas": 0, "availableReplicas": 0}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, set: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let mut spec = set.at(&["spec"]).cloned().unwrap_or_default();
        let management = text(&spec, "podManagementPolicy");
        if !matches!(management, "OrderedReady" | "Parallel") {
            checks.add(Cause::invalid("spec.podManagementPolicy", &management.into(), "must be 'OrderedReady' or 'Parallel'"));
        }
        update_strategy(&mut checks, &spec);
        checks.optional_name("spec.serviceName", text(&spec, "serviceName"), names::dns_label);
        settle_template(&mut spec);
        workload::validate(&mut checks, &spec, NAMED);
        checks.0
    }
    fn validate_create(&self, set: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = set.at(&["spec"]).unwrap_or(&Value::Null);
        for (path, claim) in items(spec, &"spec", "volumeClaimTemplates") {
            volume::validate_claim(&mut checks, &format_args!("{path}.spec"), claim.get("spec").unwrap_or(&Value::Null));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        workload::status(&mut checks, new, &["currentReplicas", "updatedReplicas"], &[], "status.readyReplicas");
        workload::collisions(&mut checks, new, old);
        checks.0
    }
}

fn update_strategy(checks: &mut Checks, spec: &Value) {
    let strategy = spec.get("updateStrategy").unwrap_or(&Value::Null);
    let rolling = strategy.get("rollingUpdate");
    let path = "spec.updateStrategy.rollingUpdate";
    match (text(strategy, "type"), rolling) {
        ("OnDelete", Some(rolling)) => checks.add(Cause::invalid(path, rolling, "only allowed for updateStrategy 'RollingUpdate'")),
        ("RollingUpdate", Some(rolling)) => {
            let path = format!("{path}.maxUnavailable");
            let unavailable = amounts::pods(checks, &path, rolling.get("maxUnavailable"));
            if let (Some(0), Some(given)) = (unavailable, rolling.get("maxUnavailable")) {
                checks.add(Cause::invalid(&path, given, "cannot be 0"));
            }
            amounts::at_most_all(checks, &path, rolling.get("maxUnavailable"));
        }
        ("OnDelete" | "RollingUpdate", None) => {}
        (kind, rolling) => {
            let part = |key: &str| rolling.and_then(|r| r.get(key)).cloned();
            let rolling = rolling.map(|_| {
                shown(&[("Partition", part("partition").unwrap_or_else(|| 0.into())), ("MaxUnavailable", part("maxUnavailable").unwrap_or_default())])
            });
            let given = format_args!("{{\"Type\":{},\"RollingUpdate\":{}}}: {TYPES}", Value::from(kind), rolling.as_deref().unwrap_or("null"));
            checks.add(Cause::wrong("spec.updateStrategy", given));
        }
    }
}

/// Makes the template what its pods are: they get their name and domain from the set, and what they mount by the name of a claim template is there.
fn settle_template(spec: &mut Value) {
    if let Some(pod) = spec.pointer_mut("/template/spec").and_then(Value::as_object_mut) {
        ["subdomain", "hostname"].iter().for_each(|field| _ = pod.remove(*field));
    }
    let names: Vec<String> =
        list(spec, "volumeClaimTemplates").iter().map(|claim| claim.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()).collect();
    let Some(pod) = spec.pointer_mut("/template/spec").filter(|_| !names.is_empty()) else { return };
    let others = list(pod, "volumes").iter().filter(|v| !names.iter().any(|n| n == text(v, "name"))).cloned();
    let volumes: Vec<Value> = names.iter().map(|name| json!({"name": name, "emptyDir": {}})).chain(others).collect();
    put(pod, "volumes", volumes);
}
