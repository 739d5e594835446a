//! DaemonSets.
use super::fields::{Checks, fill, keep, map_mut, text, with_field};
use super::workload::{self, Named, Refuses};
use super::{amounts, pod};
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

const NAMED: Named = Named { selector: "daemonset", template: "DaemonSet", refuses: Refuses::Neither };
/// Which generation of the template old clients work with.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
const COUNTS: [&str; 8] = [
    "currentNumberScheduled",
    "desiredNumberScheduled",
    "numberMisscheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
];

/// The rules of DaemonSets.
pub static STRATEGY: DaemonSet = DaemonSet;

/// The rules of DaemonSets.
pub struct DaemonSet;

impl Strategy for DaemonSet {
    fn default(&self, set: &mut Object) {
        with_field(set, "spec", |spec| {
            if let Some(strategy) = map_mut(spec, "updateStrategy") {
                fill(strategy, "type", "RollingUpdate");
                if text(strategy, "type") == "RollingUpdate"
                    && let Some(rolling) = map_mut(strategy, "rollingUpdate")
                {
                    fill(rolling, "maxUnavailable", 1);
                    fill(rolling, "maxSurge", 0);
                }
            }
            map_mut(spec, "template").into_iter().for_each(pod::default_template);
        });
    }
    fn prepare_create(&self, set: &mut Object) {
        set.set(&["metadata", "annotations", TEMPLATE_GENERATION], generation(set).max(1).to_string());
        set.set(&["status"], json!({"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
        let before = generation(old);
        let changed = new.at(&["spec", "template"]) != old.at(&["spec", "template"]);
        new.set(&["metadata", "annotations", TEMPLATE_GENERATION], (before + i64::from(changed)).to_string());
    }
    fn validate(&self, set: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = set.at(&["spec"]).unwrap_or(&Value::Null);
        workload::validate(&mut checks, spec, NAMED);
        let strategy = spec.get("updateStrategy").unwrap_or(&Value::Null);
        match (text(strategy, "type"), strategy.get("rollingUpdate")) {
            ("RollingUpdate", None) => checks.required("spec.updateStrategy.rollingUpdate", ""),
            ("RollingUpdate", Some(rolling)) => rolling_update(&mut checks, rolling),
            ("OnDelete", _) => {}
            (other, rolling) => checks.add(amounts::unsupported("spec.updateStrategy", other, rolling, &["RollingUpdate", "OnDelete"])),
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        workload::validate_update(new, old)
    }
    fn validate_status(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        COUNTS.iter().for_each(|key| checks.not_negative(format_args!("status.{key}"), new.int_at(&["status", key])));
        workload::collisions(&mut checks, new, old);
        checks.0
    }
}

/// The generation of the template, where there is one.
fn generation(set: &Object) -> i64 {
    set.str_at(&["metadata", "annotations", TEMPLATE_GENERATION]).parse().unwrap_or_default()
}

fn rolling_update(checks: &mut Checks, rolling: &Value) {
    let of = |checks: &mut Checks, key: &str| {
        let path = format!("spec.updateStrategy.rollingUpdate.{key}");
        let number = amounts::pods(checks, &path, rolling.get(key));
        amounts::at_most_all(checks, &path, rolling.get(key));
        number.unwrap_or_default()
    };
    let (unavailable, surge) = (of(checks, "maxUnavailable"), of(checks, "maxSurge"));
    if unavailable != 0 && surge != 0 {
        let given = rolling.get("maxSurge").unwrap_or(&Value::Null);
        checks.add(Cause::invalid("spec.updateStrategy.rollingUpdate.maxSurge", given, "may not be set when maxUnavailable is non-zero"));
    } else if unavailable == 0 && surge == 0 {
        checks.required("spec.updateStrategy.rollingUpdate.maxUnavailable", "cannot be 0 when maxSurge is 0");
    }
}
