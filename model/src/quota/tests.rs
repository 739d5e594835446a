use super::*;
use crate::object::Object;
use proptest::prelude::*;
use serde_json::{Value, json};

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

fn pod(spec: Value) -> Object {
    object(json!({"metadata": {"name": "p"}, "spec": spec}))
}

fn text(group: &str, resource: &str, object: &Object) -> String {
    Taken::by(group, resource, object).usage.text()
}

#[test]
fn what_objects_take() {
    let resources = |cpu: &str, memory: &str| json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu}});
    let container = |name: &str, cpu: &str, memory: &str| json!({"name": name, "resources": resources(cpu, memory)});
    let plain = pod(json!({"containers": [container("a", "1", "1Gi"), container("b", "500m", "1Gi")]}));
    assert_eq!(text("", "pods", &plain), "count/pods=1,cpu=1500m,limits.cpu=1500m,memory=2Gi,pods=1,requests.cpu=1500m,requests.memory=2Gi");
    let mut ended = plain.clone();
    ended.set(&["status", "phase"], "Succeeded");
    assert_eq!(text("", "pods", &ended), "count/pods=1");
    // an init container beside a sidecar, and the sidecar beside the containers
    let mut sidecar = container("s", "1", "1Gi");
    sidecar["restartPolicy"] = json!("Always");
    let initial =
        pod(json!({"initContainers": [sidecar, container("i", "4", "1Gi")], "containers": [container("a", "1", "3Gi")], "overhead": {"memory": "1Mi"}}));
    let taken = text("", "pods", &initial);
    assert!(taken.contains("requests.cpu=5,") && taken.contains("requests.memory=4097Mi") && taken.contains("limits.cpu=5"), "{taken}");
    let whole = pod(json!({"resources": {"requests": {"cpu": "3"}}, "containers": [container("a", "1", "1Gi")]}));
    assert!(text("", "pods", &whole).contains("requests.cpu=3,"));
    let more =
        pod(json!({"containers": [{"name": "a", "resources": {"requests": {"hugepages-2Mi": "4Mi", "example.com/gpu": "2", "ephemeral-storage": "1Gi"}}}]}));
    let taken = text("", "pods", &more);
    assert_eq!(
        taken,
        "count/pods=1,ephemeral-storage=1Gi,hugepages-2Mi=4Mi,pods=1,requests.ephemeral-storage=1Gi,requests.example.com/gpu=2,requests.hugepages-2Mi=4Mi"
    );
    // what a container has still, while it is being made smaller
    let mut shrinking = pod(json!({"containers": [container("a", "1", "1Gi")]}));
    shrinking.set(&["status"], json!({"containerStatuses": [{"name": "a", "resources": {"requests": {"cpu": "2"}}}]}));
    assert!(text("", "pods", &shrinking).contains("requests.cpu=2,"));
}

#[test]
fn what_other_objects_take() {
    let service = |spec: Value| object(json!({"metadata": {"name": "s"}, "spec": spec}));
    let ports = json!([{"port": 1}, {"port": 2, "nodePort": 30000}]);
    for (spec, nodeports, balancers) in [
        (json!({"ports": ports}), 0, 0),
        (json!({"type": "NodePort", "ports": ports}), 2, 0),
        (json!({"type": "LoadBalancer", "ports": ports}), 2, 1),
        (json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": ports}), 1, 1),
    ] {
        assert_eq!(
            text("", "services", &service(spec)),
            format!("count/services=1,services=1,services.loadbalancers={balancers},services.nodeports={nodeports}")
        );
    }
    let claim = object(json!({"spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1.5Gi"}}}}));
    assert_eq!(
        text("", "persistentvolumeclaims", &claim),
        "count/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/persistentvolumeclaims=1,\
         fast.storageclass.storage.k8s.io/requests.storage=1536Mi,persistentvolumeclaims=1,requests.storage=1536Mi"
    );
    let devices = object(json!({"spec": {"devices": {"requests": [
        {"name": "a", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}},
        {"name": "b", "firstAvailable": [{"deviceClassName": "gpu", "count": 1}, {"deviceClassName": "gpu", "count": 3}, {"deviceClassName": "tpu", "allocationMode": "All"}]},
    ]}}}));
    assert_eq!(
        text("resource.k8s.io", "resourceclaims", &devices),
        "count/resourceclaims.resource.k8s.io=1,gpu.deviceclass.resource.k8s.io/devices=5,tpu.deviceclass.resource.k8s.io/devices=32"
    );
    let plain = Object::default();
    assert_eq!(text("", "secrets", &plain), "count/secrets=1,secrets=1");
    assert_eq!(text("apps", "deployments", &plain), "count/deployments.apps=1");
    assert!(counts("", "pods") && !counts("", "events") && !counts("events.k8s.io", "events"));
}

#[test]
fn what_takes_of_a_resource() {
    for (name, group, resource) in [
        ("count/deployments.apps", "apps", "deployments"),
        ("count/things.my.example.com", "my.example.com", "things"),
        ("count/pods", "", "pods"),
        ("requests.cpu", "", "pods"),
        ("services.nodeports", "", "services"),
        ("fast.storageclass.storage.k8s.io/requests.storage", "", "persistentvolumeclaims"),
        ("gpu.deviceclass.resource.k8s.io/devices", "resource.k8s.io", "resourceclaims"),
        ("configmaps", "", "configmaps"),
    ] {
        let quota = quota(json!({name: "1"}), json!({}));
        assert_eq!(quota.concerned().into_iter().collect::<Vec<_>>(), [(group, resource)], "{name}");
    }
}

fn quota(hard: Value, more: Value) -> Quota {
    let mut object = object(json!({"metadata": {"name": "q"}, "spec": {"hard": hard}}));
    for (field, value) in more.as_object().into_iter().flatten() {
        object.set(&["spec", field], value.clone());
    }
    let mut quota = Quota::of(&object);
    quota.count(std::iter::empty());
    quota
}

#[test]
fn scopes_choose_what_is_counted() {
    let best_effort = pod(json!({"containers": [{"name": "a"}]}));
    let burstable =
        pod(json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}}], "activeDeadlineSeconds": 5, "priorityClassName": "high"}));
    let elsewhere = pod(
        json!({"containers": [], "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": {"namespaces": ["x"]}}]}}}),
    );
    let priority = |operator: &str, values: Value| json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": operator, "values": values}]}});
    for (scope, wanted) in [
        (json!({}), [true, true, true]),
        (json!({"scopes": ["BestEffort"]}), [true, false, true]),
        (json!({"scopes": ["NotBestEffort"]}), [false, true, false]),
        (json!({"scopes": ["Terminating", "NotBestEffort"]}), [false, true, false]),
        (json!({"scopes": ["NotTerminating"]}), [true, false, true]),
        (json!({"scopes": ["CrossNamespacePodAffinity"]}), [false, false, true]),
        (json!({"scopes": ["VolumeAttributesClass"]}), [false, false, false]),
        (priority("Exists", json!([])), [false, true, false]),
        (priority("DoesNotExist", json!([])), [true, false, true]),
        (priority("In", json!(["high", "higher"])), [false, true, false]),
        (priority("NotIn", json!(["low"])), [true, true, true]),
    ] {
        let quota = quota(json!({"pods": "1"}), scope.clone());
        let counted = [&best_effort, &burstable, &elsewhere].map(|pod| !quota.charge(&Taken::by("", "pods", pod)).0.is_empty());
        assert_eq!(counted, wanted, "{scope}");
    }
}

#[test]
fn room_and_constraints_are_told_of_in_kubernetes_words() {
    let mut limits = quota(json!({"pods": "2", "requests.cpu": "1", "limits.memory": "1Gi"}), json!({}));
    let bare = pod(json!({"containers": [{"name": "b"}, {"name": "a", "resources": {"limits": {"memory": "1Gi"}}}], "initContainers": [{"name": "i"}]}));
    let why = limits.check_constraints(&Taken::by("", "pods", &bare)).unwrap_err();
    assert_eq!(why, "failed quota: q: must specify limits.memory for: b,i; requests.cpu for: a,b,i");
    assert_eq!(limits.check_constraints(&Taken::by("", "services", &bare)), Ok(()));
    let right = pod(json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "600m"}, "limits": {"memory": "512Mi"}}}]}));
    let taken = Taken::by("", "pods", &right);
    let change = limits.change(None, Some(&taken));
    assert_eq!((limits.check_constraints(&taken), limits.check_room(&change)), (Ok(()), Ok(())));
    limits.add(&change);
    let why = limits.check_room(&change).unwrap_err();
    assert_eq!(why, "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1");
    limits.add(&limits.change(Some(&taken), None));
    assert_eq!(
        Some(&limits.status()),
        Some(&json!({"hard": {"limits.memory": "1Gi", "pods": "2", "requests.cpu": "1"}, "used": {"limits.memory": "0", "pods": "0", "requests.cpu": "0"}}))
    );
    let mut changed = object(json!({"metadata": {"name": "q"}, "spec": {"hard": limits.hard.to_json()}, "status": limits.status()}));
    assert!(Quota::of(&changed).is_counted() && limits.change(Some(&taken), Some(&taken)).0.is_empty());
    changed.set(&["spec", "hard", "secrets"], "1");
    assert!(!Quota::of(&changed).is_counted());
}

proptest! {
    /// However objects come and go, what was added up is what is counted anew.
    #[test]
    fn changes_add_up_to_the_count(cpus in proptest::collection::vec((0_u32..4, 0_u32..4, any::<bool>()), 0..20)) {
        let made = |cpu: u32, ended: bool| {
            let mut pod = pod(json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": format!("{cpu}00m")}}}]}));
            if ended {
                pod.set(&["status", "phase"], "Failed");
            }
            pod
        };
        let mut kept = quota(json!({"pods": "100", "requests.cpu": "100", "count/pods": "100"}), json!({}));
        let mut there = Vec::new();
        for (before, after, ended) in cpus {
            let (old, new) = (made(before, false), made(after, ended));
            let (old, new) = (Taken::by("", "pods", &old), Taken::by("", "pods", &new));
            kept.add(&kept.change(None, Some(&old)));
            kept.add(&kept.change(Some(&old), Some(&new)));
            if after == 0 {
                kept.add(&kept.change(Some(&new), None));
            } else {
                there.push((after, ended));
            }
        }
        let there: Vec<Object> = there.into_iter().map(|(cpu, ended)| made(cpu, ended)).collect();
        let mut counted = kept.clone();
        counted.count(there.iter().map(|pod| Taken::by("", "pods", pod)));
        prop_assert_eq!(counted.status(), kept.status());
    }
}
