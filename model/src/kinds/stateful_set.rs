//! StatefulSets.
use super::fields::{Checks, fill, keep, list, map_mut, put, text, with_field};
use super::workload::{self, Named};
use super::{amounts, pod};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

const NAMED: Named = Named { selector: "statefulset", template: "StatefulSet" };
const TYPES: &str = "must be 'RollingUpdate' or 'OnDelete'";

/// The rules of StatefulSets.
pub static STRATEGY: StatefulSet = StatefulSet;

/// The rules of StatefulSets.
pub struct StatefulSet;

impl Strategy for StatefulSet {
    fn default(&self, set: &mut Object) {
        with_field(set, "spec", |spec| {
            if let Some(strategy) = map_mut(spec, "updateStrategy") {
                fill(strategy, "type", "RollingUpdate");
                if text(strategy, "type") == "RollingUpdate"
                    && let Some(rolling) = map_mut(strategy, "rollingUpdate")
                {
                    fill(rolling, "partition", 0);
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
        set.set(&["status"], json!({"replicas": 0}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, set: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let mut spec = set.at(&["spec"]).cloned().unwrap_or_default();
        update_strategy(&mut checks, &spec);
        checks.optional_name("spec.serviceName", text(&spec, "serviceName"), names::dns_label);
        add_claims(&mut spec);
        workload::validate(&mut checks, &spec, NAMED);
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        workload::validate_update(new, old)
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        workload::status(&mut checks, new, &["currentReplicas", "updatedReplicas"], &["collisionCount"]);
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
        _ => checks.add(Cause::invalid("spec.updateStrategy", strategy, TYPES)),
    }
}

/// What pods mount by the name of a claim template is there, as far as the template's own rules go.
fn add_claims(spec: &mut Value) {
    let names: Vec<String> =
        list(spec, "volumeClaimTemplates").iter().map(|claim| claim.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()).collect();
    let Some(pod) = spec.pointer_mut("/template/spec").filter(|_| !names.is_empty()) else { return };
    let others = list(pod, "volumes").iter().filter(|v| !names.iter().any(|n| n == text(v, "name"))).cloned();
    let volumes: Vec<Value> = names.iter().map(|name| json!({"name": name, "emptyDir": {}})).chain(others).collect();
    put(pod, "volumes", volumes);
}
