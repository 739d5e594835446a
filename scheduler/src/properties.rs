//! What holds for any cluster and any pods: a slow and simple checker, which knows nothing of classes, buckets and counts, agrees with every decision.
use crate::outcome::{Decision, Outcome};
use crate::schedule::schedule;
use crate::testing::{NodeFixture, PodFixture, node, outcome, pod, snapshot};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";

#[derive(Clone, Debug)]
struct Machine {
    zone: Option<u8>,
    cpu: i64,
    pods: i64,
    tainted: bool,
    cordoned: bool,
}

#[derive(Clone, Debug)]
struct Wish {
    app: u8,
    cpu: i64,
    tolerates: bool,
    zone: Option<u8>,
    port: bool,
    near: Option<(u8, bool)>,
    away: Option<(u8, bool)>,
    spread: Option<(bool, i64)>,
    soft: bool,
    owned: bool,
    priority: i32,
}

fn key(host: bool) -> &'static str {
    if host { HOST } else { ZONE }
}

fn machines() -> impl Strategy<Value = Vec<Machine>> {
    let one = (proptest::option::weighted(0.9, 0u8..3), 1i64..5, 1i64..6, proptest::bool::weighted(0.15), proptest::bool::weighted(0.1));
    let one = one.prop_map(|(zone, cpu, pods, tainted, cordoned)| Machine { zone, cpu, pods, tainted, cordoned });
    // beyond 48 nodes host names are grouped by count instead of by domain
    prop_oneof![3 => proptest::collection::vec(one.clone(), 0..7), 1 => proptest::collection::vec(one, 50..56)]
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let place = || proptest::option::weighted(0.2, (0u8..3, any::<bool>()));
    let first = (0u8..3, 0i64..3, any::<bool>(), proptest::option::weighted(0.15, 0u8..3), proptest::bool::weighted(0.1));
    let second = (place(), place(), proptest::option::weighted(0.4, (any::<bool>(), 1i64..3)), any::<bool>(), any::<bool>(), 0i32..2);
    let one = (first, second).prop_map(|((app, cpu, tolerates, zone, port), (near, away, spread, soft, owned, priority))| Wish {
        app,
        cpu,
        tolerates,
        zone,
        port,
        near,
        away,
        spread,
        soft,
        owned,
        priority,
    });
    // few templates, many pods: as real batches are
    (proptest::collection::vec(one, 1..5), proptest::collection::vec(0usize..5, 0..40))
        .prop_map(|(templates, picks)| picks.into_iter().filter_map(|i| templates.get(i % templates.len()).cloned()).collect())
}

fn machine(i: usize, m: &Machine) -> NodeFixture {
    let mut fixture = node(&format!("n{i}")).has("cpu", &m.cpu.to_string()).has("pods", &m.pods.to_string());
    if let Some(zone) = m.zone {
        fixture = fixture.zone(&zone.to_string());
    }
    if m.tainted {
        fixture = fixture.taint("special=yes:NoSchedule");
    }
    if m.cordoned { fixture.cordoned() } else { fixture }
}

fn fixture(i: usize, w: &Wish) -> PodFixture {
    let app = w.app.to_string();
    let mut fixture = pod(&format!("p{i}")).app(&app).cpu(&w.cpu.to_string()).priority(w.priority);
    if w.tolerates {
        fixture = fixture.tolerates(json!({"key": "special", "operator": "Exists"}));
    }
    if let Some(zone) = w.zone {
        fixture = fixture.selector(ZONE, &zone.to_string());
    }
    if w.port {
        fixture = fixture.host_port(8080);
    }
    if let Some((app, host)) = w.near {
        fixture = fixture.requires("podAffinity", &app.to_string(), key(host));
    }
    if let Some((app, host)) = w.away {
        fixture = fixture.requires("podAntiAffinity", &app.to_string(), key(host));
    }
    if let Some((host, skew)) = w.spread {
        fixture = fixture.spread(&app, key(host), i32::try_from(skew).expect("small"), "DoNotSchedule");
    }
    if w.soft {
        fixture = fixture.spread(&app, ZONE, 1, "ScheduleAnyway").prefers("podAntiAffinity", 10, &app, HOST);
    }
    if w.owned { fixture.owner(&format!("rs-{app}")) } else { fixture }
}

/// The checker's cluster.
struct World<'a> {
    machines: &'a [Machine],
    placed: Vec<(&'a Wish, usize)>,
}

impl World<'_> {
    fn domain(&self, node: usize, host: bool) -> Option<usize> {
        if host { Some(node) } else { self.machines[node].zone.map(usize::from) }
    }
    fn in_domain(&self, node: usize, host: bool) -> impl Iterator<Item = &Wish> {
        let domain = self.domain(node, host);
        self.placed.iter().filter(move |(_, n)| domain.is_some() && self.domain(*n, host) == domain).map(|(w, _)| *w)
    }
    fn own_node_takes(&self, w: &Wish, n: usize) -> bool {
        let m = &self.machines[n];
        let here = || self.placed.iter().filter(|(_, on)| *on == n);
        let cpu: i64 = here().map(|(w, _)| w.cpu).sum();
        (!m.tainted || w.tolerates)
            && !m.cordoned
            && w.zone.is_none_or(|z| m.zone == Some(z))
            && (w.cpu == 0 || cpu + w.cpu <= m.cpu)
            && (here().count() as i64) < m.pods
            && !(w.port && here().any(|(w, _)| w.port))
    }
    fn spread_holds(&self, w: &Wish, n: usize) -> bool {
        let Some((host, skew)) = w.spread else { return true };
        let Some(domain) = self.domain(n, host) else { return false };
        let counted = |node: usize| w.zone.is_none_or(|z| self.machines[node].zone == Some(z));
        let mut counts: BTreeMap<usize, i64> = BTreeMap::new();
        for node in (0..self.machines.len()).filter(|node| counted(*node)) {
            if let Some(d) = self.domain(node, host) {
                *counts.entry(d).or_default() += self.placed.iter().filter(|(o, on)| *on == node && o.app == w.app).count() as i64;
            }
        }
        let least = counts.values().min().copied().unwrap_or_default();
        counts.get(&domain).copied().unwrap_or_default() + 1 - least <= skew
    }
    fn takes(&self, w: &Wish, n: usize) -> bool {
        let near = w.near.is_none_or(|(app, host)| {
            let first = app == w.app && !self.placed.iter().any(|(o, on)| o.app == app && self.domain(*on, host).is_some());
            self.domain(n, host).is_some() && (first || self.in_domain(n, host).any(|o| o.app == app))
        });
        let away = w.away.is_none_or(|(app, host)| !self.in_domain(n, host).any(|o| o.app == app));
        let left_alone = [true, false].iter().all(|host| !self.in_domain(n, *host).any(|o| o.away == Some((w.app, *host))));
        self.own_node_takes(w, n) && self.spread_holds(w, n) && near && away && left_alone
    }
}

fn decide(machines: &[Machine], wishes: &[Wish], seed: u64) -> Vec<Decision> {
    let nodes: Vec<NodeFixture> = machines.iter().enumerate().map(|(i, m)| machine(i, m)).collect();
    let pods: Vec<_> = wishes.iter().enumerate().map(|(i, w)| fixture(i, w).info()).collect();
    schedule(&mut snapshot(&nodes, &[]), &pods, seed)
}

fn number(name: &str) -> usize {
    name.get(1..).and_then(|n| n.parse().ok()).expect("a number")
}

proptest! {
    // each case is a whole cluster
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_decision_is_the_checkers(machines in machines(), wishes in wishes(), seed: u64) {
        let mut world = World { machines: &machines, placed: Vec::new() };
        let decisions = decide(&machines, &wishes, seed);
        prop_assert_eq!(decisions.len(), wishes.len());
        for decision in decisions {
            let wish = &wishes[number(&decision.pod.name)];
            match &decision.outcome {
                Outcome::Bind(node) => {
                    let node = number(node);
                    prop_assert!(world.takes(wish, node), "{wish:?} does not fit on n{node}");
                    world.placed.push((wish, node));
                }
                Outcome::Unschedulable(why) => {
                    let possible: Vec<usize> = (0..machines.len()).filter(|n| world.takes(wish, *n)).collect();
                    prop_assert!(possible.is_empty(), "{wish:?} was refused ({}) but fits on {possible:?}", why.diagnosis.message());
                    let why = &why.diagnosis;
                    let at_least_once: u32 = why.reasons.values().sum();
                    prop_assert!(at_least_once as usize >= machines.len() && why.nodes as usize == machines.len(), "{}", why.message());
                }
            }
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_decisions(machines in machines(), wishes in wishes(), seed: u64) {
        let say = || decide(&machines, &wishes, seed).iter().map(|d| (d.pod.name.clone(), outcome(d))).collect::<Vec<_>>();
        prop_assert_eq!(say(), say());
    }

    #[test]
    fn what_was_placed_and_forgotten_leaves_no_trace(machines in machines(), wishes in wishes(), seed: u64) {
        let nodes: Vec<NodeFixture> = machines.iter().enumerate().map(|(i, m)| machine(i, m)).collect();
        let pods: Vec<_> = wishes.iter().enumerate().map(|(i, w)| fixture(i, w).info()).collect();
        let (mut used, fresh) = (snapshot(&nodes, &[]), snapshot(&nodes, &[]));
        for decision in schedule(&mut used, &pods, seed) {
            used.forget(&decision.pod.uid);
        }
        prop_assert_eq!(used.classes().count(), 0);
        for (a, b) in used.nodes().zip(fresh.nodes()) {
            prop_assert_eq!(&a.used, &b.used);
        }
    }
}
