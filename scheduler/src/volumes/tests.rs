//! Pods with claims: where they can go, what is reserved, and when they can be bound.
use crate::outcome::{Decision, Outcome};
use crate::reserve::STEPS;
use crate::snapshot::Snapshot;
use crate::testing::{claim, decisions, node, pod, snapshot, storage_class, told, volume};
use crate::writes::Progress;
use serde_json::{Value, json};

const ZONE: &str = "topology.kubernetes.io/zone";

fn cluster(objects: &[(&str, Value)]) -> Snapshot {
    let mut cluster = snapshot(&[node("n1").zone("a"), node("n2").zone("b")], &[]);
    for (resource, object) in objects {
        put(&mut cluster, resource, object.clone());
    }
    cluster
}

fn put(cluster: &mut Snapshot, resource: &str, object: Value) {
    let stored = crate::testing::stored(resource, object);
    let taken = match resource {
        "persistentvolumeclaims" => cluster.volumes.apply_claim(&stored),
        "persistentvolumes" => cluster.volumes.apply_volume(&stored),
        _ => cluster.volumes.apply_class(&stored),
    };
    taken.expect("an object");
}

fn one(cluster: &mut Snapshot, name: &str, claims: &[&str]) -> Decision {
    let pod = claims.iter().fold(pod(name), |pod, name| pod.claim(name));
    decisions(cluster, &[pod]).remove(0)
}

fn futile(why: &str) -> String {
    format!("0/2 nodes are available: {why}. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.")
}

#[test]
fn where_a_pod_with_a_claim_goes() {
    let local = |name: &str, zone: &str| volume(name, "local", "10Gi", &[(ZONE, zone)]);
    let bound = |volume: &str| claim("data", "local", "5Gi", &json!({"volumeName": volume}), &[("pv.kubernetes.io/bind-completed", "yes")]);
    let waiting = |annotations: &[(&str, &str)]| claim("data", "local", "5Gi", &json!({}), annotations);
    let class = |provisioner: &str, mode: &str| storage_class("local", provisioner, mode);
    let late = || class("kubernetes.io/no-provisioner", "WaitForFirstConsumer");
    let (claims, volumes, classes) = ("persistentvolumeclaims", "persistentvolumes", "storageclasses");
    type Row<'a> = (&'a str, Vec<(&'a str, Value)>, String);
    let rows: Vec<Row<'_>> = vec![
        ("no claim", vec![], futile("persistentvolumeclaim \"data\" not found")),
        ("bound in zone b", vec![(claims, bound("v")), (volumes, local("v", "b"))], "n2".to_owned()),
        ("bound in no zone", vec![(claims, bound("v")), (volumes, local("v", "c"))], futile("2 node(s) didn't match PersistentVolume's node affinity")),
        ("bound to nothing", vec![(claims, bound("v"))], futile("2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)")),
        ("unbound", vec![(claims, waiting(&[])), (classes, class("x", "Immediate"))], futile("pod has unbound immediate PersistentVolumeClaims")),
        ("without its class", vec![(claims, waiting(&[]))], futile("pod has unbound immediate PersistentVolumeClaims")),
        ("a volume in zone b", vec![(claims, waiting(&[])), (classes, late()), (volumes, local("v", "b"))], "n2".to_owned()),
        ("no volume", vec![(claims, waiting(&[])), (classes, late())], futile("2 node(s) didn't find available persistent volumes to bind")),
        (
            "selected already",
            vec![(claims, waiting(&[("volume.kubernetes.io/selected-node", "n2")])), (classes, class("x", "WaitForFirstConsumer"))],
            "n2".to_owned(),
        ),
        (
            "lost",
            vec![(claims, {
                let mut lost = bound("v");
                lost["status"] = json!({"phase": "Lost"});
                lost
            })],
            futile("persistentvolumeclaim \"data\" bound to non-existent persistentvolume \"v\""),
        ),
        (
            "being deleted",
            vec![(claims, {
                let mut gone = bound("v");
                gone["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                gone
            })],
            futile("persistentvolumeclaim \"data\" is being deleted"),
        ),
    ];
    for (name, objects, expected) in rows {
        let mut cluster = cluster(&objects);
        assert_eq!(told(&one(&mut cluster, "a", &["data"])), expected, "{name}");
    }
}

#[test]
fn an_ephemeral_volume_waits_for_its_claim() {
    let mut cluster = cluster(&[]);
    let pod = pod("a").set(&["spec", "volumes"], json!([{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}]));
    let why = |cluster: &mut Snapshot| told(&decisions(cluster, std::slice::from_ref(&pod)).remove(0));
    assert_eq!(why(&mut cluster), futile("waiting for ephemeral volume controller to create the persistentvolumeclaim \"a-scratch\""));
    put(&mut cluster, "persistentvolumeclaims", claim("a-scratch", "local", "1Gi", &json!({}), &[]));
    assert_eq!(why(&mut cluster), futile("PVC default/a-scratch was not created for pod default/a (pod is not owner)"));
}

#[test]
fn a_volume_that_is_there_is_bound_first() {
    let mut cluster = cluster(&[
        ("storageclasses", storage_class("local", "kubernetes.io/no-provisioner", "WaitForFirstConsumer")),
        ("persistentvolumes", volume("great", "local", "20Gi", &[(ZONE, "a")])),
        ("persistentvolumes", volume("small", "local", "10Gi", &[(ZONE, "a")])),
        ("persistentvolumeclaims", claim("one", "local", "5Gi", &json!({}), &[])),
        ("persistentvolumeclaims", claim("two", "local", "5Gi", &json!({}), &[])),
        ("persistentvolumeclaims", claim("three", "local", "5Gi", &json!({}), &[])),
    ]);
    let first = one(&mut cluster, "a", &["one"]);
    assert_eq!(told(&first), "n1");
    let write = first.before.first().expect("a write");
    assert_eq!((write.resource, &*write.name), ("persistentvolumes", "small"), "the smallest that is great enough");
    assert_eq!(write.patch["spec"]["claimRef"]["name"], "one");
    assert_eq!(write.patch["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"], "yes");
    let second = one(&mut cluster, "b", &["two"]);
    assert_eq!(second.before.first().map(|w| &*w.name), Some("great"), "what is reserved is others' no more");
    assert!(matches!(one(&mut cluster, "c", &["three"]).outcome, Outcome::Unschedulable(_)));
    cluster.forget("a");
    assert!(matches!(one(&mut cluster, "c", &["three"]).outcome, Outcome::Bind(_)), "and is free again when the pod isn't bound");
}

#[test]
fn a_volume_is_made_where_the_pod_goes() {
    let progress = |cluster: &Snapshot| (STEPS[0].progress)(&cluster.volumes, "a", cluster.node("n1"));
    let of = |spec: Value, annotations: &[(&str, &str)], revision: u64| {
        let mut claim = claim("data", "fast", "5Gi", &spec, annotations);
        claim["metadata"]["resourceVersion"] = json!(revision.to_string());
        claim
    };
    let mut cluster =
        cluster(&[("storageclasses", storage_class("fast", "example.com/disk", "WaitForFirstConsumer")), ("persistentvolumeclaims", of(json!({}), &[], 5))]);
    cluster.apply_node("n2", node("n2").cordoned().info());
    let decision = one(&mut cluster, "a", &["data"]);
    assert_eq!(told(&decision), "n1");
    let write = decision.before.first().expect("a write");
    assert_eq!((write.resource, &*write.name), ("persistentvolumeclaims", "data"));
    assert_eq!(write.patch, json!({"metadata": {"resourceVersion": "5", "annotations": {"volume.kubernetes.io/selected-node": "n1"}}}));
    assert_eq!(progress(&cluster), Progress::Waiting, "not yet written");
    (STEPS[0].written)(&mut cluster.volumes, "a", &write.name, 6);
    assert_eq!(progress(&cluster), Progress::Waiting, "not yet seen");
    let selected = ("volume.kubernetes.io/selected-node", "n1");
    put(&mut cluster, "persistentvolumeclaims", of(json!({}), &[selected], 6));
    assert_eq!(progress(&cluster), Progress::Waiting, "not yet made");
    let mut failed = cluster_with(&cluster, of(json!({}), &[], 7));
    assert_eq!(progress(&failed), Progress::Failed("provisioning failed for PVC \"data\"".to_owned()));
    put(&mut failed, "persistentvolumes", volume("v", "fast", "5Gi", &[]));
    put(&mut failed, "persistentvolumeclaims", of(json!({"volumeName": "v"}), &[selected, ("pv.kubernetes.io/bind-completed", "yes")], 8));
    assert_eq!(progress(&failed), Progress::Done);
}

/// The same cluster after another change of the claim.
fn cluster_with(of: &Snapshot, claim: Value) -> Snapshot {
    let mut cluster = snapshot(&[node("n1").zone("a")], &[]);
    put(&mut cluster, "storageclasses", storage_class("fast", "example.com/disk", "WaitForFirstConsumer"));
    put(&mut cluster, "persistentvolumeclaims", crate::testing::claim("data", "fast", "5Gi", &json!({}), &[]));
    let decision = one(&mut cluster, "a", &["data"]);
    assert_eq!(told(&decision), "n1");
    assert!(of.node_of("a").is_some());
    (STEPS[0].written)(&mut cluster.volumes, "a", &"data".into(), 6);
    put(&mut cluster, "persistentvolumeclaims", claim);
    cluster
}

#[test]
fn a_claim_for_one_pod_is_one_pods() {
    let only = || json!({"volumeName": "v", "accessModes": ["ReadWriteOncePod"]});
    let mut cluster = cluster(&[
        ("persistentvolumes", volume("v", "local", "10Gi", &[])),
        ("persistentvolumeclaims", claim("data", "local", "5Gi", &only(), &[("pv.kubernetes.io/bind-completed", "yes")])),
    ]);
    assert!(matches!(one(&mut cluster, "a", &["data"]).outcome, Outcome::Bind(_)));
    let why = "0/2 nodes are available: 2 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod.";
    let second = told(&one(&mut cluster, "b", &["data"]));
    assert!(second.starts_with(why), "{second}");
    let important = pod("c").claim("data").priority(9);
    let planned = told(&decisions(&mut cluster, &[important]).remove(0));
    assert!(planned.ends_with("preempting 1 victims"), "{planned}");
    cluster.remove_pod("a");
    assert!(matches!(one(&mut cluster, "b", &["data"]).outcome, Outcome::Unschedulable(_)), "c waits for it");
}
