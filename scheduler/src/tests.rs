//! What becomes of pods, by plug-in. Messages are Kubernetes' own.
use crate::testing::{NodeFixture, PodFixture, decisions, node, outcome, place, pod, snapshot, spread_of};
use serde_json::json;
use std::collections::BTreeMap;

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";

/// One pod on one node `n1` beside pods that run there: `n1`, or why not.
fn check(name: &str, rows: Vec<(NodeFixture, Vec<PodFixture>, PodFixture, &str)>) {
    for (at, (node, bound, pod, expected)) in rows.into_iter().enumerate() {
        let bound: Vec<PodFixture> = bound.into_iter().map(|p| p.on("n1")).collect();
        let expected = if expected == "n1" { expected.to_owned() } else { format!("0/1 nodes are available: {expected}.") };
        assert_eq!(place(&[node], &bound, &pod), expected, "{name}, row {at}");
    }
}

#[test]
fn resources() {
    let n1 = || node("n1");
    let init = |amount: &str, policy: &str| json!([{"name": "i", "restartPolicy": policy, "resources": {"requests": {"cpu": amount}}}]);
    check(
        "resources",
        vec![
            (n1(), vec![], pod("a").cpu("4").memory("8Gi"), "n1"),
            (n1(), vec![], pod("a").cpu("4001m"), "1 Insufficient cpu"),
            (n1(), vec![pod("b").cpu("3500m")], pod("a").cpu("500m"), "n1"),
            (n1(), vec![pod("b").cpu("3501m")], pod("a").cpu("500m"), "1 Insufficient cpu"),
            (n1(), vec![pod("b").cpu("4").memory("8Gi")], pod("a"), "n1"),
            (n1(), vec![pod("b").cpu("4").memory("8Gi")], pod("a").cpu("1").memory("1"), "1 Insufficient cpu, 1 Insufficient memory"),
            (n1().has("pods", "1"), vec![pod("b")], pod("a"), "1 Too many pods"),
            (n1(), vec![pod("b").cpu("4").set(&["status", "phase"], json!("Succeeded"))], pod("a").cpu("4"), "n1"),
            (n1(), vec![], pod("a").asks("ephemeral-storage", "1Gi"), "1 Insufficient ephemeral-storage"),
            (n1().has("example.com/gpu", "2"), vec![pod("b").asks("example.com/gpu", "1")], pod("a").asks("example.com/gpu", "1"), "n1"),
            (
                n1().has("example.com/gpu", "2"),
                vec![pod("b").asks("example.com/gpu", "2")],
                pod("a").asks("example.com/gpu", "1"),
                "1 Insufficient example.com/gpu",
            ),
            // an init container runs alone, a sidecar beside the others
            (n1(), vec![], pod("a").cpu("3").set(&["spec", "initContainers"], init("4", "")), "n1"),
            (n1(), vec![], pod("a").cpu("3").set(&["spec", "initContainers"], init("4100m", "")), "1 Insufficient cpu"),
            (n1(), vec![], pod("a").cpu("3").set(&["spec", "initContainers"], init("1100m", "Always")), "1 Insufficient cpu"),
            (n1(), vec![], pod("a").cpu("3").set(&["spec", "overhead"], json!({"cpu": "1100m"})), "1 Insufficient cpu"),
            (n1(), vec![], pod("a").cpu("9").set(&["spec", "resources"], json!({"requests": {"cpu": "4"}})), "n1"),
        ],
    );
}

#[test]
fn taints_and_cordons() {
    let tainted = |t: &str| node("n1").taint(t);
    let refusal = "1 node(s) had untolerated taint {gpu: yes}";
    check(
        "taints",
        vec![
            (tainted("gpu=yes:NoSchedule"), vec![], pod("a"), refusal),
            (tainted("gpu=yes:NoExecute"), vec![], pod("a"), refusal),
            (tainted("gpu=yes:PreferNoSchedule"), vec![], pod("a"), "n1"),
            (tainted("gpu=yes:NoSchedule"), vec![], pod("a").tolerates(json!({"key": "gpu", "operator": "Exists"})), "n1"),
            (tainted("gpu=yes:NoSchedule"), vec![], pod("a").tolerates(json!({"key": "gpu", "value": "yes", "effect": "NoSchedule"})), "n1"),
            (tainted("gpu=yes:NoSchedule"), vec![], pod("a").tolerates(json!({"key": "gpu", "value": "no"})), refusal),
            (tainted("gpu=yes:NoExecute"), vec![], pod("a").tolerates(json!({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"})), refusal),
            (tainted("gpu=yes:NoSchedule"), vec![], pod("a").tolerates(json!({"operator": "Exists"})), "n1"),
            (node("n1").cordoned(), vec![], pod("a"), "1 node(s) were unschedulable"),
            (node("n1").cordoned(), vec![], pod("a").tolerates(json!({"key": "node.kubernetes.io/unschedulable", "operator": "Exists"})), "n1"),
        ],
    );
}

#[test]
fn node_selector_and_affinity() {
    let n1 = || node("n1").label("disk", "ssd").label("cores", "8");
    let refusal = "1 node(s) didn't match Pod's node affinity/selector";
    let named = |name: &str| {
        let field = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}]);
        pod("a").set(&["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"], field)
    };
    check(
        "node affinity",
        vec![
            (n1(), vec![], pod("a").selector("disk", "ssd"), "n1"),
            (n1(), vec![], pod("a").selector("disk", "hdd"), refusal),
            (n1(), vec![], pod("a").node_affinity(json!({"key": "cores", "operator": "Gt", "values": ["4"]})), "n1"),
            (n1(), vec![], pod("a").node_affinity(json!({"key": "cores", "operator": "Lt", "values": ["4"]})), refusal),
            // terms are alternatives, and add to the node selector
            (n1(), vec![], pod("a").node_affinity(json!({"key": "x", "operator": "Exists"})).node_affinity(json!({"key": "disk", "operator": "Exists"})), "n1"),
            (n1(), vec![], pod("a").selector("disk", "hdd").node_affinity(json!({"key": "cores", "operator": "Exists"})), refusal),
            (n1(), vec![], named("n1"), "n1"),
            (n1(), vec![], named("n2"), "1 node(s) didn't satisfy plugin(s) [NodeAffinity]"),
        ],
    );
}

#[test]
fn host_ports() {
    let refusal = "1 node(s) didn't have free ports for the requested pod ports";
    let udp = |port: i32| pod("a").set(&["spec", "containers"], json!([{"name": "c", "ports": [{"hostPort": port, "protocol": "UDP"}]}]));
    let at = |name: &str, ip: &str| pod(name).set(&["spec", "containers"], json!([{"name": "c", "ports": [{"hostPort": 80, "hostIP": ip}]}]));
    check(
        "ports",
        vec![
            (node("n1"), vec![pod("b").host_port(80)], pod("a").host_port(81), "n1"),
            (node("n1"), vec![pod("b").host_port(80)], pod("a").host_port(80), refusal),
            (node("n1"), vec![pod("b").host_port(80)], udp(80), "n1"),
            (node("n1"), vec![at("b", "10.0.0.1")], at("a", "10.0.0.2"), "n1"),
            (node("n1"), vec![at("b", "10.0.0.1")], pod("a").host_port(80), refusal),
        ],
    );
}

#[test]
fn pod_affinity_and_anti_affinity() {
    let n1 = || node("n1").zone("a");
    let near = |key: &str| pod("a").requires("podAffinity", "db", key);
    let away = |key: &str| pod("a").requires("podAntiAffinity", "db", key);
    let (no_affinity, no_anti) = ("1 node(s) didn't match pod affinity rules", "1 node(s) didn't match pod anti-affinity rules");
    check(
        "pod affinity",
        vec![
            (n1(), vec![], near(ZONE), no_affinity),
            (n1(), vec![pod("b").app("db")], near(ZONE), "n1"),
            (n1(), vec![pod("b").app("db")], near("rack"), no_affinity),
            (n1(), vec![pod("b").app("db").namespace("other")], near(ZONE), no_affinity),
            // the first of a group that wants to be together
            (n1(), vec![], near(ZONE).app("db"), "n1"),
            (n1(), vec![], near("rack").app("db"), no_affinity),
            (n1(), vec![], away(ZONE), "n1"),
            (n1(), vec![pod("b").app("db")], away(ZONE), no_anti),
            (n1(), vec![pod("b").app("db")], away("rack"), "n1"),
            // anti-affinity holds in the other direction too
            (n1(), vec![pod("b").requires("podAntiAffinity", "web", ZONE)], pod("a").app("web"), "1 node(s) didn't satisfy existing pods anti-affinity rules"),
            (n1(), vec![pod("b").requires("podAntiAffinity", "web", ZONE)], pod("a").app("db"), "n1"),
        ],
    );
}

#[test]
fn affinity_reaches_into_namespaces_that_are_named_or_selected() {
    let term = |scope: serde_json::Value| {
        let mut term = json!({"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "db"}}});
        for (key, value) in scope.as_object().expect("a map") {
            term[key] = value.clone();
        }
        pod("a").set(&["spec", "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"], json!([term]))
    };
    let rows = [
        (json!({}), true),
        (json!({"namespaces": ["prod"]}), false),
        (json!({"namespaceSelector": {"matchLabels": {"team": "x"}}}), false),
        (json!({"namespaceSelector": {"matchLabels": {"team": "y"}}}), true),
        (json!({"namespaceSelector": {}}), false),
    ];
    for (scope, placed) in rows {
        let mut snapshot = snapshot(&[node("n1")], &[pod("b").app("db").namespace("prod").on("n1")]);
        snapshot.apply_namespace("prod", BTreeMap::from([("team".to_owned(), "x".to_owned())]));
        let decided = decisions(&mut snapshot, &[term(scope.clone())]);
        assert_eq!(decided.first().map(outcome).as_deref() == Some("n1"), placed, "{scope}");
    }
}

/// Nodes `a1 a2 b1 b2 …`: two a zone.
fn zones(names: &str) -> Vec<NodeFixture> {
    names.chars().flat_map(|z| (1..=2).map(move |i| node(&format!("{z}{i}")).zone(&z.to_string()).has("pods", "110").has("cpu", "64"))).collect()
}

fn many(n: usize, pod_of: impl Fn(&str) -> PodFixture) -> Vec<PodFixture> {
    (0..n).map(|i| pod_of(&format!("p{i}"))).collect()
}

fn by_zone(counts: &BTreeMap<String, usize>) -> BTreeMap<char, usize> {
    counts.iter().fold(BTreeMap::new(), |mut all, (node, n)| {
        *all.entry(node.chars().next().unwrap_or('?')).or_default() += n;
        all
    })
}

#[test]
fn a_required_spread_keeps_zones_even() {
    let mut cluster = snapshot(&zones("abc"), &many(3, |name| pod(&format!("old-{name}")).app("web").on("a1")));
    let decided = decisions(&mut cluster, &many(9, |name| pod(name).app("web").spread("web", ZONE, 1, "DoNotSchedule")));
    assert_eq!(by_zone(&spread_of(&decided)), BTreeMap::from([('a', 1), ('b', 4), ('c', 4)]));
}

#[test]
fn a_required_spread_says_which_nodes_refuse_and_which_lack_the_label() {
    let nodes = [node("a1").zone("a"), node("b1").zone("b").taint("x=y:NoSchedule"), node("c1")];
    let bound = [pod("old").app("web").on("a1")];
    let constrained = pod("p").app("web").spread("web", ZONE, 1, "DoNotSchedule");
    let text = "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints, \
                1 node(s) didn't match pod topology spread constraints (missing required label), 1 node(s) had untolerated taint {x: y}.";
    assert_eq!(place(&nodes, &bound, &constrained), text);
    let path = ["spec", "topologySpreadConstraints"];
    let with = |field: &str, value: serde_json::Value| {
        let mut constraint = constrained.0.list_at(&path).first().cloned().unwrap_or_default();
        constraint[field] = value;
        constrained.clone().set(&path, json!([constraint]))
    };
    assert_eq!(place(&nodes, &bound, &with("nodeTaintsPolicy", json!("Honor"))), "a1", "the tainted zone no longer counts");
    assert_eq!(place(&nodes, &bound, &with("nodeTaintsPolicy", json!("Honor")).app("db")), "a1");
    let two = [node("a1").zone("a")];
    assert_eq!(place(&two, &bound, &constrained), "a1");
    assert_ne!(place(&two, &bound, &with("minDomains", json!(2))), "a1", "one domain of two: the least count is 0");
}

#[test]
fn a_spread_counts_revisions_apart_with_match_label_keys_and_leaves_out_what_terminates() {
    let nodes = [node("a1").zone("a"), node("b1").zone("b").cordoned()];
    let constrained = pod("p").app("web").label("rev", "2").spread("web", ZONE, 1, "DoNotSchedule");
    let old = pod("old").app("web").label("rev", "1").on("a1");
    assert_ne!(place(&nodes, std::slice::from_ref(&old), &constrained), "a1");
    assert_eq!(place(&nodes, &[old.terminating()], &constrained), "a1");
    let mut constraint = constrained.0.list_at(&["spec", "topologySpreadConstraints"]).to_vec();
    constraint[0]["matchLabelKeys"] = json!(["rev"]);
    let keyed = constrained.set(&["spec", "topologySpreadConstraints"], json!(constraint));
    assert_eq!(place(&nodes, &[pod("old").app("web").label("rev", "1").on("a1")], &keyed), "a1");
}

#[test]
fn pods_of_a_workload_are_spread_by_default() {
    let mut cluster = snapshot(&zones("abc"), &[]);
    let decided = decisions(&mut cluster, &many(12, |name| pod(name).app("web").owner("rs-1").cpu("10m")));
    assert_eq!(spread_of(&decided).into_values().collect::<Vec<_>>(), vec![2; 6]);
}

#[test]
fn preferences_choose_among_the_possible() {
    let pair = [node("n1").zone("a"), node("n2").zone("b")];
    let full = pod("full").cpu("3").memory("6Gi").on("n1");
    let rows = [
        ("least allocated", pair.to_vec(), vec![full.clone()], pod("p").cpu("100m"), "n2"),
        ("balance", pair.to_vec(), vec![pod("x").cpu("2").on("n1"), pod("y").cpu("1").memory("2Gi").on("n2")], pod("p").cpu("1").memory("2Gi"), "n2"),
        ("node affinity", pair.to_vec(), vec![full.clone()], pod("p").cpu("100m").prefers_nodes(10, ZONE, "a"), "n1"),
        ("taint", vec![node("n1"), node("n2").taint("x=y:PreferNoSchedule")], vec![full.clone()], pod("p").cpu("100m"), "n1"),
        ("image", vec![node("n1").image("app:latest", 900), node("n2")], vec![], pod("p").cpu("100m"), "n1"),
        ("pod affinity", pair.to_vec(), vec![full.clone().app("db")], pod("p").prefers("podAffinity", 10, "db", ZONE), "n1"),
        (
            "pod anti-affinity",
            pair.to_vec(),
            vec![pod("b").app("db").on("n2"), pod("c").cpu("1").on("n1")],
            pod("p").prefers("podAntiAffinity", 10, "db", ZONE),
            "n1",
        ),
        ("others' affinity", pair.to_vec(), vec![full.clone().requires("podAffinity", "web", ZONE)], pod("p").app("web"), "n1"),
        (
            "spread",
            pair.to_vec(),
            vec![pod("b").app("web").on("n2"), pod("c").cpu("1").on("n1")],
            pod("p").app("web").spread("web", ZONE, 1, "ScheduleAnyway"),
            "n1",
        ),
        (
            "spread without the key",
            vec![node("n1").zone("a"), node("n2")],
            vec![full.app("web")],
            pod("p").app("web").spread("web", ZONE, 1, "ScheduleAnyway"),
            "n1",
        ),
    ];
    for (name, nodes, bound, pod, expected) in rows {
        assert_eq!(place(&nodes, &bound, &pod), expected, "{name}");
    }
}

#[test]
fn like_pods_of_one_batch_are_dealt_out_evenly() {
    let mut cluster = snapshot(&zones("abc"), &[]);
    let decided = decisions(&mut cluster, &many(60, |name| pod(name).cpu("10m")));
    assert_eq!(spread_of(&decided).into_values().collect::<Vec<_>>(), vec![10; 6]);
}

#[test]
fn the_more_important_pod_gets_the_last_place() {
    let mut cluster = snapshot(&[node("n1")], &[]);
    let decided = decisions(&mut cluster, &[pod("low").cpu("3"), pod("high").cpu("3").priority(9)]);
    let said: Vec<(String, String)> = decided.iter().map(|d| (d.pod.name.to_string(), outcome(d))).collect();
    let refused = "0/1 nodes are available: 1 Insufficient cpu.".to_owned();
    assert_eq!(said, [("high".to_owned(), "n1".to_owned()), ("low".to_owned(), refused)]);
}

#[test]
fn a_batch_sees_its_own_placements_across_classes() {
    let mut cluster = snapshot(&[node("n1").zone("a"), node("n2").zone("b")], &[]);
    let pods = [pod("db").app("db").selector(ZONE, "b"), pod("near").requires("podAffinity", "db", ZONE), pod("away").requires("podAntiAffinity", "db", ZONE)];
    assert_eq!(decisions(&mut cluster, &pods).iter().map(outcome).collect::<Vec<_>>(), ["n2", "n2", "n1"]);
}

#[test]
fn a_forgotten_placement_is_free_again_and_a_confirmed_one_is_not() {
    let mut cluster = snapshot(&[node("n1")], &[]);
    let first = pod("a").cpu("4");
    decisions(&mut cluster, std::slice::from_ref(&first));
    assert_eq!(outcome(&decisions(&mut cluster, &[pod("b").cpu("4")])[0]), "0/1 nodes are available: 1 Insufficient cpu.");
    cluster.apply_pod(&first.info());
    assert_eq!(cluster.node_of("a").map(|n| &**n), Some("n1"), "an update from before the binding changes nothing");
    cluster.forget("a");
    assert_eq!(outcome(&decisions(&mut cluster, std::slice::from_ref(&first))[0]), "n1");
    cluster.apply_pod(&first.on("n1").info());
    cluster.forget("a");
    assert_eq!(cluster.node_of("a").map(|n| &**n), Some("n1"));
}

#[test]
fn without_nodes() {
    assert_eq!(place(&[], &[], &pod("a")), "no nodes available to schedule pods");
    let mut cluster = snapshot(&[node("n1")], &[pod("old").cpu("4").on("n1")]);
    cluster.remove_node("n1");
    assert_eq!(outcome(&decisions(&mut cluster, &[pod("a")])[0]), "no nodes available to schedule pods");
    cluster.apply_node("n1", node("n1").info());
    assert_eq!(outcome(&decisions(&mut cluster, &[pod("b").cpu("1")])[0]), "0/1 nodes are available: 1 Insufficient cpu.");
}
