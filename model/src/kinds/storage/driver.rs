//! CSIDrivers: how Kubernetes has to deal with a driver of volumes.
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, text};
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::Value;
use std::collections::HashSet;

const MODES: [&str; 2] = ["Persistent", "Ephemeral"];
/// Least seconds between two updates of what a node can take.
const LEAST_PERIOD: i64 = 10;
/// Least and most seconds that a token may live.
const TOKEN_SECONDS: (i64, i64) = (600, 1 << 32);

/// The rules of CSIDrivers.
pub(in crate::kinds) static DRIVER: CsiDriver = CsiDriver;

/// The rules of CSIDrivers.
pub(in crate::kinds) struct CsiDriver;

fn spec_of(driver: &Object) -> &Value {
    driver.at(&["spec"]).unwrap_or(&Value::Null)
}

impl Strategy for CsiDriver {
    fn unconditional_update(&self) -> bool {
        false
    }
    fn validate(&self, driver: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = spec_of(driver);
        tokens(&mut checks, spec);
        list(spec, "volumeLifecycleModes").iter().for_each(|mode| checks.choice("spec.volumeLifecycleModes", Some(mode), &MODES));
        if let Some(period) = int(spec, "nodeAllocatableUpdatePeriodSeconds").filter(|period| *period < LEAST_PERIOD) {
            let why = "must be greater than or equal to 10 seconds";
            checks.add(Cause::invalid("spec.nodeAllocatableUpdatePeriodSeconds", &period.into(), why));
        }
        if let Some(given) = spec.get("serviceAccountTokenInSecrets").filter(|_| list(spec, "tokenRequests").is_empty()) {
            let why = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
            checks.add(Cause::invalid("spec.serviceAccountTokenInSecrets", given, why));
        }
        checks.0
    }
    /// Kubernetes misspells the field.
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        checks.immutable("spec.attachedRequired", spec_of(new).get("attachRequired"), spec_of(old).get("attachRequired"));
        checks.0
    }
}

/// One token for each audience.
fn tokens(checks: &mut Checks, spec: &Value) {
    let mut audiences = HashSet::new();
    for (path, request) in items(spec, &"spec", "tokenRequests") {
        if !audiences.insert(text(request, "audience")) {
            checks.add(Cause::duplicate(format_args!("{path}.audience"), &text(request, "audience").into()));
            continue;
        }
        let (least, most) = TOKEN_SECONDS;
        let why = match int(request, "expirationSeconds") {
            Some(seconds) if seconds < least => "may not specify a duration less than 10 minutes",
            Some(seconds) if seconds > most => "may not specify a duration larger than 2^32 seconds",
            _ => continue,
        };
        checks.add(Cause::invalid(format_args!("{path}.expirationSeconds"), request.get("expirationSeconds").unwrap_or(&Value::Null), why));
    }
}
