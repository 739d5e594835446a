//! The resizing of a pod that exists: what of CPU and memory its containers ask for and are limited to.
use super::{mirror, qos};
use crate::error::Cause;
use crate::kinds::fields::{Checks, items_mut, list, map, text};
use crate::object::Object;
use crate::quantity::Quantity;
use serde_json::{Map, Value};

const LISTS: [&str; 2] = ["containers", "initContainers"];
const RESIZED: [&str; 2] = ["cpu", "memory"];

/// `old` with what `new` says of its containers' resources, and of how they are resized. Where the containers are others, they come too, to be refused.
pub(super) fn narrow(new: Object, mut old: Object) -> Object {
    let nothing = Value::Null;
    let spec = new.at(&["spec"]).unwrap_or(&nothing);
    let before = old.at(&["spec"]).cloned().unwrap_or_default();
    for key in LISTS {
        let names = |spec| list(spec, key).iter().map(|c| text(c, "name")).collect::<Vec<_>>();
        if names(spec) != names(&before) {
            match spec.get(key) {
                Some(others) => old.set(&["spec", key], others.clone()),
                None => _ = old.remove(&["spec", key]),
            }
            continue;
        }
        let Some(into) = old.at_mut(&["spec"]) else { continue };
        for (container, given) in items_mut(into, key).zip(list(spec, key)) {
            take(container, given);
        }
    }
    old
}

fn take(container: &mut Value, given: &Value) {
    let Some(container) = container.as_object_mut() else { return };
    for field in ["resources", "resizePolicy"] {
        match given.get(field) {
            Some(value) => container.insert(field.to_owned(), value.clone()),
            None => container.remove(field),
        };
    }
}

/// `new` and `old` are the pods.
pub(super) fn validate(new: &Object, old: &Object) -> Vec<Cause> {
    if old.annotation(mirror::ANNOTATION).is_some() {
        return vec![Cause::forbidden("", "static pods cannot be resized")];
    }
    if old.str_at(&["spec", "os", "name"]) == "windows" {
        return vec![Cause::forbidden("", "windows pods cannot be resized")];
    }
    let mut checks = Checks::default();
    let class = match old.str_at(&["status", "qosClass"]) {
        "" => qos::qos_class(old),
        class => class,
    };
    if class != qos::qos_class(new) {
        checks.add(Cause::invalid("spec", &new.str_at(&["status", "qosClass"]).into(), "Pod QOS Class may not change as a result of resizing"));
    }
    if !node_resizes(old) {
        checks.add(Cause::forbidden("spec", "Pod running on node without support for resize"));
    }
    let nothing = Value::Null;
    let (after, before) = (new.at(&["spec"]).unwrap_or(&nothing), old.at(&["spec"]).unwrap_or(&nothing));
    if same_containers(&mut checks, after, before) {
        amounts_stay(&mut checks, after, before);
        others_stay(&mut checks, after, before);
    }
    checks.0
}

/// Nodes that resize say of containers that run what these have.
fn node_resizes(pod: &Object) -> bool {
    let running = |status: &&Value| status.pointer("/state/running").is_some_and(|running| !running.is_null());
    pod.list_at(&["status", "containerStatuses"]).iter().find(running).is_none_or(|status| status.get("resources").is_some_and(|r| !r.is_null()))
}

fn same_containers(checks: &mut Checks, new: &Value, old: &Value) -> bool {
    let before = checks.0.len();
    for key in LISTS {
        let (after, was) = (list(new, key), list(old, key));
        if after.len() != was.len() {
            checks.add(Cause::forbidden(format_args!("spec.{key}"), format!("{key} may not be added or removed on resize")));
            continue;
        }
        for (i, _) in after.iter().zip(was).enumerate().filter(|(_, (a, b))| text(a, "name") != text(b, "name")) {
            checks.add(Cause::forbidden(format_args!("spec.{key}[{i}].name"), format!("{key} may not be renamed or reordered on resize")));
        }
    }
    checks.0.len() == before
}

/// What was asked for may be more or less, and not taken back.
fn amounts_stay(checks: &mut Checks, new: &Value, old: &Value) {
    for key in ["initContainers", "containers"] {
        for (i, (after, before)) in list(new, key).iter().zip(list(old, key)).enumerate() {
            for (kind, what) in [("requests", "resource requests"), ("limits", "resource limits")] {
                let removed = |name: &String| amounts(after, kind).is_none_or(|m| !m.contains_key(name));
                if amounts(before, kind).is_some_and(|m| m.keys().any(removed)) {
                    checks.add(Cause::forbidden(format_args!("spec.{key}[{i}].resources.{kind}"), format!("{what} cannot be removed")));
                }
            }
        }
    }
}

fn amounts<'a>(container: &'a Value, kind: &str) -> Option<&'a Map<String, Value>> {
    container.get("resources").and_then(|r| map(r, kind))
}

/// Nothing else of a container may change.
fn others_stay(checks: &mut Checks, new: &Value, old: &Value) {
    let containers = |key| list(new, key).iter().zip(list(old, key));
    if containers("containers").any(|(after, before)| !differs_in_size_only(after, before)) {
        checks.add(Cause::forbidden("spec", "only cpu and memory resources are mutable"));
    }
    for (i, (after, before)) in containers("initContainers").enumerate() {
        let path = format_args!("spec.initContainers[{i}]");
        if !differs_in_size_only(after, before) {
            checks.add(Cause::forbidden(path, "only cpu and memory resources for init or sidecar containers are mutable"));
        }
        let restarts = list(after, "resizePolicy").iter().any(|policy| text(policy, "restartPolicy") == "RestartContainer");
        if restarts && after != before && text(after, "restartPolicy") != "Always" {
            checks.add(Cause::forbidden(path, "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"));
        }
    }
}

fn differs_in_size_only(after: &Value, before: &Value) -> bool {
    let rest = |container: &Value| {
        let mut rest = container.clone();
        if let Some(resources) = rest.get_mut("resources").and_then(Value::as_object_mut) {
            resources.retain(|field, _| !matches!(field.as_str(), "requests" | "limits"));
        }
        rest.get("resources").and_then(Value::as_object).is_some_and(Map::is_empty).then(|| rest.as_object_mut().and_then(|c| c.remove("resources")));
        rest
    };
    let others = |container, kind| -> Vec<(String, Option<Quantity>)> {
        let all = amounts(container, kind).into_iter().flatten();
        let mut others: Vec<_> =
            all.filter(|(name, _)| !RESIZED.contains(&name.as_str())).map(|(name, q)| (name.clone(), Quantity::from_json(q).ok())).collect();
        others.sort_by(|a, b| a.0.cmp(&b.0));
        others
    };
    rest(after) == rest(before) && ["requests", "limits"].iter().all(|kind| others(after, kind) == others(before, kind))
}

#[cfg(test)]
mod tests {
    use crate::Subresource;
    use crate::kinds::pod::STRATEGY;
    use crate::object::Object;
    use crate::strategy::Strategy;
    use serde_json::{Value, json};

    fn pod(containers: Value, inits: Value) -> Object {
        let spec = json!({"containers": containers, "initContainers": inits, "nodeName": "n"});
        let mut pod = Object::from_value(json!({"metadata": {"name": "p", "namespace": "n"}, "spec": spec})).unwrap();
        STRATEGY.default(&mut pod);
        pod
    }

    fn resized(old: &Object, new: Object) -> Result<Object, Vec<String>> {
        let mut new = STRATEGY.narrow(Subresource::RESIZE, new, old.clone());
        STRATEGY.default(&mut new);
        let causes = STRATEGY.validate_part(Subresource::RESIZE, &new, old);
        if causes.is_empty() { Ok(new) } else { Err(causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect()) }
    }

    fn of(resources: Value) -> Object {
        pod(json!([{"name": "c", "image": "i", "resources": resources}]), json!([]))
    }

    #[test]
    fn sizes_change_and_nothing_else_comes_along() {
        let old = of(json!({"requests": {"cpu": "1", "memory": "1Gi"}}));
        let mut new = of(json!({"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}));
        new.set(&["spec", "nodeName"], "other");
        new.set(&["metadata", "labels"], json!({"a": "b"}));
        let got = resized(&old, new).unwrap();
        assert_eq!(got.list_at(&["spec", "containers"])[0]["resources"], json!({"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}));
        assert_eq!((got.str_at(&["spec", "nodeName"]), got.at(&["metadata"])), ("n", old.at(&["metadata"])));
    }

    #[test]
    fn each_refusal_has_its_row() {
        let class = "spec: Invalid value: \"\": Pod QOS Class may not change as a result of resizing";
        let only = "spec: Forbidden: only cpu and memory resources are mutable";
        let rows = [
            (json!({}), json!({"requests": {"cpu": "1"}}), class),
            (
                json!({"limits": {"cpu": "1", "memory": "1Gi"}}),
                json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}),
                class,
            ),
            (
                json!({"requests": {"cpu": "1", "memory": "1"}}),
                json!({"requests": {"cpu": "1"}}),
                "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
            ),
            (
                json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}),
                json!({"requests": {"cpu": "1"}}),
                "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed",
            ),
            (json!({"requests": {"cpu": "1"}}), json!({"requests": {"cpu": "1", "ephemeral-storage": "1Gi"}}), only),
        ];
        for (old, new, want) in rows {
            assert_eq!(resized(&of(old), of(new.clone())).unwrap_err(), [want], "{new}");
        }
        let old = of(json!({"requests": {"cpu": "1"}}));
        let mut policy = old.clone();
        policy.set(&["spec", "containers"], json!([{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}, "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]}]));
        assert_eq!(resized(&old, policy).unwrap_err(), [only]);
    }

    #[test]
    fn the_containers_stay_the_same() {
        let old = of(json!({}));
        let named = |name: &str| json!({"name": name, "image": "i"});
        let added = resized(&old, pod(json!([named("c"), named("d")]), json!([]))).unwrap_err();
        assert_eq!(added, ["spec.containers: Forbidden: containers may not be added or removed on resize"]);
        let renamed = resized(&old, pod(json!([named("d")]), json!([]))).unwrap_err();
        assert_eq!(renamed, ["spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize"]);
    }

    #[test]
    fn amounts_that_are_written_otherwise_are_the_same() {
        let old = of(json!({"requests": {"cpu": "1", "ephemeral-storage": "1Gi"}}));
        assert!(resized(&old, of(json!({"requests": {"cpu": "500m", "ephemeral-storage": "1024Mi"}}))).is_ok());
    }

    #[test]
    fn init_containers_are_resized_unless_they_would_begin_again() {
        let init = |cpu: &str, policy: Value| {
            let init = json!({"name": "i", "image": "i", "resources": {"requests": {"cpu": cpu}}, "resizePolicy": policy});
            pod(json!([{"name": "c", "image": "i"}]), json!([init]))
        };
        assert!(resized(&init("1", json!([])), init("2", json!([]))).is_ok());
        let restarts = json!([{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]);
        assert_eq!(
            resized(&init("1", restarts.clone()), init("2", restarts)).unwrap_err(),
            ["spec.initContainers[0]: Forbidden: non-sidecar init containers with a resize policy of RestartContainer cannot be resized"]
        );
    }

    #[test]
    fn a_node_must_be_able_to() {
        let mut old = of(json!({"requests": {"cpu": "1"}}));
        old.set(&["status"], json!({"qosClass": "Burstable", "containerStatuses": [{"name": "c", "state": {"running": {}}}]}));
        let new = of(json!({"requests": {"cpu": "2"}}));
        assert_eq!(resized(&old, new.clone()).unwrap_err(), ["spec: Forbidden: Pod running on node without support for resize"]);
        old.set(&["status", "containerStatuses"], json!([{"name": "c", "state": {"running": {}}, "resources": {}}]));
        assert!(resized(&old, new).is_ok());
    }
}
