//! What a node may write of itself, its pods and its lease.
use super::node_restriction::NodeRestriction;
use super::*;
use crate::lookup::fixture::MapLookup;
use model::Subresource;
use model::kinds;
use serde_json::{Value, json};
use state_client::User;

fn object(v: Value) -> Object {
    Object::from_value(v).unwrap()
}

fn cluster() -> MapLookup {
    MapLookup::default().with("", "nodes", json!({"metadata": {"name": "n1", "uid": "uid-1"}}))
}

/// A write of node n1: `old` is `null` for a create, `new` for a deletion.
fn write(resource: &str, subresource: Option<Subresource>, old: Value, new: Value) -> Result<(), String> {
    write_as("system:node:n1", resource, subresource, old, new)
}

fn write_as(user: &str, resource: &str, subresource: Option<Subresource>, old: Value, new: Value) -> Result<(), String> {
    let user = User { name: user.to_owned(), groups: vec!["system:nodes".into()], ..User::default() };
    let (kinds, view) = (kinds::builtin(), cluster());
    let kind = kinds.rows().iter().find(|k| &*k.resource == resource).unwrap();
    let old = Some(old).filter(|v| !v.is_null()).map(object);
    let request = Admit { user: &user, kind, subresource, old: old.as_ref(), view: &view, entropy: 7 };
    let done = match (&old, new.is_null()) {
        (Some(old), true) => NodeRestriction.admit_delete(&request, old),
        (Some(_), false) => NodeRestriction.admit_proposed(&request, &object(new)),
        (None, _) => NodeRestriction.admit(&request, &mut object(new), &mut Effects::default()),
    };
    done.map_err(|refusal| {
        assert_eq!(refusal.error.code(), 403, "{}", refusal.error);
        refusal.error.message.split_once(" is forbidden: ").unwrap().1.to_owned()
    })
}

fn refused(why: &str) -> Result<(), String> {
    Err(why.to_owned())
}

#[test]
fn labels() {
    let labelled = |labels: Value| json!({"metadata": {"name": "n1", "labels": labels}});
    let cases = [
        ("a", true),
        ("example.com/a", true),
        ("notkubernetes.io/a", true),
        ("kubernetes.io/hostname", true),
        ("beta.kubernetes.io/arch", true),
        ("topology.kubernetes.io/zone", true),
        ("failure-domain.beta.kubernetes.io/region", true),
        ("node.kubernetes.io/anything", true),
        ("x.node.kubernetes.io/anything", true),
        ("kubelet.kubernetes.io/anything", true),
        ("x.kubelet.kubernetes.io/anything", true),
        ("kubernetes.io/role", false),
        ("node-role.kubernetes.io/control-plane", false),
        ("topology.kubernetes.io/rack", false),
        ("x.kubernetes.io/a", false),
        ("k8s.io/a", false),
        ("x.k8s.io/a", false),
        ("node-restriction.kubernetes.io/tier", false),
        ("x.node-restriction.kubernetes.io/tier", false),
        ("xnode-restriction.kubernetes.io/tier", false),
    ];
    for (label, allowed) in cases {
        let outcome = |why: String| if allowed { Ok(()) } else { Err(why) };
        let (with, other) = (labelled(json!({"b": "c", label: "x"})), labelled(json!({"b": "d", label: "y"})));
        let without = labelled(json!({"b": "c"}));
        let set = outcome(format!("node \"n1\" is not allowed to set the following labels: {label}"));
        assert_eq!(write("nodes", None, Value::Null, with.clone()), set, "{label} set");
        let modified = outcome(format!("is not allowed to modify labels: {label}"));
        for subresource in [None, Some(Subresource::STATUS)] {
            assert_eq!(write("nodes", subresource, without.clone(), with.clone()), modified, "{label} added");
            assert_eq!(write("nodes", subresource, with.clone(), other.clone()), modified, "{label} changed");
            assert_eq!(write("nodes", subresource, with.clone(), without.clone()), modified, "{label} removed");
            assert_eq!(write("nodes", subresource, with.clone(), with.clone()), Ok(()), "{label} kept");
        }
    }
    let two = labelled(json!({"k8s.io/b": "", "k8s.io/a": ""}));
    assert_eq!(write("nodes", None, Value::Null, two), refused("node \"n1\" is not allowed to set the following labels: k8s.io/a, k8s.io/b"));
}

#[test]
fn its_own_node() {
    let node = |name: &str, metadata: Value, spec: Value| {
        let mut node = json!({"metadata": {"name": name}, "spec": spec});
        node["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        node
    };
    let plain = || node("n1", json!({}), json!({}));
    let owned = || node("n1", json!({"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}]}), json!({}));
    let tainted = || node("n1", json!({}), json!({"taints": [{"key": "k", "effect": "NoSchedule"}]}));
    let configured = |to: &str| node("n1", json!({}), json!({"configSource": {"configMap": {"name": to}}}));
    let other = || node("n2", json!({}), json!({}));
    let cases = [
        (Value::Null, plain(), Ok(())),
        (Value::Null, tainted(), Ok(())),
        (Value::Null, other(), refused("node \"n1\" is not allowed to modify node \"n2\"")),
        (other(), other(), refused("node \"n1\" is not allowed to modify node \"n2\"")),
        (Value::Null, configured("a"), refused("node \"n1\" is not allowed to create pods with a non-nil configSource")),
        (plain(), configured("a"), refused("node \"n1\" is not allowed to update configSource to a new non-nil configSource")),
        (configured("a"), configured("b"), refused("node \"n1\" is not allowed to update configSource to a new non-nil configSource")),
        (configured("a"), configured("a"), Ok(())),
        (configured("a"), plain(), Ok(())),
        (plain(), tainted(), refused("node \"n1\" is not allowed to modify taints")),
        (tainted(), plain(), refused("node \"n1\" is not allowed to modify taints")),
        (plain(), owned(), refused("node \"n1\" is not allowed to modify ownerReferences")),
        (owned(), plain(), refused("node \"n1\" is not allowed to modify ownerReferences")),
        (owned(), owned(), Ok(())),
        (plain(), node("n1", json!({"annotations": {"a": "b"}, "ownerReferences": []}), json!({"unschedulable": true, "taints": []})), Ok(())),
    ];
    for (old, new, want) in cases {
        let subresources: &[_] = if old.is_null() { &[None] } else { &[None, Some(Subresource::STATUS)] };
        for subresource in subresources {
            assert_eq!(write("nodes", *subresource, old.clone(), new.clone()), want, "{old} {new}");
        }
    }
    let nobody = write_as("system:node:", "nodes", None, Value::Null, plain());
    assert_eq!(nobody, refused("could not determine node from user \"system:node:\""));
    assert_eq!(write_as("alice", "nodes", None, plain(), owned()), Ok(()));
}

/// A mirror pod of n1, changed.
fn mirror(change: impl FnOnce(&mut Value)) -> Value {
    let owner = json!({"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "uid-1", "controller": true});
    let mut pod = json!({
        "metadata": {"namespace": "default", "name": "p", "annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": [owner]},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
    });
    change(&mut pod);
    pod
}

#[test]
fn mirror_pods() {
    let create = |pod: Value| write("pods", None, Value::Null, pod);
    assert_eq!(create(mirror(|_| {})), Ok(()));
    let unannotated = create(mirror(|p| p["metadata"]["annotations"] = json!({})));
    assert_eq!(unannotated, refused("pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n1\" can only create mirror pods"));
    for node in [json!("n2"), json!("")] {
        let elsewhere = create(mirror(|p| p["spec"]["nodeName"] = node));
        assert_eq!(elsewhere, refused("node \"n1\" can only create pods with spec.nodeName set to itself"));
    }
    let own = "node \"n1\" can only create pods with an owner reference set to itself";
    let owners = [
        (json!([]), own),
        (json!([{}, {}]), "node \"n1\" can only create pods with a single owner reference set to itself"),
        (json!([{"apiVersion": "v2", "kind": "Node", "name": "n1", "uid": "uid-1", "controller": true}]), own),
        (json!([{"apiVersion": "v1", "kind": "Pod", "name": "n1", "uid": "uid-1", "controller": true}]), own),
        (json!([{"apiVersion": "v1", "kind": "Node", "name": "n2", "uid": "uid-1", "controller": true}]), own),
        (
            json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "uid-1"}]),
            "node \"n1\" can only create pods with a controller owner reference set to itself",
        ),
        (
            json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "uid-1", "controller": true, "blockOwnerDeletion": true}]),
            "node \"n1\" must not set blockOwnerDeletion on an owner reference",
        ),
        (json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "x", "controller": true}]), "node n1 UID mismatch: expected x got uid-1"),
    ];
    for (references, why) in owners {
        assert_eq!(create(mirror(|p| p["metadata"]["ownerReferences"] = references.clone())), refused(why), "{references}");
    }
    let needs = [
        (json!({"serviceAccountName": "a"}), "serviceaccounts"),
        (json!({"imagePullSecrets": [{"name": "s"}]}), "secrets"),
        (json!({"containers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}), "secrets"),
        (json!({"containers": [{"env": [{"valueFrom": {"configMapKeyRef": {"name": "s"}}}]}]}), "configmaps"),
        (json!({"volumes": [{"projected": {"sources": [{"serviceAccountToken": {}}]}}]}), "serviceaccounts (via projected volumes)"),
        (json!({"volumes": [{"persistentVolumeClaim": {"claimName": "c"}}]}), "persistentvolumeclaims"),
        (json!({"resourceClaims": [{"name": "r"}]}), "resourceclaims"),
    ];
    for (spec, what) in needs {
        let pod = mirror(|p| p["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone()));
        assert_eq!(create(pod), Err(format!("node \"n1\" can not create pods that reference {what}")), "{spec}");
    }
}

#[test]
fn mirror_pods_of_a_node_that_is_gone() {
    let (kinds, view) = (kinds::builtin(), MapLookup::default());
    let user = User { name: "system:node:n1".into(), groups: vec!["system:nodes".into()], ..User::default() };
    let request = Admit { user: &user, kind: kinds.resource("", "pods").unwrap(), subresource: None, old: None, view: &view, entropy: 7 };
    let refusal = NodeRestriction.admit(&request, &mut object(mirror(|_| {})), &mut Effects::default()).unwrap_err();
    assert_eq!((refusal.error.code(), refusal.missing.is_some()), (404, true));
}

#[test]
fn nobody_gives_a_mirror_pod_what_its_node_would_read() {
    let (kinds, view) = (kinds::builtin(), cluster());
    let user = User { name: "root".into(), groups: vec!["system:masters".into()], ..User::default() };
    let request = Admit { user: &user, kind: kinds.resource("", "pods").unwrap(), subresource: None, old: None, view: &view, entropy: 7 };
    let cases = [
        (json!({}), None),
        (json!({"serviceAccountName": "a"}), Some("a mirror pod may not reference service accounts")),
        (json!({"imagePullSecrets": [{"name": "s"}]}), Some("a mirror pod may not reference secrets")),
        (json!({"initContainers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "s"}}}]}]}), Some("a mirror pod may not reference secrets")),
        (
            json!({"volumes": [{"projected": {"sources": [{"serviceAccountToken": {}}]}}]}),
            Some("a mirror pod may not use ServiceAccountToken volume projections"),
        ),
    ];
    for (spec, why) in cases {
        let pod = mirror(|p| p["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone()));
        let refusal = service_account::ServiceAccount { patience: Duration::ZERO }.admit(&request, &mut object(pod), &mut Effects::default()).err();
        assert_eq!(refusal.map(|r| r.error.message), why.map(|why| format!("pods \"p\" is forbidden: {why}")), "{spec}");
    }
}

#[test]
fn its_own_pods() {
    let pod = |node: &str, labels: Value, status: Value| json!({"metadata": {"namespace": "default", "name": "p", "labels": labels}, "spec": {"nodeName": node}, "status": status});
    let plain = |node: &str| pod(node, json!({"a": "b"}), json!({}));
    let status = Some(Subresource::STATUS);
    let claims = json!({"resourceClaimStatuses": [{"name": "r", "resourceClaimName": "x"}]});
    let cases = [
        (status, plain("n1"), pod("n1", json!({"a": "b"}), json!({"phase": "Running"})), Ok(())),
        (status, plain("n2"), plain("n2"), refused("node \"n1\" can only update pod status for pods with spec.nodeName set to itself")),
        // what it proposes doesn't make the pod its own
        (status, plain("n2"), plain("n1"), refused("node \"n1\" can only update pod status for pods with spec.nodeName set to itself")),
        (status, plain("n1"), pod("n1", json!({"a": "c"}), json!({})), refused("node \"n1\" cannot update labels through pod status")),
        (status, plain("n1"), pod("n1", json!({}), json!({})), refused("node \"n1\" cannot update labels through pod status")),
        (status, plain("n1"), pod("n1", json!({"a": "b"}), claims), refused("node \"n1\" cannot update resource claim statues")),
        (None, plain("n1"), plain("n1"), refused("unexpected operation \"UPDATE\", node \"n1\" can only create and delete mirror pods")),
        (Some(Subresource::BINDING), plain("n1"), plain("n1"), refused("unexpected pod subresource \"binding\", only 'status' and 'eviction' are allowed")),
        (None, plain("n1"), Value::Null, Ok(())),
        (None, plain("n2"), Value::Null, refused("node \"n1\" can only delete pods with spec.nodeName set to itself")),
        (None, plain(""), Value::Null, refused("node \"n1\" can only delete pods with spec.nodeName set to itself")),
        (Some(Subresource::EVICTION), plain("n1"), Value::Null, Ok(())),
        (Some(Subresource::EVICTION), plain("n2"), Value::Null, refused("node n1 can only evict pods with spec.nodeName set to itself")),
    ];
    for (subresource, old, new, want) in cases {
        assert_eq!(write("pods", subresource, old.clone(), new.clone()), want, "{subresource:?} {old} {new}");
    }
}

#[test]
fn its_own_lease() {
    let lease = |namespace: &str, name: &str| json!({"metadata": {"namespace": namespace, "name": name}});
    let elsewhere = "can only access leases in the \"kube-node-lease\" system namespace";
    let other = "can only access node lease with the same name as the requesting node";
    for (lease, want) in
        [(lease("kube-node-lease", "n1"), Ok(())), (lease("default", "n1"), refused(elsewhere)), (lease("kube-node-lease", "n2"), refused(other))]
    {
        for (old, new) in [(Value::Null, lease.clone()), (lease.clone(), lease.clone()), (lease.clone(), Value::Null)] {
            assert_eq!(write("leases", None, old, new), want, "{lease}");
        }
    }
}

#[test]
fn of_a_volume_a_node_says_what_became_of_its_directory() {
    use model::storage::{DIRECTORY, DIRECTORY_NODE, DIRECTORY_SIZE, PROVISIONED_BY, SIZE_ENFORCED};
    let volume = |node: &str, annotations: Value, finalizers: Value, size: &str| {
        let mut metadata = json!({"name": "v", "labels": {DIRECTORY_NODE: node}, "annotations": {PROVISIONED_BY: "p"}, "finalizers": finalizers});
        annotations.as_object().unwrap().iter().for_each(|(key, value)| metadata["annotations"][key] = value.clone());
        json!({"metadata": metadata, "spec": {"capacity": {"storage": size}}})
    };
    let both = json!(["kubernetes.io/pv-protection", DIRECTORY]);
    let old = |node: &str| volume(node, json!({}), both.clone(), "1Gi");
    let own = "node \"n1\" can only say of a volume what became of its directory";
    let foreign = "node \"n1\" can only update volumes whose directory it has";
    let rows = [
        (old("n1"), volume("n1", json!({DIRECTORY_SIZE: "1Gi", SIZE_ENFORCED: "false"}), both.clone(), "1Gi"), Ok(())),
        (old("n1"), volume("n1", json!({}), json!(["kubernetes.io/pv-protection"]), "1Gi"), Ok(())),
        (old("n1"), volume("n1", json!({}), json!([DIRECTORY]), "1Gi"), refused(own)),
        (old("n1"), volume("n1", json!({"other": "x"}), both.clone(), "1Gi"), refused(own)),
        (old("n1"), volume("n1", json!({}), both.clone(), "9Gi"), refused(own)),
        (old("n1"), volume("n2", json!({}), both.clone(), "1Gi"), refused(own)),
        (old("n2"), volume("n2", json!({}), json!([]), "1Gi"), refused(foreign)),
        (old("n2"), volume("n1", json!({}), both.clone(), "1Gi"), refused(foreign)),
        (volume("n1", json!({}), json!([]), "1Gi"), old("n1"), refused(own)),
    ];
    for (old, new, want) in rows {
        assert_eq!(write("persistentvolumes", None, old, new.clone()), want, "{new}");
    }
    assert_eq!(write("persistentvolumes", Some(Subresource::STATUS), old("n1"), old("n1")), refused(foreign));
}
