//! What holds for any pods on any nodes: a slow and simple checker agrees with who has to go.
use crate::outcome::{Outcome, Preemption};
use crate::schedule::schedule;
use crate::testing::{NodeFixture, PodFixture, node, pod, snapshot};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Cores, priority, and the node for those that run.
#[derive(Clone, Debug)]
struct Wish {
    cpu: i64,
    priority: i32,
    node: usize,
}

fn wish(priorities: std::ops::Range<i32>) -> impl Strategy<Value = Wish> {
    (1i64..4, priorities, 0usize..4).prop_map(|(cpu, priority, node)| Wish { cpu, priority, node })
}

/// What runs, what was decided, and who was told to go.
#[derive(Default)]
struct World {
    cores: Vec<i64>,
    residents: Vec<Wish>,
    condemned: BTreeSet<usize>,
    /// Placed and nominated pods.
    bound: Vec<Wish>,
    nominated: Vec<Wish>,
}

fn sum<'a>(pods: impl Iterator<Item = &'a Wish>, node: usize) -> i64 {
    pods.filter(|p| p.node == node).map(|p| p.cpu).sum()
}

impl World {
    /// What is left on a node for a pod of a priority once the `gone` are.
    fn left(&self, node: usize, priority: i32, gone: impl Fn(usize, &Wish) -> bool) -> i64 {
        let stays = self.residents.iter().enumerate().filter(|(i, p)| !gone(*i, p)).map(|(_, p)| p);
        let counted = self.nominated.iter().filter(|p| p.priority >= priority);
        self.cores[node] - sum(stays, node) - sum(self.bound.iter(), node) - sum(counted, node)
    }
    fn fits(&self, pod: &Wish, node: usize) -> bool {
        self.left(node, pod.priority, |_, _| false) >= pod.cpu
    }
    /// Whether it would fit if all less important pods went, of which there are some.
    fn can_be_cleared(&self, pod: &Wish, node: usize) -> bool {
        let lower = |p: &Wish| p.priority < pod.priority;
        self.residents.iter().any(|p| p.node == node && lower(p)) && self.left(node, pod.priority, |_, p| lower(p)) >= pod.cpu
    }
    /// What is left once the victims and those have gone who go anyhow.
    fn after(&self, pod: &Wish, node: usize, victims: &BTreeSet<usize>) -> i64 {
        self.left(node, pod.priority, |i, p| p.priority < pod.priority && (victims.contains(&i) || self.condemned.contains(&i)))
    }
}

fn number(name: &str) -> usize {
    name.get(1..).and_then(|n| n.parse().ok()).expect("a number")
}

fn check(world: &mut World, pod: &Wish, outcome: &Outcome) -> Result<(), TestCaseError> {
    let nodes = 0..world.cores.len();
    let refusal = match outcome {
        Outcome::Bind(node) => {
            let node = number(node);
            prop_assert!(world.fits(pod, node), "{pod:?} doesn't fit on n{node}");
            world.bound.push(Wish { node, ..pod.clone() });
            return Ok(());
        }
        Outcome::Unschedulable(refusal) => refusal,
    };
    prop_assert!(nodes.clone().all(|n| !world.fits(pod, n)), "{pod:?} fits somewhere");
    let Preemption::Planned { node, victims, .. } = &refusal.preemption else {
        prop_assert!(nodes.clone().all(|n| !world.can_be_cleared(pod, n)), "{pod:?} could have got a node: {}", refusal.message());
        return Ok(());
    };
    let node = number(node);
    let victims: BTreeSet<usize> = victims.iter().map(|v| number(&v.name)).collect();
    prop_assert!(victims.iter().all(|v| world.residents[*v].priority < pod.priority && world.residents[*v].node == node), "{victims:?} go for {pod:?}");
    prop_assert!(victims.is_disjoint(&world.condemned), "somebody is told to go twice");
    let left = world.after(pod, node, &victims);
    prop_assert!(left >= pod.cpu, "{victims:?} are too few for {pod:?}");
    for victim in &victims {
        prop_assert!(left - world.residents[*victim].cpu < pod.cpu, "{victim} goes for nothing");
    }
    world.condemned.extend(victims);
    world.nominated.push(Wish { node, ..pod.clone() });
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn victims_are_as_many_as_it_takes(
        cores in proptest::collection::vec(1i64..7, 1..5),
        running in proptest::collection::vec(wish(0..3), 0..16),
        waiting in proptest::collection::vec(wish(0..5), 1..10),
        seed: u64,
    ) {
        let mut world = World { cores, ..World::default() };
        for pod in running {
            let node = pod.node % world.cores.len();
            let pod = Wish { node, ..pod };
            if world.left(node, 0, |_, _| false) >= pod.cpu {
                world.residents.push(pod);
            }
        }
        let nodes: Vec<NodeFixture> = world.cores.iter().enumerate().map(|(i, n)| node(&format!("n{i}")).has("cpu", &n.to_string()).has("pods", "99")).collect();
        let fixture = |name: String, p: &Wish| pod(&name).cpu(&p.cpu.to_string()).priority(p.priority);
        let bound: Vec<PodFixture> = world.residents.iter().enumerate().map(|(i, p)| fixture(format!("r{i}"), p).on(&format!("n{}", p.node))).collect();
        let pods: Vec<_> = waiting.iter().enumerate().map(|(i, p)| fixture(format!("p{i}"), p).info()).collect();
        let mut cluster = snapshot(&nodes, &bound);
        let before: Vec<_> = cluster.nodes().map(|n| n.used.requests.exact.milli_cpu).collect();
        for decision in schedule(&mut cluster, &pods, seed) {
            check(&mut world, &waiting[number(&decision.pod.name)], &decision.outcome)?;
        }
        let placed = |i: usize| sum(world.bound.iter(), i) * 1000;
        let after: Vec<_> = cluster.nodes().map(|n| n.used.requests.exact.milli_cpu).collect();
        prop_assert_eq!(after, before.iter().enumerate().map(|(i, n)| n + placed(i)).collect::<Vec<_>>());
    }
}
