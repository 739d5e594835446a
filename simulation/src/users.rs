//! The random actions of users, and the faults.
use crate::ask::{act, delete, merge, names, object};
use crate::batch;
use crate::cluster::Cluster;
use crate::disruption;
use crate::net::{Event, NAMESPACE, NODES, Net, Proc};
use crate::sets;
use crate::storage;
use rand::Rng;
use rand::seq::IteratorRandom;
use serde_json::{Value, json};
use state_client::{Options, Propagation, Request, Verb};

/// Makes what is there from the beginning.
pub fn namespaces(net: &mut Net) {
    for name in ["kube-system", "kube-node-lease", NAMESPACE] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        act(net, Request::new(Verb::Create, "", "namespaces", "", "").body(object(namespace)));
    }
    priorities(net);
}

/// Makes the classes of priority that are not there, as a request for one may be lost.
pub fn priorities(net: &mut Net) {
    for (name, value) in PRIORITIES {
        let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value});
        act(net, Request::new(Verb::Create, "scheduling.k8s.io", "priorityclasses", "", "").body(object(class)));
    }
}

/// How important pods may be.
const PRIORITIES: [(&str, i64); 3] = [("low", -10), ("high", 1000), ("higher", 2000)];

/// A great pod that others have to go for, or the end of one.
fn burst(net: &mut Net) {
    let name = format!("burst{}", net.random.random_range(0..5));
    if net.random.random_range(0..4) == 0 {
        return act(net, delete(("", "pods"), NAMESPACE, &name, Options::default()));
    }
    let class = ["high", "higher"].into_iter().choose(&mut net.random);
    let cpu = ["1", "2", "3500m"].into_iter().choose(&mut net.random);
    let container = json!({"name": "c", "image": "v0", "resources": {"requests": {"cpu": cpu}}});
    let spec = json!({"containers": [container], "priorityClassName": class, "terminationGracePeriodSeconds": net.random.random_range(0..10)});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
    act(net, Request::new(Verb::Create, "", "pods", NAMESPACE, "").body(object(pod)));
}

/// Deletes the great pods.
pub fn end_bursts(net: &mut Net) {
    let bursts = net.store.all("pods").map(|p| p.object()).filter(|p| p.name().starts_with("burst") && p.deletion_timestamp().is_none());
    let names: Vec<String> = bursts.map(|p| p.name().to_owned()).collect();
    for name in names {
        act(net, delete(("", "pods"), NAMESPACE, &name, Options::default()));
    }
}

fn deployment(net: &mut Net, name: &str) -> Value {
    let random = &mut net.random;
    let (surge, unavailable) =
        [(json!(1), json!(0)), (json!("25%"), json!("25%")), (json!(0), json!(1)), (json!(2), json!(2))].into_iter().choose(random).unwrap_or_default();
    let seconds = random.random_range(1..40);
    let class = [None, Some("low"), Some("high")].into_iter().choose(random).flatten();
    let tolerations: Vec<Value> = ["not-ready", "unreachable"]
        .map(|t| json!({"key": format!("node.kubernetes.io/{t}"), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}))
        .into();
    let labels = json!({"app": name});
    let container = json!({"name": "c", "image": "v0", "resources": {"requests": {"cpu": "500m"}}});
    let mut spec = json!({"containers": [container], "tolerations": tolerations, "terminationGracePeriodSeconds": random.random_range(0..10)});
    if let Some(class) = class {
        spec["priorityClassName"] = class.into();
    }
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": random.random_range(1..7), "selector": {"matchLabels": labels}, "minReadySeconds": random.random_range(0..2) * 3,
            "strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    })
}

const DEPLOYMENTS: (&str, &str) = ("apps", "deployments");

fn roll(net: &mut Net, name: &str) {
    let image = format!("v{}", net.random.random_range(0..4));
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image, "resources": {"requests": {"cpu": "500m"}}}]}}}});
    act(net, merge(DEPLOYMENTS, NAMESPACE, name, &patch));
}

/// Gives every workload another template.
pub fn roll_all(net: &mut Net) {
    net.say("-- a rollout in peace --");
    for name in names(net, "deployments") {
        roll(net, &name);
    }
    sets::roll_all(net);
    (0..3).for_each(|_| batch::make(net));
}

/// Deletes every workload.
pub fn delete_all(net: &mut Net) {
    net.say("-- everything is deleted --");
    batch::delete_all(net);
    for name in names(net, "deployments") {
        let propagation = [Some(Propagation::Foreground), Some(Propagation::Background)].into_iter().choose(&mut net.random).flatten();
        act(net, delete(DEPLOYMENTS, NAMESPACE, &name, Options { propagation, ..Options::default() }));
    }
    sets::delete_all(net);
    storage::delete_all(net);
    // what was orphaned before belongs to nobody
    for name in names(net, "replicasets") {
        let orphan = net.store.get("apps", "replicasets", NAMESPACE, &name).is_some_and(|o| o.object().controller().is_none());
        if orphan {
            act(net, delete(("apps", "replicasets"), NAMESPACE, &name, Options { propagation: Some(Propagation::Background), ..Options::default() }));
        }
    }
}

/// Lets pods on all nodes again.
pub fn uncordon(net: &mut Net) {
    let cordoned = |name: &String| net.store.get("", "nodes", "", name).is_some_and(|n| n.object().at(&["spec", "unschedulable"]) == Some(&Value::Bool(true)));
    let cordoned: Vec<String> = names(net, "nodes").into_iter().filter(cordoned).collect();
    for name in cordoned {
        act(net, merge(("", "nodes"), "", &name, &json!({"spec": {"unschedulable": null}})));
    }
}

fn anybody(net: &mut Net) -> Proc {
    match net.random.random_range(0..6) {
        0 => Proc::Controllers,
        1 => Proc::Scheduler,
        _ => Proc::Agent(net.random.random_range(0..NODES)),
    }
}

/// One thing that users do or that goes wrong; and the next one later.
pub fn trouble(cluster: &mut Cluster) {
    if !cluster.net.chaos {
        return;
    }
    match cluster.net.random.random_range(0..43) {
        what @ 0..10 => user(&mut cluster.net, what),
        what @ 10..17 => fault(cluster, what),
        what @ 17..21 => beside(&mut cluster.net, what),
        21..27 => sets::user(&mut cluster.net),
        27..32 => batch::user(&mut cluster.net),
        32..36 => disruption::user(&mut cluster.net),
        36..40 => storage::user(&mut cluster.net),
        _ => burst(&mut cluster.net),
    }
    let next = cluster.net.random.random_range(200..12_000);
    cluster.net.after(next, Event::Trouble);
}

fn user(net: &mut Net, what: u32) {
    let name = names(net, "deployments").into_iter().choose(&mut net.random);
    let pod = names(net, "pods").into_iter().choose(&mut net.random);
    let node = names(net, "nodes").into_iter().choose(&mut net.random);
    match (what, name, pod, node) {
        (0..3, None, ..) | (0, ..) => {
            let name = format!("d{}", net.random.random_range(0..3));
            let made = deployment(net, &name);
            act(net, Request::new(Verb::Create, "apps", "deployments", NAMESPACE, "").body(object(made)));
        }
        (1..3, Some(name), ..) => {
            let replicas = net.random.random_range(0..7);
            act(net, merge(DEPLOYMENTS, NAMESPACE, &name, &json!({"spec": {"replicas": replicas}})));
        }
        (3..5, Some(name), ..) => roll(net, &name),
        (5, Some(name), ..) => {
            let propagation = [None, Some(Propagation::Foreground), Some(Propagation::Orphan)].into_iter().choose(&mut net.random).flatten();
            act(net, delete(DEPLOYMENTS, NAMESPACE, &name, Options { propagation, ..Options::default() }));
        }
        (6..8, _, Some(pod), _) => {
            let grace_period_seconds = [None, Some(0), Some(1)].into_iter().choose(&mut net.random).flatten();
            act(net, delete(("", "pods"), NAMESPACE, &pod, Options { grace_period_seconds, ..Options::default() }));
        }
        (8, _, _, Some(node)) => act(net, merge(("", "nodes"), "", &node, &json!({"spec": {"unschedulable": true}}))),
        (9, _, _, Some(node)) => act(net, delete(("", "nodes"), "", &node, Options::default())),
        _ => {}
    }
}

/// What goes on beside the Deployments: Endpoints that somebody writes, owners that form circles, accounts and their tokens.
fn beside(net: &mut Net, what: u32) {
    let (number, other, of) = (net.random.random_range(0..3), net.random.random_range(0..3), net.random.random_range(0..4));
    let core = |verb, resource| Request::new(verb, "", resource, NAMESPACE, "");
    let request = match (what, of) {
        (17, 0) => core(Verb::Create, "services")
            .body(object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": OUTSIDE}, "spec": {"ports": [{"port": 80}]}}))),
        (17, _) => core(Verb::Create, "endpoints")
            .body(object(json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": OUTSIDE}, "subsets": subsets(number)}))),
        (18, 0) => delete(("", ["services", "endpoints"][number % 2]), NAMESPACE, OUTSIDE, Options::default()),
        (18, _) => merge(("", "endpoints"), NAMESPACE, OUTSIDE, &json!({"subsets": subsets(number), "metadata": {"labels": {"of": other.to_string()}}})),
        (19, 0) => core(Verb::Create, "configmaps").body(object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("c{number}")}}))),
        (19, 1) => {
            let options = Options { propagation: Some(Propagation::Foreground), ..Options::default() };
            delete(("", "configmaps"), NAMESPACE, &format!("c{number}"), options)
        }
        (19, _) => match net.store.get("", "configmaps", NAMESPACE, &format!("c{other}")) {
            Some(owner) => {
                let owner =
                    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": format!("c{other}"), "uid": owner.object().uid(), "blockOwnerDeletion": true});
                merge(("", "configmaps"), NAMESPACE, &format!("c{number}"), &json!({"metadata": {"ownerReferences": [owner]}}))
            }
            None => return,
        },
        (_, 0) => delete(("", "serviceaccounts"), NAMESPACE, &format!("s{number}"), Options::default()),
        (_, 1) => core(Verb::Create, "serviceaccounts")
            .body(object(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": format!("s{number}")}}))),
        _ => {
            let metadata = json!({"name": format!("t{other}"), "annotations": {"kubernetes.io/service-account.name": format!("s{number}")}});
            core(Verb::Create, "secrets")
                .body(object(json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": metadata})))
        }
    };
    act(net, request);
}

/// A Service without a selector, and its Endpoints.
pub const OUTSIDE: &str = "outside";

fn subsets(number: usize) -> Value {
    let addresses: Vec<Value> = (0..=number).map(|n| json!({"ip": format!("10.9.{number}.{n}")})).collect();
    json!([{"addresses": addresses, "notReadyAddresses": [{"ip": "10.9.9.9"}], "ports": [{"port": 80 + number, "protocol": "TCP"}]}])
}

fn fault(cluster: &mut Cluster, what: u32) {
    let who = anybody(&mut cluster.net);
    match what {
        10 | 11 => {
            let span = cluster.net.random.random_range(500..90_000);
            cluster.net.cut_off(who, span);
        }
        12 => cluster.cut_watches(who),
        15 => {
            // the bus is gone for everybody
            let span = cluster.net.random.random_range(500..120_000);
            let all = [Proc::Controllers, Proc::Scheduler, Proc::User].into_iter().chain((0..NODES).map(Proc::Agent));
            all.for_each(|who| cluster.net.cut_off(who, span));
        }
        13 => {
            cluster.stop(who);
            let span = cluster.net.random.random_range(10..30_000);
            cluster.net.after(span, Event::Start(who));
        }
        14 => {
            let node = cluster.net.random.random_range(0..NODES);
            cluster.stop(Proc::Agent(node));
            let Cluster { agents, net, .. } = cluster;
            agents.iter_mut().skip(node).take(1).for_each(|a| a.pull(net));
            let span = net.random.random_range(1_000..90_000);
            net.after(span, Event::Start(Proc::Agent(node)));
        }
        _ => {
            let all: Vec<(usize, String)> = cluster.agents.iter().enumerate().flat_map(|(i, a)| a.containers().into_iter().map(move |c| (i, c))).collect();
            if let Some((node, id)) = all.into_iter().choose(&mut cluster.net.random) {
                cluster.net.after(0, Event::Exit(node, id, 1));
            }
        }
    }
}
