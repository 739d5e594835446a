//! What is not yet as it should be, once nothing goes wrong any more.
use crate::check::pods;
use crate::cluster::Cluster;
use crate::facts::{alive, ready, replicas};
use crate::net::{NAMESPACE, Net};
use crate::set_check;
use crate::storage;
use crate::users::OUTSIDE;
use model::{Object, Stored};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is not yet as it should be.
pub fn open(cluster: &Cluster) -> Vec<String> {
    let (net, mut open) = (&cluster.net, Vec::new());
    for deployment in net.store.all("deployments") {
        deployment_open(net, deployment.object(), &mut open);
    }
    set_check::open(net, &mut open);
    let uids: BTreeSet<&str> = net.store.objects.values().map(|o| o.object().uid()).collect();
    for (key, stored) in &net.store.objects {
        let object = stored.object();
        let owners = object.owner_references();
        if object.deletion_timestamp().is_some() && !storage::waits(stored, net) {
            open.push(format!("{key} is still being deleted: {}", object.at(&["metadata"]).unwrap_or(&Value::Null)));
        }
        if !owners.is_empty() && owners.iter().all(|o| !uids.contains(o.uid.as_str())) {
            open.push(format!("{key} has outlived its owners"));
        }
    }
    for pod in net.store.all("pods").map(|p| p.object()).filter(|p| alive(p) && !ready(p)) {
        open.push(format!("pod {} is not ready: {}", pod.name(), pod.at(&["status"]).unwrap_or(&Value::Null)));
    }
    for pod in net.store.all("pods").map(|p| p.object()).filter(|p| !p.str_at(&["status", "nominatedNodeName"]).is_empty()) {
        open.push(format!("room is still kept for pod {} on {}", pod.name(), pod.str_at(&["status", "nominatedNodeName"])));
    }
    nodes_open(cluster, &mut open);
    mirror_open(net, &mut open);
    crate::batch::open(net, &mut open);
    crate::disruption::open(net, &mut open);
    tokens_open(net, &mut open);
    storage::open(net, &mut open);
    open
}

fn deployment_open(net: &Net, deployment: &Object, open: &mut Vec<String>) {
    let (name, wanted) = (deployment.name(), replicas(deployment));
    let count = |field| deployment.int_at(&["status", field]).unwrap_or_default();
    let counts = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"].map(count);
    if counts != [wanted; 4] || count("observedGeneration") != deployment.generation() {
        open.push(format!("deployment {name} wants {wanted}: {}", deployment.at(&["status"]).unwrap_or(&Value::Null)));
    }
    let pods = pods(net, deployment);
    let image = |o: &Object, path: &[&str]| o.at(path).and_then(|c| c.get(0)).and_then(|c| c.get("image")).cloned();
    let template = image(deployment, &["spec", "template", "spec", "containers"]);
    let right = pods.iter().filter(|p| ready(p) && image(p, &["spec", "containers"]) == template).count();
    if (right as i64, pods.iter().filter(|p| alive(p)).count() as i64) != (wanted, wanted) {
        open.push(format!("deployment {name} wants {wanted} pods: {right} of {} are right", pods.len()));
    }
}

/// Slices have what the Endpoints of the Service without a selector have, and nothing without either.
fn mirror_open(net: &Net, open: &mut Vec<String>) {
    let there = |resource| net.store.get("", resource, NAMESPACE, OUTSIDE).map(|o| o.object());
    let ips = |endpoints: &Object| -> BTreeSet<String> {
        let addresses = |subset: &Value| ["addresses", "notReadyAddresses"].map(|f| subset[f].as_array().cloned().unwrap_or_default()).concat();
        endpoints.list_at(&["subsets"]).iter().flat_map(addresses).filter_map(|a| Some(a["ip"].as_str()?.to_owned())).collect()
    };
    let wanted = there("endpoints").filter(|_| there("services").is_some()).map(ips).unwrap_or_default();
    let slices = net.store.all("endpointslices").map(|s| s.object()).filter(|s| s.label("kubernetes.io/service-name") == Some(OUTSIDE));
    let endpoints = slices.flat_map(|s| s.list_at(&["endpoints"]).to_vec());
    let got: BTreeSet<String> = endpoints.filter_map(|e| Some(e["addresses"][0].as_str()?.to_owned())).collect();
    if got != wanted {
        open.push(format!("the slices of {OUTSIDE} have {got:?} instead of {wanted:?}"));
    }
}

/// Every token Secret is filled for an account that is there.
fn tokens_open(net: &Net, open: &mut Vec<String>) {
    for secret in net.store.all("secrets").map(|s| s.object()) {
        let account = secret.annotation("kubernetes.io/service-account.name").and_then(|name| net.store.get("", "serviceaccounts", NAMESPACE, name));
        let bound = secret.annotation("kubernetes.io/service-account.uid");
        if account.is_none_or(|a| bound != Some(a.object().uid())) || secret.str_at(&["data", "ca.crt"]).is_empty() {
            open.push(format!("the Secret {} is not its account's: {bound:?}", secret.name()));
        }
    }
}

/// Every node is ready and runs what it should, and nothing else.
fn nodes_open(cluster: &Cluster, open: &mut Vec<String>) {
    for agent in &cluster.agents {
        let node = cluster.net.store.get("", "nodes", "", &agent.name).map(|n| n.object());
        if !node.is_some_and(|n| ready(n) && n.list_at(&["spec", "taints"]).is_empty()) {
            open.push(format!("node {} is not well: {:?}", agent.name, node.map(|n| (n.at(&["spec"]), n.at(&["status", "conditions"])))));
        }
        let mine = |p: &&Arc<Stored>| p.object().str_at(&["spec", "nodeName"]) == agent.name && alive(p.object());
        let wanted: BTreeSet<&str> = cluster.net.store.all("pods").filter(mine).map(|p| p.object().uid()).collect();
        if wanted != agent.running() {
            open.push(format!("node {} runs {:?} instead of {wanted:?}", agent.name, agent.running()));
        }
    }
}
