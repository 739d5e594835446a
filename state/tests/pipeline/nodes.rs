//! What a hostile node gets by its key: nothing that Kubernetes wouldn't give to a kubelet.
use crate::fixture::{ACCOUNTS, At, CONFIG_MAPS, Cluster, PODS, SECRETS, Speaker, account, config_map, node, pod};
use crate::rights::{Ask, Pod, Use, WAYS, Way, may};
use bus::{FencingToken, Role};
use model::{ApiError, Reason, Stored};
use rand::prelude::*;
use serde_json::{Value, json};
use state_client::{Batch, Body, Client, Event, Options, Reply, Request, Verb, Watch, WatchRequest};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NODES: At = ("", "nodes");
const NAMES: [&str; 3] = ["x", "y", "z"];
const PLACES: [&str; 2] = ["default", "kube-public"];

fn secret(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"k": "v"}})
}

fn selecting(selector: &str) -> Options {
    Options { field_selector: selector.to_owned(), ..Options::default() }
}

async fn list(speaker: &Speaker, at: At, namespace: &str, selector: &str) -> Result<Vec<Arc<Stored>>, ApiError> {
    let request = Request { options: selecting(selector), ..speaker.ask(Verb::List, at, namespace, "") };
    match speaker.send(request).await? {
        Reply::List(list) => Ok(list.items),
        other => panic!("not a list: {other:?}"),
    }
}

async fn open(speaker: &Speaker, at: At, namespace: &str, selector: &str) -> Result<Watch, ApiError> {
    let request = Request { options: selecting(selector), ..speaker.ask(Verb::Watch, at, namespace, "") };
    speaker.client.watch(WatchRequest::new(request, Some(true))).await
}

/// What a watch begins with.
async fn initial(mut watch: Watch) -> Result<Vec<Arc<Stored>>, ApiError> {
    let mut found = Vec::new();
    loop {
        match watch.next().await?.unwrap() {
            Event::Added(object) => found.push(object),
            Event::Bookmark { initial_events_end: true, .. } => return Ok(found),
            other => panic!("{other:?}"),
        }
    }
}

/// A random cluster; nothing of it needs to make sense.
fn random(rng: &mut StdRng) -> Vec<Pod> {
    let mut pods = Vec::new();
    for namespace in PLACES {
        for name in ["p", "q", "r", "x"] {
            let of = |rng: &mut StdRng, from: &[&str]| from.choose(rng).unwrap().to_string();
            let (node, mirror) = (of(rng, &["", "n1", "n1", "n2"]), rng.random_bool(0.2));
            // a pod isn't made with a debugging container
            let ways: Vec<Way> = WAYS.into_iter().filter(|way| *way != Way::Ephemeral).collect();
            let mut uses: Vec<Use> =
                (0..rng.random_range(0..3)).map(|_| Use { secret: rng.random(), way: *ways.choose(rng).unwrap(), name: of(rng, &NAMES) }).collect();
            // a mirror pod that names a Secret is refused to everybody, and one that isn't bound is none
            let mirror = mirror && !node.is_empty();
            uses.retain(|u| !(mirror && u.secret));
            let account = if mirror { String::new() } else { of(rng, &["x", "y"]) };
            pods.push(Pod { namespace: namespace.to_owned(), name: name.to_owned(), node, mirror, account, uses });
        }
    }
    pods
}

/// Makes it so.
async fn build(cluster: &Cluster, pods: &[Pod]) {
    let admin = cluster.admin();
    for pod in pods {
        let gone = admin.delete(PODS, &pod.namespace, &pod.name, json!({"gracePeriodSeconds": 0})).await;
        assert!(gone.is_ok() || gone.is_err_and(|e| e.is_not_found()));
        admin.create(PODS, &pod.namespace, pod.json()).await.unwrap();
    }
}

/// Everything that a node could ask for by reading; asks for it, and holds the answers against the model.
async fn probe(cluster: &Cluster, pods: &[Pod], name: &str) {
    let speaker = cluster.role(Role::Agent, name);
    let resources = [PODS, SECRETS, CONFIG_MAPS, ACCOUNTS, NODES, ("", "namespaces"), ("", "services"), ("coordination.k8s.io", "leases")];
    for at in resources {
        let namespaced = !matches!(at.1, "nodes" | "namespaces");
        let places: &[&str] = if namespaced { &["", PLACES[0], PLACES[1]] } else { &[""] };
        for (namespace, object) in places.iter().flat_map(|place| ["", "p", "q", "r", "x", "y", "z", "n1", "n2"].map(|object| (*place, object))) {
            let mut ask = Ask { node: name, verb: "get", group: at.0, resource: at.1, subresource: "", namespace, name: object, selected: "" };
            if !object.is_empty() && (!namespaced || !namespace.is_empty()) {
                let got = speaker.get(at, namespace, object).await;
                check(pods, &ask, got.map(|object| vec![object]));
            }
            let selections: &[&str] = if at == PODS { &["", "n1", "n2"] } else { &[""] };
            for selected in selections {
                let terms = [("metadata.name", object), ("spec.nodeName", *selected)];
                let selector =
                    terms.iter().filter(|(_, value)| !value.is_empty()).map(|(field, value)| format!("{field}={value}")).collect::<Vec<_>>().join(",");
                ask = Ask { verb: "list", selected, ..ask };
                check(pods, &ask, list(&speaker, at, namespace, &selector).await);
                let watched = match open(&speaker, at, namespace, &selector).await {
                    Ok(watch) => initial(watch).await,
                    Err(refusal) => Err(refusal),
                };
                check(pods, &Ask { verb: "watch", ..ask }, watched);
            }
        }
    }
}

fn check(pods: &[Pod], ask: &Ask<'_>, got: Result<Vec<Arc<Stored>>, ApiError>) {
    let allowed = may(pods, ask);
    match got {
        Err(refusal) => assert_eq!(refusal.reason == Reason::Forbidden, !allowed, "{ask:?} got {refusal} in {pods:?}"),
        Ok(found) => {
            assert!(allowed, "{ask:?} got {found:?} in {pods:?}");
            // nothing comes with it that couldn't be had by itself
            for object in found {
                let alone = Ask { verb: "get", namespace: &object.key.namespace, name: &object.key.name, selected: "", ..*ask };
                assert!(may(pods, &alone) || ask.resource == "services", "{ask:?} got {object:?} in {pods:?}");
            }
        }
    }
}

/// `MODEL_SECONDS` says for how long, `MODEL_SEED` with what it begins.
#[tokio::test(flavor = "multi_thread")]
async fn what_nodes_read_in_random_clusters() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let end = number("MODEL_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let first = number("MODEL_SEED").unwrap_or(1);
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    for namespace in PLACES {
        for name in NAMES {
            admin.create(SECRETS, namespace, secret(name)).await.unwrap();
            admin.create(CONFIG_MAPS, namespace, config_map(name)).await.unwrap();
            admin.create(ACCOUNTS, namespace, account(name)).await.unwrap();
        }
    }
    for name in ["n1", "n2"] {
        admin.create(NODES, "", node(name)).await.unwrap();
    }
    for round in 0.. {
        let seed = first + round;
        eprintln!("MODEL_SEED={seed}");
        let pods = random(&mut StdRng::seed_from_u64(seed));
        build(&cluster, &pods).await;
        for name in ["n1", "n2", "n3"] {
            probe(&cluster, &pods, name).await;
        }
        let over = end.map_or(round >= 1, |end| Instant::now() >= end);
        if over {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_allowed_as_the_watch_that_it_is() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    for name in ["mine", "other"] {
        admin.create(SECRETS, "default", secret(name)).await.unwrap();
    }
    let mut uses = pod("p");
    uses["spec"]["nodeName"] = json!("n1");
    uses["spec"]["imagePullSecrets"] = json!([{"name": "mine"}]);
    admin.create(PODS, "default", uses).await.unwrap();
    let n1 = cluster.role(Role::Agent, "n1");
    let asked = [
        (Verb::Get, SECRETS, "default", "mine"),
        (Verb::Get, NODES, "", "n1"),
        (Verb::Create, PODS, "default", ""),
        (Verb::Create, ("", "events"), "default", ""),
    ];
    for (verb, at, namespace, name) in asked {
        let request = n1.ask(verb, at, namespace, name);
        let opened = n1.client.watch(WatchRequest::new(request, Some(true))).await;
        assert_eq!(opened.err().map(|e| e.code()), Some(400), "{verb:?} {at:?}");
    }
    assert!(n1.get(SECRETS, "default", "mine").await.is_ok());
}

/// A pod's name may stand for another pod by the time that it is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_gives_no_other_nodes_pod() {
    let cluster = Cluster::start().await;
    let (admin, n1) = (cluster.admin(), cluster.role(Role::Agent, "n1"));
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    let on = |node: &'static str| {
        let admin = admin.clone();
        async move {
            let mut pod = pod("p");
            pod["spec"]["nodeName"] = json!(node);
            admin.create(PODS, "default", pod).await.unwrap();
        }
    };
    let gone = || admin.delete(PODS, "default", "p", json!({"gracePeriodSeconds": 0}));
    on("n1").await;
    // a watch that was opened while it was the node's own
    let mut watch = open(&n1, PODS, "default", "metadata.name=p").await.unwrap();
    let mutating = async {
        for _ in 0..40 {
            gone().await.unwrap();
            on("n2").await;
            gone().await.unwrap();
            on("n1").await;
        }
    };
    let reading = async {
        loop {
            let found = [n1.get(PODS, "default", "p").await.map(|pod| vec![pod]), list(&n1, PODS, "default", "metadata.name=p").await];
            for pod in found.into_iter().filter_map(Result::ok).flatten() {
                assert_eq!(pod.object().str_at(&["spec", "nodeName"]), "n1");
            }
        }
    };
    tokio::select! {
        () = mutating => {}
        () = reading => {}
    }
    let last = admin.get(PODS, "default", "p").await.unwrap().revision;
    loop {
        match watch.next().await.unwrap().unwrap() {
            Event::Added(pod) | Event::Modified(pod) | Event::Deleted(pod) => {
                assert_eq!(pod.object().str_at(&["spec", "nodeName"]), "n1");
                if pod.revision >= last {
                    break;
                }
            }
            Event::Bookmark { .. } => {}
            Event::Error(error) => panic!("{error}"),
        }
    }
}

/// What a node may see of a Secret ends with the pod that named it.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_a_secret_ends_with_its_pods() {
    let cluster = Cluster::start().await;
    let (admin, n1) = (cluster.admin(), cluster.role(Role::Agent, "n1"));
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    admin.create(SECRETS, "default", secret("s")).await.unwrap();
    let mut uses = pod("p");
    uses["spec"]["nodeName"] = json!("n1");
    uses["spec"]["imagePullSecrets"] = json!([{"name": "s"}]);
    admin.create(PODS, "default", uses).await.unwrap();
    let mut watch = open(&n1, SECRETS, "default", "metadata.name=s").await.unwrap();
    assert!(matches!(watch.next().await.unwrap().unwrap(), Event::Added(_)));
    let change = |value: &str| admin.patch(SECRETS, "", "default", "s", json!({"stringData": {"k": value}}));
    change("a").await.unwrap();
    loop {
        match watch.next().await.unwrap().unwrap() {
            Event::Modified(_) => break,
            Event::Bookmark { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    admin.delete(PODS, "default", "p", json!({"gracePeriodSeconds": 0})).await.unwrap();
    change("b").await.unwrap();
    let end = watch.next().await.unwrap().unwrap();
    assert!(matches!(&end, Event::Error(error) if error.reason == Reason::Forbidden), "{end:?}");
}

/// The pod is in the log before it is in the cache of the process that is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_counts_as_soon_as_it_is_written() {
    let cluster = Cluster::start().await;
    let (other, _services) = cluster.another().await;
    let n1 = Client::new(other.speaking_as(bus::Caller::new(Role::Agent, "n1")));
    let admin = cluster.admin();
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    for n in 0..20 {
        let name = format!("s{n}");
        admin.create(SECRETS, "default", secret(&name)).await.unwrap();
        let mut uses = pod(&format!("p{n}"));
        uses["spec"]["nodeName"] = json!("n1");
        uses["spec"]["imagePullSecrets"] = json!([{"name": name}]);
        admin.create(PODS, "default", uses).await.unwrap();
        n1.get("", "secrets", "default", &name).await.unwrap();
        n1.get("", "pods", "default", &format!("p{n}")).await.unwrap();
    }
    let unknown = n1.get("", "pods", "default", "none").await.unwrap_err();
    assert!(unknown.message.ends_with("no relationship found between node 'n1' and this object"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_writes_itself_and_its_pods_only() {
    let cluster = Cluster::start().await;
    let (admin, n1) = (cluster.admin(), cluster.role(Role::Agent, "n1"));
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    let made = n1.create(NODES, "", node("n1")).await.unwrap();
    admin.create(NODES, "", node("n2")).await.unwrap();
    for (name, node) in [("mine", "n1"), ("other", "n2")] {
        let mut pod = pod(name);
        pod["spec"]["nodeName"] = json!(node);
        admin.create(PODS, "default", pod).await.unwrap();
    }
    let code = |result: Result<Arc<Stored>, ApiError>| result.map_or_else(|e| e.code(), |_| 200);
    let labels = |label: &str| json!({"metadata": {"labels": {label: "x"}}});
    assert_eq!(code(n1.patch(NODES, "", "", "n1", labels("node-role.kubernetes.io/control-plane")).await), 403);
    assert_eq!(code(n1.patch(NODES, "status", "", "n1", labels("node-role.kubernetes.io/control-plane")).await), 403);
    assert_eq!(code(n1.patch(NODES, "", "", "n1", labels("topology.kubernetes.io/zone")).await), 200);
    let owner = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": "u"}]}});
    assert_eq!(code(n1.patch(NODES, "", "", "n1", owner).await), 403);
    assert_eq!(code(n1.patch(NODES, "status", "", "n2", json!({"status": {"conditions": []}})).await), 403);
    assert_eq!(code(n1.patch(PODS, "status", "default", "mine", labels("app")).await), 403);
    assert_eq!(code(n1.patch(PODS, "status", "default", "none", json!({"status": {"phase": "Failed"}})).await), 404);
    let evicted = n1.post(PODS, "default", "other", "eviction", json!({"metadata": {"name": "other"}})).await.unwrap_err();
    assert_eq!(evicted.message, "pods \"other\" is forbidden: node n1 can only evict pods with spec.nodeName set to itself");
    assert_eq!(n1.delete(PODS, "default", "other", json!({})).await.unwrap_err().code(), 403);
    assert_eq!(n1.send(n1.ask(Verb::DeleteCollection, PODS, "default", "")).await.unwrap_err().code(), 403);
    let named = Request { options: selecting("metadata.name=mine,spec.nodeName=n1"), ..n1.ask(Verb::DeleteCollection, PODS, "default", "") };
    assert_eq!(n1.send(named).await.unwrap_err().code(), 403);
    for sub in ["log", "exec", "attach", "portforward"] {
        assert_eq!(n1.send(n1.ask(Verb::Connect, PODS, "default", "mine").subresource(sub)).await.unwrap_err().code(), 403, "{sub}");
    }
    // the same in a batch
    let status = Body::Patch(state_client::PatchKind::Merge, json!({"status": {"phase": "Failed"}}).to_string().into_bytes().into());
    let batch = vec![n1.ask(Verb::Patch, PODS, "default", "other").subresource("status").body(status), n1.ask(Verb::List, PODS, "", "")];
    for reply in n1.client.bus().call(&bus::To::Any, Batch(batch), Duration::from_secs(5)).await.unwrap() {
        assert_eq!(reply.unwrap_err().code(), 403);
    }

    let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": made.object().uid(), "controller": true}]);
    let mut mirror = pod("mirror");
    mirror["metadata"] = json!({"name": "mirror", "annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": owner});
    mirror["spec"]["nodeName"] = json!("n1");
    let mut greedy = mirror.clone();
    greedy["spec"]["imagePullSecrets"] = json!([{"name": "s"}]);
    assert_eq!(code(n1.create(PODS, "default", greedy).await), 403);
    assert_eq!(code(n1.create(PODS, "default", mirror).await), 200);
    n1.delete(PODS, "default", "mirror", json!({"gracePeriodSeconds": 0})).await.unwrap();
    n1.delete(PODS, "default", "mine", json!({"gracePeriodSeconds": 0})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_asks_for_no_lease_of_components() {
    let cluster = Cluster::start().await;
    let speaker = cluster.role(Role::Agent, "n1");
    let fence = FencingToken { lease: "scheduler".to_owned(), token: 1, run: "r".to_owned() };
    let fenced = speaker.client.clone().fenced(fence);
    let node = Request::new(Verb::Create, "", "nodes", "", "").body(Body::Json(node("n1").to_string().into_bytes().into()));
    let read = Request::new(Verb::Get, "", "nodes", "", "n1");
    for reply in [fenced.call(node.clone()).await, fenced.call(read.clone()).await].into_iter().chain(fenced.batch(vec![node.clone(), read]).await) {
        assert_eq!(reply.unwrap_err().reason, Reason::Forbidden);
    }
    speaker.client.call(node).await.unwrap();
    let names: BTreeSet<String> = list(&cluster.admin(), NODES, "", "").await.unwrap().iter().map(|n| n.key.name.to_string()).collect();
    assert_eq!(names, BTreeSet::from(["n1".to_owned()]));
}
