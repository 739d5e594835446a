//! Admission policies, and their bindings. What their expressions say is checked where they are compiled.
use super::fields::{Checks, items, keep, list, text};
use super::pod::selector_causes;
use super::{admission_rule, conditions};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt::Display;

const ANNOTATIONS_MAX: usize = 20;
const ANNOTATION_BYTES: usize = 5 << 10;
const EITHER: &str = "validations or auditAnnotations must contain at least one item";
const EXCLUSIVE: &str = "name and selector are mutually exclusive";

/// The rules of policies that refuse.
pub static VALIDATING: Policy = Policy { mutates: false };
/// The rules of policies that change.
pub static MUTATING: Policy = Policy { mutates: true };
/// The rules of bindings of the former.
pub static VALIDATING_BINDING: Binding = Binding { mutates: false };
/// The rules of bindings of the latter.
pub static MUTATING_BINDING: Binding = Binding { mutates: true };

/// The rules of policies.
pub struct Policy {
    mutates: bool,
}

impl Strategy for Policy {
    fn prepare_create(&self, policy: &mut Object) {
        if !self.mutates {
            policy.set(&["status"], json!({}));
        }
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        if !self.mutates {
            keep(new, old, "status");
        }
    }
    fn unconditional_update(&self) -> bool {
        false
    }
    fn status_has_metadata(&self) -> bool {
        false
    }
    fn validate(&self, policy: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = policy.at(&["spec"]).unwrap_or(&Value::Null);
        if let Some(kind) = spec.get("paramKind") {
            param_kind(&mut checks, kind);
        }
        if let Some(constraints) = spec.get("matchConstraints") {
            admission_rule::resources(&mut checks, &"spec.matchConstraints", constraints, self.mutates);
            if list(constraints, "resourceRules").is_empty() {
                checks.required("spec.matchConstraints.resourceRules", "");
            }
        }
        for (path, variable) in items(spec, &"spec", "variables") {
            self::variable(&mut checks, &path, variable);
        }
        if self.mutates {
            mutations(&mut checks, spec);
        } else {
            validations(&mut checks, policy, spec);
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let status = new.at(&["status"]).unwrap_or(&Value::Null);
        let types = status.get("typeChecking").unwrap_or(&Value::Null);
        for (path, warning) in items(types, &"status.typeChecking", "expressionWarnings") {
            checks.filled(format_args!("{path}.warning"), text(warning, "warning"));
            checks.filled(format_args!("{path}.fieldRef"), text(warning, "fieldRef").trim());
        }
        conditions::of_status(&mut checks, status);
        checks.0
    }
}

/// Of which kind a policy's parameters are.
fn param_kind(checks: &mut Checks, kind: &Value) {
    let (version, name) = (text(kind, "apiVersion"), text(kind, "kind"));
    let mut refuse = |field: &str, given: &str, why: String| checks.add(Cause::invalid(format_args!("spec.paramKind.{field}"), &given.into(), why));
    if version.matches('/').count() > 1 {
        refuse("apiVersion", version, format!("unexpected GroupVersion string: {version}"));
    } else if !version.is_empty() {
        let (group, of) = version.split_once('/').unwrap_or(("", version));
        let [group_errors, errors] = [names::dns_subdomain(group), names::dns_1035_label(of)];
        if !group.is_empty() && !group_errors.is_empty() {
            refuse("apiVersion", group, group_errors.join(","));
        }
        if of.is_empty() {
            refuse("apiVersion", version, "version must be specified".to_owned());
        } else if !errors.is_empty() {
            refuse("apiVersion", of, errors.join(","));
        }
    }
    let errors = names::dns_1035_label(&name.to_lowercase());
    if !name.is_empty() && !errors.is_empty() {
        refuse("kind", name, format!("may have mixed case, but should otherwise match: {}", errors.join(",")));
    }
}

/// A value that the other expressions of a policy may name.
fn variable(checks: &mut Checks, path: &dyn Display, variable: &Value) {
    let name = text(variable, "name");
    if name.trim().is_empty() {
        checks.required(format_args!("{path}.name"), "name is not specified");
    } else if !names::c_identifier(name).is_empty() || cel::is_reserved(name) {
        checks.add(Cause::invalid(format_args!("{path}.name"), &name.into(), "must be a valid CEL identifier"));
    }
    if text(variable, "expression").trim().is_empty() {
        checks.required(format_args!("{path}.expression"), "expression is not specified");
    }
}

/// What a policy refuses, and what it notes.
fn validations(checks: &mut Checks, policy: &Object, spec: &Value) {
    let annotations = list(spec, "auditAnnotations");
    if list(spec, "validations").is_empty() && annotations.is_empty() {
        checks.required("spec.validations", EITHER);
        checks.required("spec.auditAnnotations", EITHER);
    }
    for (path, validation) in items(spec, &"spec", "validations") {
        self::validation(checks, &path, validation);
    }
    if annotations.len() > ANNOTATIONS_MAX {
        let why = format!("must not have more than {ANNOTATIONS_MAX} auditAnnotations");
        checks.add(Cause::invalid("spec.auditAnnotations", &annotations.to_vec().into(), why));
    }
    let mut seen = HashSet::new();
    for (path, annotation) in items(spec, &"spec", "auditAnnotations") {
        let (key, expression) = (text(annotation, "key"), text(annotation, "valueExpression").trim());
        let whole = format!("{}/{key}", policy.name());
        checks.all(format_args!("{path}.key"), &whole, names::qualified_name(&whole));
        if expression.is_empty() {
            checks.required(format_args!("{path}.valueExpression"), "valueExpression is not specified");
        } else if expression.len() > ANNOTATION_BYTES {
            checks.required(format_args!("{path}.valueExpression"), &format!("must not exceed {ANNOTATION_BYTES} bytes in length"));
        }
        checks.unique(format_args!("{path}.key"), &key.into(), &mut seen);
    }
}

fn validation(checks: &mut Checks, path: &dyn Display, validation: &Value) {
    let [expression, message, computed] = ["expression", "message", "messageExpression"].map(|key| text(validation, key));
    if expression.trim().is_empty() {
        checks.required(format_args!("{path}.expression"), "expression is not specified");
    }
    for (key, given) in [("messageExpression", computed), ("message", message)] {
        if !given.is_empty() && given.trim().is_empty() {
            checks.add(Cause::invalid(format_args!("{path}.{key}"), &given.into(), "must be non-empty if specified"));
        }
    }
    if message.trim().contains(['\n', '\r']) {
        checks.add(Cause::invalid(format_args!("{path}.message"), &message.into(), "must not contain line breaks"));
    }
    checks.choice(format_args!("{path}.reason"), validation.get("reason"), &["Forbidden", "Invalid", "RequestEntityTooLarge"]);
}

/// What a policy changes.
fn mutations(checks: &mut Checks, spec: &Value) {
    if list(spec, "mutations").is_empty() {
        checks.required("spec.mutations", "mutations must contain at least one item");
    }
    checks.one_of("spec.reinvocationPolicy", text(spec, "reinvocationPolicy"), &["IfNeeded", "Never"]);
    for (path, mutation) in items(spec, &"spec", "mutations") {
        let kind = text(mutation, "patchType");
        checks.one_of(format_args!("{path}.patchType"), kind, &["ApplyConfiguration", "JSONPatch"]);
        let (own, other) = match kind {
            "JSONPatch" => ("jsonPatch", "applyConfiguration"),
            "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
            _ => continue,
        };
        match mutation.get(own) {
            None => checks.required(format_args!("{path}.{own}"), &format!("must be specified when patchType is {kind}")),
            Some(patch) => checks.filled(format_args!("{path}.{own}.expression"), text(patch, "expression").trim()),
        }
        if mutation.get(other).is_some() {
            let given = format!("{{{other}}}");
            let why = format_args!("must not be specified when patchType is {kind}");
            checks.add(Cause::invalid(format_args!("{path}.{other}"), &given.into(), why));
        }
    }
}

/// The rules of bindings of policies.
pub struct Binding {
    mutates: bool,
}

impl Strategy for Binding {
    fn unconditional_update(&self) -> bool {
        false
    }
    fn validate(&self, binding: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = binding.at(&["spec"]).unwrap_or(&Value::Null);
        if let Some(reference) = spec.get("paramRef") {
            param_ref(&mut checks, reference);
        }
        if let Some(resources) = spec.get("matchResources") {
            admission_rule::resources(&mut checks, &"spec.matchResources", resources, self.mutates);
        }
        let actions = list(spec, "validationActions");
        if ["Deny", "Warn"].iter().all(|action| actions.iter().any(|a| a == action)) {
            let why =
                "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
            checks.add(Cause::invalid("spec.validationActions", &actions.to_vec().into(), why));
        }
        checks.0
    }
}

/// Which objects are a policy's parameters.
fn param_ref(checks: &mut Checks, reference: &Value) {
    let path = "spec.paramRef";
    let (name, selector) = (text(reference, "name"), reference.get("selector"));
    if name.is_empty() && selector.is_none() {
        checks.required(path, "one of name or selector must be specified");
    }
    if !name.is_empty() {
        checks.all(format_args!("{path}.name"), name, names::path_segment(name));
    }
    if let Some(selector) = selector {
        checks.extend(selector_causes(&format_args!("{path}.selector"), selector));
    }
    if !name.is_empty() && selector.is_some() {
        ["name", "selector"].iter().for_each(|field| checks.add(Cause::forbidden(format_args!("{path}.{field}"), EXCLUSIVE)));
    }
    checks.one_of(format_args!("{path}.parameterNotFoundAction"), text(reference, "parameterNotFoundAction"), &["Deny", "Allow"]);
}
