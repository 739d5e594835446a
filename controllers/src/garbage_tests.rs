use super::*;
use crate::testing::Sim;
use proptest::prelude::*;

const MAPS: Resource = Resource::CONFIG_MAPS;

fn sim() -> Sim {
    Sim::new(vec![Box::new(GarbageCollector::new(&model::kinds::builtin()))])
}

fn owner(name: &str, uid: &str, block: bool) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": block})
}

fn map(sim: &mut Sim, name: &str, owners: Vec<Value>) -> String {
    let object = sim.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a", "ownerReferences": owners}}));
    object.object().uid().to_owned()
}

/// `a` owns `b` owns `c`, all blocking.
fn chain(sim: &mut Sim) {
    let a = map(sim, "a", vec![]);
    let b = map(sim, "b", vec![owner("a", &a, true)]);
    map(sim, "c", vec![owner("b", &b, true)]);
    sim.settle();
}

#[test]
fn in_the_background_dependents_follow() {
    let mut sim = sim();
    chain(&mut sim);
    sim.delete(&MAPS, "a", None);
    sim.settle();
    assert_eq!(sim.names(&MAPS), Vec::<String>::new());
}

#[test]
fn in_the_foreground_dependents_go_first() {
    let mut sim = sim();
    chain(&mut sim);
    sim.delete(&MAPS, "a", Some(Propagation::Foreground));
    sim.settle();
    assert_eq!(sim.names(&MAPS), Vec::<String>::new());
    let order: Vec<_> = sim.world.log.iter().filter(|e| e.deleted).map(|e| e.object.key.name.to_string()).collect();
    assert_eq!(order, ["c", "b", "a"]);
}

#[test]
fn a_circle_of_owners_is_broken() {
    for round in [1, 2, 3] {
        let mut sim = sim();
        let names: Vec<String> = (0..round).map(|n| format!("m{n}")).collect();
        let uids: Vec<String> = names.iter().map(|name| map(&mut sim, name, vec![])).collect();
        for (n, name) in names.iter().enumerate() {
            let before = (n + round - 1) % round;
            sim.patch(&MAPS, name, "", json!({"metadata": {"ownerReferences": [owner(&names[before], &uids[before], true)]}}));
        }
        sim.settle();
        assert_eq!(sim.names(&MAPS), names, "a circle holds itself");
        sim.delete(&MAPS, "m0", Some(Propagation::Foreground));
        sim.settle();
        assert_eq!(sim.names(&MAPS), Vec::<String>::new(), "a circle of {round}");
    }
}

#[test]
fn a_dependent_that_does_not_block_is_not_waited_for() {
    let mut sim = sim();
    let a = map(&mut sim, "a", vec![]);
    let held = json!({"name": "b", "namespace": "a", "finalizers": ["held"], "ownerReferences": [owner("a", &a, false)]});
    sim.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held}));
    sim.settle();
    sim.delete(&MAPS, "a", Some(Propagation::Foreground));
    sim.settle();
    assert_eq!(sim.names(&MAPS), ["b"]);
}

#[test]
fn orphans_stay_without_the_owner() {
    let mut sim = sim();
    chain(&mut sim);
    sim.delete(&MAPS, "a", Some(Propagation::Orphan));
    sim.settle();
    assert_eq!(sim.names(&MAPS), ["b", "c"]);
    assert!(sim.get(&MAPS, "b").unwrap().owner_references().is_empty());
}

#[test]
fn an_object_with_another_owner_loses_only_the_reference() {
    let mut sim = sim();
    let (a, b) = (map(&mut sim, "a", vec![]), map(&mut sim, "b", vec![]));
    map(&mut sim, "c", vec![owner("a", &a, false), owner("b", &b, false)]);
    sim.settle();
    sim.delete(&MAPS, "a", None);
    sim.settle();
    let owners = sim.get(&MAPS, "c").unwrap().owner_references();
    assert_eq!(owners.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn an_owner_that_the_view_has_not_seen_yet_is_asked_for() {
    let mut sim = sim();
    sim.settle();
    let secret = sim.create(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}}));
    let reference = json!({"apiVersion": "v1", "kind": "Secret", "name": "s", "uid": secret.object().uid()});
    map(&mut sim, "c", vec![reference]);
    sim.show(&MAPS);
    sim.plan();
    assert!(sim.plans.iter().any(|p| p.contains("delete configmaps a/c if no secrets a/s")), "{:?}", sim.plans);
    while sim.act() {}
    assert_eq!(sim.names(&MAPS), ["c"]);
}

#[test]
fn an_owner_of_another_namespace_or_an_unknown_kind() {
    let mut sim = sim();
    map(&mut sim, "unknown", vec![json!({"apiVersion": "x.io/v1", "kind": "X", "name": "x", "uid": "1"})]);
    let other = sim.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o", "namespace": "other"}}));
    map(&mut sim, "crossing", vec![owner("o", other.object().uid(), false)]);
    let misplaced = vec![owner("o", other.object().uid(), false)];
    sim.create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "ownerReferences": misplaced}}));
    sim.settle();
    assert_eq!(sim.names(&MAPS), ["unknown", "o"]);
    assert_eq!(sim.names(&Resource::NODES), ["n"]);
    assert!(sim.events.iter().any(|e| e.starts_with("n OwnerRefInvalidNamespace")), "{:?}", sim.events);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever is deleted, and however far behind the view is: what has a live owner stays, what has none goes in the end.
    #[test]
    fn nothing_with_a_live_owner_goes(
        edges in proptest::collection::vec((0_usize..9, 0_usize..9, any::<bool>()), 0..16),
        steps in proptest::collection::vec((0_u8..8, 0_usize..9, 0_u8..3), 0..60),
    ) {
        let mut sim = sim();
        let mut uids: Vec<String> = Vec::new();
        for i in 0..9_usize {
            let owners = edges.iter().filter(|(from, to, _)| *to == i && *from < i).map(|(from, _, block)| owner(&format!("m{from}"), &uids[*from], *block));
            let owners: Vec<Value> = owners.collect();
            uids.push(map(&mut sim, &format!("m{i}"), owners));
        }
        let mut doomed: Vec<String> = Vec::new();
        for (what, which, how) in steps {
            match what {
                0 => {
                    let name = format!("m{which}");
                    if sim.get(&MAPS, &name).is_some_and(|o| o.deletion_timestamp().is_none()) {
                        sim.delete(&MAPS, &name, [None, Some(Propagation::Foreground), Some(Propagation::Orphan)][usize::from(how)]);
                        doomed.push(name);
                    }
                }
                1 | 2 => _ = sim.show(&MAPS),
                3 => _ = sim.show_all(),
                4 | 5 => sim.plan(),
                _ => _ = sim.act(),
            }
        }
        sim.settle();
        sim.pass(60);
        sim.pass(60);
        for entry in sim.world.log.iter().filter(|e| e.deleted) {
            let object = entry.object.object();
            if doomed.iter().any(|d| d == object.name()) {
                continue;
            }
            // the owner was dead, or dying first, when it went
            let live = object.owner_references().into_iter().any(|o| sim.get(&MAPS, &o.name).is_some());
            prop_assert!(!live, "{} went although an owner lives", object.name());
        }
        for left in sim.all(&MAPS) {
            let object = left.object();
            prop_assert!(object.deletion_timestamp().is_none(), "{} hangs", object.name());
            prop_assert!(object.owner_references().iter().all(|o| sim.get(&MAPS, &o.name).is_some()), "{} has a dead owner", object.name());
        }
    }
}
