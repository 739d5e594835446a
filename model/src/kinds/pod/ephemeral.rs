//! Ephemeral containers: those that somebody adds to a pod that exists, to look into it. They are added by a subresource of their own, and never change.
use super::containers;
use super::context::Within;
use super::mirror;
use crate::error::Cause;
use crate::kinds::fields::{Checks, items, list, text};
use crate::object::Object;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

/// What a container has that the pod's service is built upon, in the order in which Kubernetes looks at it.
const FORBIDDEN: [&str; 9] =
    ["ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"];
const WHY: &str = "cannot be set for an Ephemeral Container";

/// The ephemeral containers of the spec at `path`.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value, within: &Within<'_>) {
    let others: HashSet<&str> = ["containers", "initContainers"].iter().flat_map(|key| list(spec, key)).map(|c| text(c, "name")).collect();
    let mut names = others.clone();
    for (path, container) in items(spec, path, "ephemeralContainers") {
        containers::common(checks, &path, container, within);
        let name = text(container, "name");
        if !names.insert(name) {
            checks.add(Cause::duplicate(format_args!("{path}.name"), &name.into()));
        }
        let target = text(container, "targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            checks.add(Cause::not_found(format_args!("{path}.targetContainerName"), &target.into()));
        }
        for field in FORBIDDEN.iter().filter(|field| container.get(field).is_some_and(|value| !is_unset(value))) {
            checks.add(Cause::forbidden(format_args!("{path}.{field}"), WHY));
        }
        for (path, mount) in items(container, &path, "volumeMounts") {
            for field in ["subPath", "subPathExpr"].iter().filter(|field| !text(mount, field).is_empty()) {
                checks.add(Cause::forbidden(format_args!("{path}.{field}"), WHY));
            }
        }
    }
}

/// Whether a field says nothing: the default of `resources` is an empty map.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// What was added to a pod stays as it was added. `new` and `old` are the pods.
pub(super) fn validate_update(new: &Object, old: &Object) -> Vec<Cause> {
    if old.annotation(mirror::ANNOTATION).is_some() {
        return vec![Cause::forbidden("", "static pods do not support ephemeral containers")];
    }
    let nothing = Value::Null;
    let of = |pod: &Object| list(pod.at(&["spec"]).unwrap_or(&nothing), "ephemeralContainers").to_vec();
    let (after, mut checks) = (of(new), Checks::default());
    for before in of(old) {
        let name = text(&before, "name");
        let refused = match after.iter().find(|c| text(c, "name") == name) {
            None => "removed",
            Some(same) if *same != before => "changed",
            Some(_) => continue,
        };
        checks.add(Cause::forbidden("spec.ephemeralContainers", format!("existing ephemeral containers {name:?} may not be {refused}\n")));
    }
    checks.0
}

#[cfg(test)]
mod tests {
    use crate::Subresource;
    use crate::kinds::pod::STRATEGY;
    use crate::object::Object;
    use crate::strategy::Strategy;
    use serde_json::{Value, json};

    fn pod(ephemeral: Value) -> Object {
        let volumes = json!([{"name": "v", "emptyDir": {}}]);
        let spec = json!({"containers": [{"name": "a", "image": "i"}], "initContainers": [{"name": "b", "image": "i"}], "volumes": volumes, "ephemeralContainers": ephemeral});
        let mut pod = Object::from_value(json!({"metadata": {"name": "p", "namespace": "n"}, "spec": spec})).unwrap();
        STRATEGY.default(&mut pod);
        pod
    }

    fn said(causes: Vec<crate::Cause>) -> Vec<String> {
        causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
    }

    #[test]
    fn each_rule_has_its_row() {
        let one = |change: Value| {
            let mut container = json!({"name": "e", "image": "i"});
            change.as_object().unwrap().iter().for_each(|(k, v)| container[k] = v.clone());
            pod(json!([container]))
        };
        let e = "spec.ephemeralContainers[0]";
        let rows = [
            (json!({"name": "a"}), format!("{e}.name: Duplicate value: \"a\"")),
            (json!({"name": "b"}), format!("{e}.name: Duplicate value: \"b\"")),
            (json!({"name": ""}), format!("{e}.name: Required value")),
            (json!({"image": ""}), format!("{e}.image: Required value")),
            (json!({"image": " i"}), format!("{e}.image: Invalid value: \" i\": must not have leading or trailing whitespace")),
            (json!({"targetContainerName": "x"}), format!("{e}.targetContainerName: Not found: \"x\"")),
            (json!({"targetContainerName": "e"}), format!("{e}.targetContainerName: Not found: \"e\"")),
            (json!({"ports": [{"containerPort": 1}]}), format!("{e}.ports: Forbidden: cannot be set for an Ephemeral Container")),
            (json!({"resources": {"limits": {"cpu": "1"}}}), format!("{e}.resources: Forbidden: cannot be set for an Ephemeral Container")),
            (json!({"restartPolicy": "Always"}), format!("{e}.restartPolicy: Forbidden: cannot be set for an Ephemeral Container")),
            (json!({"livenessProbe": {"tcpSocket": {"port": 1}}}), format!("{e}.livenessProbe: Forbidden: cannot be set for an Ephemeral Container")),
            (json!({"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}), format!("{e}.lifecycle: Forbidden: cannot be set for an Ephemeral Container")),
            (
                json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "s"}]}),
                format!("{e}.volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container"),
            ),
            (json!({"volumeMounts": [{"name": "w", "mountPath": "/v"}]}), format!("{e}.volumeMounts[0].name: Not found: \"w\"")),
            (json!({"volumeDevices": [{"name": "v", "devicePath": "/d"}]}), format!("{e}.volumeDevices: Forbidden: not supported by this version")),
        ];
        for (change, want) in rows {
            assert_eq!(said(STRATEGY.validate(&one(change.clone()))), [want], "{change}");
        }
        for right in [json!({"targetContainerName": "a"}), json!({"targetContainerName": "b", "stdin": true, "tty": true, "resources": {}})] {
            assert!(STRATEGY.validate(&one(right.clone())).is_empty(), "{right}");
        }
        assert_eq!(
            said(STRATEGY.validate(&pod(json!([{"name": "e", "image": "i"}, {"name": "e", "image": "j"}])))),
            ["spec.ephemeralContainers[1].name: Duplicate value: \"e\""]
        );
    }

    #[test]
    fn what_was_added_stays() {
        let (one, two) = (json!({"name": "e", "image": "i"}), json!({"name": "f", "image": "i"}));
        let update = |old: Value, new: Value| said(STRATEGY.validate_part(Subresource::EPHEMERAL_CONTAINERS, &pod(new), &pod(old)));
        assert!(update(json!([]), json!([one, two])).is_empty());
        assert!(update(json!([one]), json!([two, one])).is_empty(), "their order may change");
        let refused = |how: &str| [format!("spec.ephemeralContainers: Forbidden: existing ephemeral containers \"e\" may not be {how}\n")];
        assert_eq!(update(json!([one]), json!([two])), refused("removed"));
        assert_eq!(update(json!([one]), json!([{"name": "e", "image": "j"}])), refused("changed"));
    }

    #[test]
    fn pods_are_made_without_them_and_mirrors_stay_so() {
        assert_eq!(
            said(STRATEGY.validate_create(&pod(json!([{"name": "e", "image": "i"}])))),
            ["spec.ephemeralContainers: Forbidden: cannot be set on create"]
        );
        let mut mirror = pod(json!([]));
        mirror.set(&["metadata", "annotations"], json!({super::mirror::ANNOTATION: "x"}));
        let refused = STRATEGY.validate_part(Subresource::EPHEMERAL_CONTAINERS, &mirror, &mirror);
        assert_eq!(said(refused), [": Forbidden: static pods do not support ephemeral containers"]);
    }
}
