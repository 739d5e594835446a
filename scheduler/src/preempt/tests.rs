//! Who goes for whom, and from where. Messages are Kubernetes' own.
use crate::outcome::{Decision, Outcome, Preemption};
use crate::snapshot::Snapshot;
use crate::testing::{NodeFixture, PodFixture, budget, decisions, node, pod, snapshot, told};
use serde_json::json;

const HOST: &str = "kubernetes.io/hostname";

/// `n1 < b c`: room is made on n1 by the going of b and c. Otherwise where the pod goes, or why it doesn't.
fn said(decision: &Decision) -> String {
    match &decision.outcome {
        Outcome::Unschedulable(refusal) => match &refusal.preemption {
            Preemption::Planned { node, victims, .. } => {
                let names: Vec<&str> = victims.iter().map(|v| &*v.name).collect();
                format!("{node} < {}", names.join(" ")).trim_end().to_owned()
            }
            _ => refusal.message(),
        },
        Outcome::Bind(node) => node.to_string(),
    }
}

fn one(cluster: &mut Snapshot, pod: &PodFixture) -> String {
    said(decisions(cluster, std::slice::from_ref(pod)).first().expect("a decision"))
}

fn low(name: &str, cpu: &str, on: &str) -> PodFixture {
    pod(name).cpu(cpu).on(on)
}

fn high(cpu: &str) -> PodFixture {
    pod("high").cpu(cpu).priority(100)
}

/// What a row is about, nodes, pods on them, the pod that wants room, and what comes of it.
type Row<'a> = (&'a str, Vec<NodeFixture>, Vec<PodFixture>, PodFixture, &'a str);

fn check(rows: Vec<Row<'_>>) {
    for (name, nodes, bound, pod, expected) in rows {
        assert_eq!(one(&mut snapshot(&nodes, &bound), &pod), expected, "{name}");
    }
}

#[test]
fn the_fewest_and_least_important_go() {
    let two = || vec![node("n1"), node("n2")];
    check(vec![
        ("no more than needed", vec![node("n1")], vec![low("b", "1", "n1"), low("c", "1", "n1"), low("d", "2", "n1").priority(1)], high("1"), "n1 < c"),
        ("the more important is kept", vec![node("n1")], vec![low("b", "2", "n1").priority(5), low("c", "2", "n1").priority(7)], high("2"), "n1 < b"),
        ("who has run for longer is kept", vec![node("n1")], vec![low("b", "2", "n1").started(9), low("c", "2", "n1").started(3)], high("2"), "n1 < b"),
        (
            "equally important pods are left alone",
            vec![node("n1")],
            vec![low("b", "4", "n1").priority(100)],
            high("1"),
            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
        ),
        ("least important victim", two(), vec![low("b", "4", "n1").priority(9), low("c", "4", "n2").priority(8)], high("4"), "n2 < c"),
        (
            "smallest sum",
            two(),
            vec![low("b", "2", "n1").priority(9), low("c", "2", "n1").priority(8), low("d", "2", "n2").priority(9), low("e", "2", "n2").priority(7)],
            high("4"),
            "n2 < d e",
        ),
        ("fewest victims", two(), vec![low("b", "2", "n1"), low("c", "2", "n1"), low("d", "4", "n2")], high("4"), "n2 < d"),
        ("latest start", two(), vec![low("b", "4", "n1").started(5), low("c", "4", "n2").started(8)], high("4"), "n2 < c"),
        ("ports", vec![node("n1")], vec![low("b", "1", "n1").host_port(80), low("c", "1", "n1").host_port(81)], high("1").host_port(80), "n1 < b"),
        (
            "anti-affinity",
            vec![node("n1")],
            vec![low("b", "1", "n1").app("db"), low("c", "1", "n1")],
            high("1").requires("podAntiAffinity", "db", HOST),
            "n1 < b",
        ),
    ]);
}

#[test]
fn where_others_going_does_not_help() {
    let full = |on: &str| low(&format!("on-{on}"), "4", on);
    let nodes = vec![node("n1").cordoned(), node("n2"), node("n3")];
    let bound = vec![full("n1"), full("n2").priority(100), full("n3")];
    check(vec![
        (
            "too small",
            vec![node("n1")],
            vec![full("n1")],
            high("5"),
            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        ),
        (
            "each reason counts",
            nodes.clone(),
            bound.clone(),
            high("4").host_port(1).selector("disk", "ssd"),
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector. \
             preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
        ),
        ("the node that can be cleared", nodes, bound, high("4"), "n3 < on-n3"),
        (
            "more important pods take the rest",
            vec![node("n1")],
            vec![low("b", "2", "n1"), low("c", "2", "n1").priority(100)],
            high("3"),
            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Insufficient cpu.",
        ),
        (
            "never",
            vec![node("n1")],
            vec![full("n1")],
            high("1").never_preempts(),
            "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.",
        ),
    ]);
}

#[test]
fn what_is_done_is_told() {
    let mut cluster = snapshot(&[node("n1")], &[low("b", "4", "n1")]);
    let decision = decisions(&mut cluster, &[high("4")]).remove(0);
    let message = "0/1 nodes are available: 1 Insufficient cpu. preemption: found a potential placement for pod on node n1, preempting 1 victims";
    assert_eq!(told(&decision), message);
    assert_eq!(cluster.nominations.node_of("high").map(|n| &**n), Some("n1"));
}

#[test]
fn budgets_are_kept_where_that_is_possible() {
    let two = || vec![node("n1"), node("n2")];
    let guarded = |name: &str, on: &str| low(name, "4", on).app("db");
    let mut cluster = snapshot(&two(), &[guarded("b", "n1"), low("c", "4", "n2").priority(50)]);
    cluster.budgets.apply(&budget("db", "db", 0)).expect("a budget");
    assert_eq!(one(&mut cluster, &high("4")), "n2 < c", "rather a more important pod than a budget");
    let mut cluster = snapshot(&[node("n1")], &[low("b", "2", "n1").app("db"), low("c", "2", "n1").priority(50)]);
    cluster.budgets.apply(&budget("db", "db", 0)).expect("a budget");
    assert_eq!(one(&mut cluster, &high("2")), "n1 < c");
    let mut cluster = snapshot(&[node("n1")], &[guarded("b", "n1")]);
    cluster.budgets.apply(&budget("db", "db", 0)).expect("a budget");
    assert_eq!(one(&mut cluster, &high("4")), "n1 < b", "where nothing else helps");
    // one may go: the second is taken elsewhere
    let mut cluster = snapshot(&[node("n1"), node("n2"), node("n3")], &[guarded("b", "n1"), guarded("c", "n2"), low("d", "4", "n3").priority(50)]);
    cluster.budgets.apply(&budget("db", "db", 1)).expect("a budget");
    let second = pod("second").cpu("4").priority(100);
    let both: Vec<String> = decisions(&mut cluster, &[high("4"), second]).iter().map(said).collect();
    assert!(both[0] == "n1 < b" || both[0] == "n2 < c", "{both:?}");
    assert_eq!(both[1], "n3 < d");
}

#[test]
fn two_at_once_take_no_more_than_both_need() {
    let pods = |cpu: &str| [high(cpu), pod("other").cpu(cpu).priority(100)];
    let mut cluster = snapshot(&[node("n1")], &[low("b", "4", "n1")]);
    let both: Vec<String> = decisions(&mut cluster, &pods("2")).iter().map(said).collect();
    assert_eq!(both, ["n1 < b", "n1 <"], "what b leaves is enough for both");
    let mut cluster = snapshot(&[node("n1"), node("n2")], &[low("b", "4", "n1"), low("c", "4", "n2")]);
    let mut both: Vec<String> = decisions(&mut cluster, &pods("4")).iter().map(said).collect();
    both.sort();
    assert_eq!(both, ["n1 < b", "n2 < c"]);
    let third = "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 Insufficient cpu.";
    assert_eq!(one(&mut cluster, &pod("third").cpu("4").priority(100)), third, "room that is made for others isn't taken");
}

#[test]
fn who_waits_for_victims_takes_no_more_and_gets_the_place() {
    let mut cluster = snapshot(&[node("n1"), node("n2")], &[low("b", "4", "n1"), low("c", "4", "n2").priority(5)]);
    assert_eq!(one(&mut cluster, &high("4")), "n1 < b");
    let waits = "0/2 nodes are available: 2 Insufficient cpu. preemption: not eligible due to a terminating pod on the nominated node.";
    assert_eq!(one(&mut cluster, &high("4")), waits);
    let goes = low("b", "4", "n1")
        .terminating()
        .set(&["status", "conditions"], json!([{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]));
    cluster.apply_pod(&goes.info());
    assert_eq!(one(&mut cluster, &high("4")), waits, "as long as it is seen to go");
    cluster.remove_pod("b");
    assert_ne!(one(&mut cluster, &pod("low").cpu("1")), "n1", "the room is kept");
    assert_eq!(one(&mut cluster, &pod("top").cpu("1").priority(200)), "n1", "not for those who are more important");
    cluster.forget("top");
    assert_eq!(one(&mut cluster, &high("4")), "n1");
    assert!(cluster.nominations.node_of("high").is_none());
}

#[test]
fn a_more_important_pod_displaces_the_nominated() {
    let mut cluster = snapshot(&[node("n1")], &[low("b", "4", "n1")]);
    assert_eq!(one(&mut cluster, &high("4")), "n1 < b");
    let decision = decisions(&mut cluster, &[pod("top").cpu("4").priority(200)]).remove(0);
    let Outcome::Unschedulable(refusal) = &decision.outcome else { panic!("there is no room") };
    let Preemption::Planned { node, victims, displaced } = &refusal.preemption else { panic!("{}", refusal.message()) };
    assert_eq!((&**node, victims.len(), displaced.iter().map(|p| &*p.name).collect::<Vec<_>>()), ("n1", 0, vec!["high"]));
    assert_eq!(cluster.nominations.node_of("top").map(|n| &**n), Some("n1"));
    assert!(cluster.nominations.node_of("high").is_none());
}

#[test]
fn trying_leaves_no_trace() {
    let nodes = [node("n1").zone("a"), node("n2").zone("b")];
    let bound = [low("b", "3", "n1").host_port(80), low("c", "3", "n2").app("db").priority(200)];
    let mut cluster = snapshot(&nodes, &bound);
    let before: Vec<_> = cluster.nodes().map(|n| n.used.clone()).collect();
    let pods = [high("2").never_preempts(), pod("x").cpu("2").priority(100).requires("podAntiAffinity", "db", HOST), pod("y").cpu("9")];
    decisions(&mut cluster, &pods);
    assert_eq!(cluster.nodes().map(|n| n.used.clone()).collect::<Vec<_>>(), before);
}
