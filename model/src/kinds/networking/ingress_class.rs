//! IngressClasses: which controller serves which Ingresses.
use crate::error::Cause;
use crate::kinds::fields::{Checks, text};
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::Value;

const CONTROLLER: &str = "spec.controller";

/// The rules of IngressClasses.
pub(in crate::kinds) static INGRESS_CLASS: IngressClass = IngressClass;

/// The rules of IngressClasses.
pub(in crate::kinds) struct IngressClass;

impl Strategy for IngressClass {
    fn validate(&self, class: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        checks.domain_path(CONTROLLER, class.str_at(&["spec", "controller"]));
        if let Some(parameters) = class.at(&["spec", "parameters"]) {
            namespace(&mut checks, parameters);
        }
        checks.0
    }
}

/// The namespace of what configures the class goes with its scope.
fn namespace(checks: &mut Checks, parameters: &Value) {
    let path = "spec.parameters.namespace";
    match (text(parameters, "scope"), parameters.get("namespace").and_then(Value::as_str)) {
        ("Namespace", None) => checks.required(path, "`parameters.scope` is set to 'Namespace'"),
        ("Namespace", Some(name)) => checks.all(path, name, names::dns_label(name)),
        ("Cluster", Some(_)) => checks.add(Cause::forbidden(path, "`parameters.scope` is set to 'Cluster'")),
        _ => {}
    }
}
