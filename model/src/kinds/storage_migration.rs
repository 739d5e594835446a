//! StorageVersionMigrations: which resource is to be stored anew in its present form.
use super::conditions;
use super::fields::{Checks, items, keep, list, text};
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

const CONDITIONS: &str = "status.conditions";
const REVISION: &str = "status.resourceVersion";

/// The rules of StorageVersionMigrations.
pub static STRATEGY: StorageVersionMigration = StorageVersionMigration;

/// The rules of StorageVersionMigrations.
pub struct StorageVersionMigration;

impl Strategy for StorageVersionMigration {
    fn unconditional_update(&self) -> bool {
        false
    }
    fn status_has_metadata(&self) -> bool {
        false
    }
    fn prepare_create(&self, migration: &mut Object) {
        migration.set(&["status"], json!({}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, migration: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let of = |field: &str| migration.str_at(&["spec", "resource", field]);
        let mut joined = |path: &str, value: &str, errors: Vec<String>| {
            if !errors.is_empty() {
                checks.add(Cause::invalid(path, &value.into(), errors.join(",")));
            }
        };
        let (resource, group) = (of("resource"), of("group"));
        if !resource.is_empty() {
            joined("spec.resource.resource", resource, names::dns_1035_label(resource));
        }
        if !group.is_empty() {
            joined("spec.resource.group", group, names::dns_subdomain(group));
        }
        if resource.is_empty() {
            checks.required("spec.resource.resource", "resource is required to be set");
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let of = |migration: &Object, field: &str| migration.str_at(&["spec", "resource", field]).to_owned();
        if ["group", "resource"].iter().any(|field| of(new, field) != of(old, field)) {
            let shown = json!({"Resource": {"group": of(new, "group"), "resource": of(new, "resource")}});
            checks.add(Cause::invalid("spec", &shown, "field is immutable"));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let (revision, before) = (new.str_at(&["status", "resourceVersion"]), old.str_at(&["status", "resourceVersion"]));
        if !revision.is_empty() && (revision.starts_with('0') || !revision.bytes().all(|b| b.is_ascii_digit())) {
            checks.add(Cause::invalid(REVISION, &revision.into(), format_args!("resource version is not well formed: {revision}")));
        }
        for (path, condition) in items(new.at(&["status"]).unwrap_or(&Value::Null), &"status", "conditions") {
            conditions::validate(&mut checks, &path, condition);
        }
        if !before.is_empty() && before != revision {
            checks.add(Cause::invalid(REVISION, &revision.into(), "field is immutable"));
        }
        let (ended, had) = (|kind| holds(new, kind), |kind| holds(old, kind));
        let all = Value::from(list(new.at(&["status"]).unwrap_or(&Value::Null), "conditions").to_vec());
        for (wrong, why) in [
            (ended("Succeeded") && ended("Failed"), "Both success and failed conditions cannot be true at the same time"),
            (had("Succeeded") && !ended("Succeeded"), "Success condition cannot be set to false once it is true"),
            (had("Failed") && !ended("Failed"), "Failed condition cannot be set to false once it is true"),
        ] {
            if wrong {
                checks.add(Cause::invalid(CONDITIONS, &all, why));
            }
        }
        checks.0
    }
}

fn holds(migration: &Object, kind: &str) -> bool {
    let mut of_kind = migration.list_at(&["status", "conditions"]).iter().filter(|c| text(c, "type") == kind);
    of_kind.next().is_some_and(|c| text(c, "status") == "True")
}

#[cfg(test)]
mod tests {
    use crate::kinds::fixture::{check_kind, check_kind_change, check_kind_status, merge};
    use serde_json::{Value, json};

    const GROUP: &str = "storagemigration.k8s.io";
    const RESOURCE: &str = "storageversionmigrations";

    fn of(group: &str, resource: &str) -> Value {
        json!({"spec": {"resource": {"group": group, "resource": resource}}})
    }
    fn status(status: Value) -> Value {
        let mut migration = of("", "pods");
        migration["status"] = status;
        migration
    }
    fn condition(change: Value) -> Value {
        let mut condition = json!({"type": "Running", "status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        merge(&mut condition, change);
        condition
    }
    fn conditions(all: Value) -> Value {
        status(json!({ "conditions": all }))
    }

    #[test]
    fn what_is_migrated() {
        check_kind(
            GROUP,
            RESOURCE,
            vec![
                (of("", "pods"), ""),
                (of("apps", "deployments"), ""),
                (json!({}), "spec.resource.resource: Required value: resource is required to be set"),
                (of("", "1"), "spec.resource.resource: Invalid value: \"1\": a DNS-1035 label must…"),
                (of("A", "pods"), "spec.resource.group: Invalid value: \"A\": a lowercase RFC 1123 subdomain…"),
            ],
        );
        check_kind_change(
            GROUP,
            RESOURCE,
            vec![
                (of("", "pods"), of("", "pods"), ""),
                (of("", "pods"), of("a", "pods"), "spec: Invalid value: {\"Resource\":{\"group\":\"a\",\"resource\":\"pods\"}}: field is immutable"),
            ],
        );
    }

    #[test]
    fn conditions_of_a_migration() {
        let at = |field: &str, why: &str| format!("status.conditions[0].{field}: {why}");
        let one = |change: Value| conditions(json!([condition(change)]));
        let rows = [
            (one(json!({})), String::new()),
            (one(json!({"type": ""})), at("type", "Required value: is required")),
            (one(json!({"type": "-"})), at("type", "Invalid value: \"-\": name part must consist…")),
            (one(json!({"status": ""})), at("status", "Required value")),
            (one(json!({"status": "X"})), at("status", "Unsupported value: \"X\": supported values: \"False\", \"True\", \"Unknown\"")),
            (one(json!({"observedGeneration": -1})), at("observedGeneration", "Invalid value: -1: must be greater than or equal to 0")),
            (one(json!({"lastTransitionTime": null})), at("lastTransitionTime", "Required value")),
            (one(json!({"reason": ""})), at("reason", "Required value")),
            (one(json!({"reason": "a b"})), at("reason", "Invalid value: \"a b\": a condition reason must start with…")),
            (one(json!({"reason": "a".repeat(1025)})), at("reason", "Too long: may not be more than 1024 bytes")),
            (one(json!({"message": "a".repeat(32_769)})), at("message", "Too long: may not be more than 32768 bytes")),
            (conditions(json!([condition(json!({})), condition(json!({}))])), "status.conditions[1]: Duplicate value: \"Running\"".to_owned()),
        ];
        check_kind_status(GROUP, RESOURCE, rows.iter().map(|(new, why)| (of("", "pods"), new.clone(), why.as_str())).collect());
    }

    #[test]
    fn a_migration_ends_once() {
        let ended = |kind: &str| condition(json!({ "type": kind }));
        let both = json!([ended("Succeeded"), ended("Failed")]);
        let revision = |revision: &str| status(json!({ "resourceVersion": revision }));
        let unformed = |text: &str| format!("status.resourceVersion: Invalid value: \"{text}\": resource version is not well formed: {text}");
        check_kind_status(
            GROUP,
            RESOURCE,
            vec![
                (of("", "pods"), conditions(json!([ended("Succeeded")])), ""),
                (
                    of("", "pods"),
                    conditions(both.clone()),
                    &format!("status.conditions: Invalid value: {both}: Both success and failed conditions cannot be true at the same time"),
                ),
                (
                    conditions(json!([ended("Succeeded")])),
                    conditions(json!([])),
                    "status.conditions: Invalid value: []: Success condition cannot be set to false once it is true",
                ),
                (
                    conditions(json!([ended("Failed")])),
                    conditions(json!([])),
                    "status.conditions: Invalid value: []: Failed condition cannot be set to false once it is true",
                ),
                (of("", "pods"), revision("12"), ""),
                (of("", "pods"), revision("x"), &unformed("x")),
                (of("", "pods"), revision("012"), &unformed("012")),
                (revision("12"), revision("13"), "status.resourceVersion: Invalid value: \"13\": field is immutable"),
                (revision("12"), revision(""), "status.resourceVersion: Invalid value: \"\": field is immutable"),
            ],
        );
    }
}
