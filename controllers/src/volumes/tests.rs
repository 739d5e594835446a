use super::*;
use crate::runtime::{Controller, Resource};
use crate::testing::Sim;
use model::Object;
use model::storage::{BIND_COMPLETED, BOUND_BY_CONTROLLER, CLAIM_PROTECTION, DIRECTORIES, DIRECTORY_SIZE, PROVISIONED_BY, PROVISIONER, SELECTED_NODE};
use proptest::prelude::*;
use serde_json::{Value, json};

fn all() -> Vec<Box<dyn Controller>> {
    vec![
        Box::new(Binder),
        Box::new(Provisioner),
        Box::new(Expansion),
        Box::new(EphemeralVolumes),
        Box::new(ClaimProtection),
        Box::new(VolumeProtection),
        Box::new(DefaultStorageClass),
    ]
}

/// Until all is quiet, and what failed because somebody else wrote at the same time was tried again.
fn rest(sim: &mut Sim) {
    sim.settle();
    (0..8).for_each(|_| sim.pass(2));
}

fn merged(mut object: Value, more: &Value) -> Value {
    match (&mut object, more) {
        (Value::Object(object), Value::Object(more)) => {
            for (key, value) in more {
                let old = object.remove(key).unwrap_or(Value::Null);
                object.insert(key.clone(), merged(old, value));
            }
        }
        (object, more) => *object = more.clone(),
    }
    object
}

fn volume(name: &str, size: &str, more: Value) -> Value {
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "status": {"phase": "Pending"},
        "spec": {
            "capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem",
            "hostPath": {"path": "/x"},
        },
    });
    merged(volume, &more)
}

fn claim(name: &str, size: &str, more: Value) -> Value {
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "a"}, "status": {"phase": "Pending"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "storageClassName": "", "volumeMode": "Filesystem"},
    });
    merged(claim, &more)
}

fn class(name: &str, provisioner: &str, mode: &str) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": mode,
        "reclaimPolicy": "Delete", "allowVolumeExpansion": true,
    })
}

fn node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}, "annotations": {DIRECTORIES: "/data/volumes"}}})
}

fn bound(sim: &Sim, claim: &str) -> String {
    let claim = sim.get(&Resource::CLAIMS, claim).unwrap();
    if claim.str_at(&["status", "phase"]) == "Bound" { claim.str_at(&["spec", "volumeName"]).to_owned() } else { String::new() }
}

fn phase_of(sim: &Sim, volume: &str) -> String {
    sim.get(&Resource::VOLUMES, volume).map(|v| v.str_at(&["status", "phase"]).to_owned()).unwrap_or_default()
}

#[test]
fn a_claim_gets_the_least_volume_that_suits_it() {
    let rows: [(&str, Value, &str); 8] = [
        ("1Gi", json!({}), "small"),
        ("2Gi", json!({}), "middle"),
        ("9Gi", json!({}), ""),
        ("1Gi", json!({"spec": {"accessModes": ["ReadWriteOnce", "ReadOnlyMany"]}}), "shared"),
        ("1Gi", json!({"spec": {"volumeMode": "Block"}}), "block"),
        ("1Gi", json!({"spec": {"selector": {"matchLabels": {"tier": "gold"}}}}), "gold"),
        ("1Gi", json!({"spec": {"storageClassName": "fast"}}), "fast"),
        ("1Gi", json!({"spec": {"volumeName": "large"}}), "large"),
    ];
    for (size, more, want) in rows {
        let mut sim = Sim::new(all());
        for (name, size, more) in [
            ("large", "5Gi", json!({})),
            ("middle", "3Gi", json!({})),
            ("small", "1Gi", json!({})),
            ("shared", "1Gi", json!({"spec": {"accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"]}})),
            ("block", "1Gi", json!({"spec": {"volumeMode": "Block"}})),
            ("gold", "4Gi", json!({"metadata": {"labels": {"tier": "gold"}}})),
            ("fast", "1Gi", json!({"spec": {"storageClassName": "fast"}})),
        ] {
            sim.create(volume(name, size, more));
        }
        sim.create(claim("c", size, more.clone()));
        rest(&mut sim);
        assert_eq!(bound(&sim, "c"), want, "{size} {more}");
        if !want.is_empty() {
            let (volume, claim) = (sim.get(&Resource::VOLUMES, want).unwrap(), sim.get(&Resource::CLAIMS, "c").unwrap());
            assert_eq!((volume.str_at(&["spec", "claimRef", "uid"]), volume.str_at(&["status", "phase"])), (claim.uid(), "Bound"));
            assert_eq!(volume.annotation(BOUND_BY_CONTROLLER), Some("yes"));
            assert_eq!((claim.annotation(BIND_COMPLETED), claim.at(&["status", "capacity"])), (Some("yes"), volume.at(&["spec", "capacity"])));
            assert_eq!(claim.annotation(BOUND_BY_CONTROLLER).is_some(), more["spec"]["volumeName"].is_null());
        }
    }
}

#[test]
fn users_bind_before() {
    let mut sim = Sim::new(all());
    let reserved = json!({"spec": {"claimRef": {"namespace": "a", "name": "mine"}}});
    sim.create(volume("reserved", "5Gi", reserved));
    sim.create(volume("free", "1Gi", json!({})));
    sim.create(claim("other", "2Gi", json!({})));
    rest(&mut sim);
    assert_eq!((bound(&sim, "other"), phase_of(&sim, "reserved")), (String::new(), "Available".to_owned()));
    sim.create(claim("mine", "1Gi", json!({})));
    sim.create(claim("wants", "1Gi", json!({"spec": {"volumeName": "reserved"}})));
    sim.create(claim("too-much", "9Gi", json!({"spec": {"volumeName": "free"}})));
    rest(&mut sim);
    assert_eq!(["mine", "wants", "too-much"].map(|name| bound(&sim, name)), ["reserved", "", ""]);
    assert_eq!(sim.get(&Resource::VOLUMES, "reserved").unwrap().annotation(BOUND_BY_CONTROLLER), None);
    for event in [
        "wants FailedBinding: volume \"reserved\" already bound to a different claim.",
        "too-much VolumeMismatch: Cannot bind to requested volume \"free\": requested PV is too small",
        "other FailedBinding: no persistent volumes available for this claim and no storage class is set",
    ] {
        assert!(sim.events.iter().any(|e| e == event), "{event}: {:?}", sim.events);
    }
}

#[test]
fn a_volume_whose_claim_is_gone_is_kept_or_fails() {
    let rows = [
        ("Retain", "Released", ""),
        ("Delete", "Failed", "VolumeFailedDelete: error getting deleter volume plugin for volume \"v\": no deletable volume plugin matched"),
        ("Recycle", "Failed", "VolumeFailedRecycle: No recycler plugin found for the volume!"),
    ];
    for (policy, want, event) in rows {
        let mut sim = Sim::new(all());
        sim.create(volume("v", "1Gi", json!({"spec": {"persistentVolumeReclaimPolicy": policy}})));
        sim.create(claim("c", "1Gi", json!({})));
        rest(&mut sim);
        assert_eq!(bound(&sim, "c"), "v");
        sim.delete(&Resource::CLAIMS, "c", None);
        rest(&mut sim);
        assert_eq!((phase_of(&sim, "v"), sim.get(&Resource::CLAIMS, "c")), (want.to_owned(), None), "{policy}");
        assert!(event.is_empty() || sim.events.contains(&format!("v {event}")), "{:?}", sim.events);
        // a namesake doesn't get what another one left
        sim.create(claim("c", "1Gi", json!({})));
        rest(&mut sim);
        assert_eq!(bound(&sim, "c"), "");
        // until somebody says that it is free
        sim.patch(&Resource::VOLUMES, "v", "", json!({"spec": {"claimRef": null}}));
        rest(&mut sim);
        assert_eq!(bound(&sim, "c"), "v");
    }
}

#[test]
fn a_claim_without_its_volume_is_lost_until_that_is_back() {
    let mut sim = Sim::new(all());
    sim.create(volume("v", "1Gi", json!({})));
    sim.create(claim("c", "1Gi", json!({})));
    rest(&mut sim);
    sim.world.forget(&Resource::VOLUMES.key("", "v"));
    rest(&mut sim);
    assert_eq!(sim.get(&Resource::CLAIMS, "c").unwrap().str_at(&["status", "phase"]), "Lost");
    assert!(sim.events.iter().any(|e| e == "c ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!"));
    sim.create(volume("v", "1Gi", json!({})));
    rest(&mut sim);
    assert_eq!(bound(&sim, "c"), "v");
}

fn pod(name: &str, node: &str, volumes: Value) -> Value {
    let mut spec = json!({"containers": [{"name": "c", "image": "i"}], "volumes": volumes});
    if !node.is_empty() {
        spec["nodeName"] = json!(node);
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a"}, "spec": spec})
}

fn using(claim: &str) -> Value {
    json!([{"name": "data", "persistentVolumeClaim": {"claimName": claim}}])
}

#[test]
fn a_directory_is_made_for_the_node_of_the_first_pod_and_goes_with_its_claim() {
    let mut sim = Sim::new(all());
    sim.create(node("n1"));
    sim.create(class("local-path", PROVISIONER, "WaitForFirstConsumer"));
    sim.create(claim("c", "1Gi", json!({"spec": {"storageClassName": "local-path"}})));
    rest(&mut sim);
    assert!(sim.events.contains(&"c WaitForFirstConsumer: waiting for first consumer to be created before binding".to_owned()), "{:?}", sim.events);
    sim.create(pod("p", "", using("c")));
    rest(&mut sim);
    assert!(sim.events.contains(&"c WaitForPodScheduled: waiting for pod p to be scheduled".to_owned()), "{:?}", sim.events);
    sim.patch(&Resource::CLAIMS, "c", "", json!({"metadata": {"annotations": {SELECTED_NODE: "n1"}}}));
    rest(&mut sim);
    let name = bound(&sim, "c");
    let made = sim.get(&Resource::VOLUMES, &name).unwrap();
    assert_eq!(name, format!("pvc-{}", sim.get(&Resource::CLAIMS, "c").unwrap().uid()));
    assert_eq!((made.annotation(PROVISIONED_BY), made.str_at(&["spec", "local", "path"])), (Some(PROVISIONER), &*format!("/data/volumes/{name}")));
    let reasons: Vec<&str> = sim.events.iter().filter_map(|e| e.strip_prefix("c ")?.split(':').next()).collect();
    assert_eq!(reasons, ["WaitForFirstConsumer", "WaitForPodScheduled", "ExternalProvisioning", "Provisioning", "ProvisioningSucceeded"]);

    // a pod on its node keeps the claim
    sim.patch(&Resource::PODS, "p", "", json!({"spec": {"nodeName": "n1"}}));
    sim.delete(&Resource::CLAIMS, "c", None);
    rest(&mut sim);
    assert!(sim.get(&Resource::CLAIMS, "c").unwrap().finalizers().any(|f| f == CLAIM_PROTECTION));
    sim.world.forget(&Resource::PODS.key("a", "p"));
    rest(&mut sim);
    assert_eq!((sim.get(&Resource::CLAIMS, "c"), &*phase_of(&sim, &name)), (None, "Released"));
    // the volume waits for its node, which removes the directory
    let ending = sim.get(&Resource::VOLUMES, &name).unwrap();
    assert_eq!((ending.deletion_timestamp().is_some(), ending.finalizers().collect::<Vec<_>>()), (true, vec!["whalesong.dev/directory"]));
    sim.delete(&Resource::NODES, "n1", None);
    rest(&mut sim);
    assert_eq!(sim.get(&Resource::VOLUMES, &name), None);
}

#[test]
fn what_a_directory_cannot_be_is_said() {
    let rows = [
        (json!({"spec": {"accessModes": ["ReadWriteMany"]}}), "access mode ReadWriteMany is not supported"),
        (json!({"spec": {"volumeMode": "Block"}}), "does not support block volume provisioning"),
        (json!({"spec": {"selector": {"matchLabels": {"a": "b"}}}}), "claim Selector is not supported"),
        (json!({"metadata": {"annotations": {SELECTED_NODE: "gone"}}}), "nodes \"gone\" not found"),
        (json!({"metadata": {"annotations": {SELECTED_NODE: null}}}), "no node was specified"),
    ];
    for (more, want) in rows {
        let mut sim = Sim::new(all());
        sim.create(node("n1"));
        sim.create(class("now", PROVISIONER, "Immediate"));
        let basis = claim("c", "1Gi", json!({"metadata": {"annotations": {SELECTED_NODE: "n1"}}, "spec": {"storageClassName": "now"}}));
        sim.create(merged(basis, &more));
        rest(&mut sim);
        assert!(sim.events.iter().any(|e| e.starts_with("c ProvisioningFailed") && e.contains(want)), "{want}: {:?}", sim.events);
        assert_eq!(sim.get(&Resource::CLAIMS, "c").unwrap().annotation(SELECTED_NODE).filter(|node| *node == "gone"), None);
    }
}

#[test]
fn other_provisioners_are_waited_for() {
    let mut sim = Sim::new(all());
    sim.create(class("csi", "example.com/csi", "Immediate"));
    sim.create(class("none", "kubernetes.io/no-provisioner", "Immediate"));
    for (name, class) in [("a", "csi"), ("b", "none"), ("c", "missing")] {
        sim.create(claim(name, "1Gi", json!({"spec": {"storageClassName": class}})));
    }
    rest(&mut sim);
    let first = |name: &str| sim.events.iter().find(|e| e.starts_with(&format!("{name} "))).cloned().unwrap_or_default();
    assert!(first("a").starts_with("a ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'example.com/csi'"));
    assert_eq!(first("b"), "b ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner");
    assert_eq!(first("c"), "c ProvisioningFailed: storageclass.storage.k8s.io \"missing\" not found");
    assert_eq!(model::storage::provisioner(&sim.get(&Resource::CLAIMS, "a").unwrap()), "example.com/csi");
}

#[test]
fn the_default_class_is_made_once_and_claims_without_one_get_it() {
    let mut sim = Sim::new(all());
    sim.create(claim("c", "1Gi", json!({"spec": {"storageClassName": null}})));
    rest(&mut sim);
    sim.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}));
    rest(&mut sim);
    assert_eq!(sim.names(&Resource::STORAGE_CLASSES), ["local-path"]);
    assert_eq!(sim.get(&Resource::CLAIMS, "c").unwrap().str_at(&["spec", "storageClassName"]), "local-path");
    sim.delete(&Resource::STORAGE_CLASSES, "local-path", None);
    rest(&mut sim);
    assert_eq!(sim.names(&Resource::STORAGE_CLASSES), Vec::<String>::new());
}

#[test]
fn a_pod_has_claims_of_its_own() {
    let mut sim = Sim::new(all());
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    sim.create(claim("q-data", "1Gi", json!({})));
    let volumes = json!([{"name": "data", "ephemeral": {"volumeClaimTemplate": template}}]);
    let owner = sim.create(pod("p", "n1", volumes.clone()));
    sim.create(pod("q", "", volumes));
    rest(&mut sim);
    let made = sim.get(&Resource::CLAIMS, "p-data").unwrap();
    assert_eq!((made.controller().unwrap().uid, made.label("a")), (owner.object().uid().to_owned(), Some("b")));
    let foreign = "q FailedBinding: ephemeral volume data: PVC a/q-data was not created for pod a/q (pod is not owner)";
    assert!(sim.events.iter().any(|e| e == foreign), "{:?}", sim.events);
    // with a pod that is over it may go
    sim.delete(&Resource::CLAIMS, "p-data", None);
    rest(&mut sim);
    assert!(sim.get(&Resource::CLAIMS, "p-data").is_some());
    sim.world.forget(&Resource::PODS.key("a", "p"));
    rest(&mut sim);
    assert_eq!(sim.get(&Resource::CLAIMS, "p-data"), None);
}

#[test]
fn a_directory_grows_when_its_node_has_seen_to_it() {
    let mut sim = Sim::new(all());
    sim.create(node("n1"));
    sim.create(class("local-path", PROVISIONER, "WaitForFirstConsumer"));
    let selected = json!({"metadata": {"annotations": {SELECTED_NODE: "n1"}}, "spec": {"storageClassName": "local-path"}});
    sim.create(claim("c", "1Gi", selected));
    rest(&mut sim);
    let name = bound(&sim, "c");
    sim.patch(&Resource::VOLUMES, &name, "", json!({"metadata": {"annotations": {DIRECTORY_SIZE: "1Gi"}}}));
    sim.patch(&Resource::CLAIMS, "c", "", json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}}));
    rest(&mut sim);
    let status = |sim: &Sim| sim.get(&Resource::CLAIMS, "c").unwrap().at(&["status"]).cloned().unwrap();
    assert_eq!((&status(&sim)["capacity"]["storage"], &status(&sim)["conditions"][0]["type"]), (&json!("1Gi"), &json!("Resizing")));
    assert_eq!(sim.get(&Resource::VOLUMES, &name).unwrap().at(&["spec", "capacity", "storage"]), Some(&json!("2Gi")));
    sim.patch(&Resource::VOLUMES, &name, "", json!({"metadata": {"annotations": {DIRECTORY_SIZE: "2Gi"}}}));
    rest(&mut sim);
    assert_eq!((&status(&sim)["capacity"]["storage"], &status(&sim)["conditions"]), (&json!("2Gi"), &Value::Null));
    assert!(sim.events.contains(&"c VolumeResizeSuccessful: Resize volume succeeded".to_owned()));
}

/// What must hold at any moment: a volume is the one of one claim at most, and a claim that says that it is bound has a volume that says so, too.
fn holds(sim: &Sim) -> Result<(), TestCaseError> {
    let claims: Vec<Object> = sim.all(&Resource::CLAIMS).iter().map(|c| c.object().clone()).collect();
    let mut taken = std::collections::BTreeSet::new();
    for claim in claims.iter().filter(|c| !c.str_at(&["spec", "volumeName"]).is_empty()) {
        let volume = claim.str_at(&["spec", "volumeName"]).to_owned();
        let object = sim.get(&Resource::VOLUMES, &volume);
        prop_assert!(object.is_some_and(|v| v.str_at(&["spec", "claimRef", "uid"]) == claim.uid()), "{} is not the claim of {volume}", claim.name());
        prop_assert!(taken.insert(volume), "a volume has two claims");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whatever is seen when, no volume has two claims, and in the end as many are bound as can be.
    #[test]
    fn claims_and_volumes_find_each_other(
        volumes in proptest::collection::vec(1_u8..4, 0..6),
        claims in proptest::collection::vec(1_u8..4, 0..6),
        steps in proptest::collection::vec((0_u8..5, 0_usize..2), 0..60),
    ) {
        let mut sim = Sim::new(all());
        volumes.iter().enumerate().for_each(|(i, size)| _ = sim.create(volume(&format!("v{i}"), &format!("{size}Gi"), json!({}))));
        claims.iter().enumerate().for_each(|(i, size)| _ = sim.create(claim(&format!("c{i}"), &format!("{size}Gi"), json!({}))));
        sim.show_all();
        for (what, which) in steps {
            match what {
                0 | 1 => _ = sim.show(&[Resource::CLAIMS, Resource::VOLUMES][which]),
                2 | 3 => sim.plan(),
                _ => _ = sim.act(),
            }
            holds(&sim)?;
        }
        rest(&mut sim);
        holds(&sim)?;
        let free: Vec<u8> = volumes.iter().enumerate().filter(|(i, _)| phase_of(&sim, &format!("v{i}")) == "Available").map(|(_, size)| *size).collect();
        for (i, size) in claims.iter().enumerate().filter(|(i, _)| bound(&sim, &format!("c{i}")).is_empty()) {
            prop_assert!(free.iter().all(|free| free < size), "c{} of {} is unbound, and {:?} are free", i, size, free);
        }
    }
}
