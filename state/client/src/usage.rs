//! What nodes and their pods use: the notice by which each node's agent tells it, and the table that whoever wants to know it keeps in memory.
use bus::Notice;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// How often a node tells what it uses.
pub const PERIOD: SignedDuration = SignedDuration::from_secs(10);
/// What a node said counts for as long as this, and then it is as if it had said nothing.
pub const LASTS: SignedDuration = SignedDuration::from_secs(60);
/// So many containers of a node are told of at most, and taken note of.
pub const CONTAINERS_MAX: usize = 4_096;
/// So many containers of all nodes at once are taken note of at most; each takes less than 256 bytes.
const ALL_MAX: usize = 512 << 10;

/// What a container has used, and uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSample {
    /// Its name in the pod.
    pub name: String,
    /// Which run of it: counters of different runs have nothing to do with each other.
    pub run: String,
    /// When the run began.
    pub started: Timestamp,
    /// Nanoseconds of processors that the run has used so far.
    pub cpu_nanos: u64,
    /// Bytes of memory that it uses, without what could be taken from it: its working set.
    pub memory: u64,
}

/// What the containers of a pod use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodSample {
    /// The pod's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Those that run.
    pub containers: Vec<ContainerSample>,
}

/// What a node says of itself and its pods. Only the node of this name can say it, and of pods it counts for those alone that are bound to it: who reads
/// the table asks for a pod at its node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeUsage {
    /// When, by the node's clock.
    pub at: Timestamp,
    /// Nanoseconds of its processors that were used since it started.
    pub cpu_nanos: u64,
    /// Bytes of memory in use, without what could be taken back.
    pub memory: u64,
    /// Its pods that run.
    pub pods: Vec<PodSample>,
}

impl Notice for NodeUsage {
    const TOPIC: &'static str = "node.usage";
}

/// What something uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Billionths of a processor.
    pub cpu_nanos: u64,
    /// Bytes of memory.
    pub memory: u64,
}

/// What something used over a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured<T> {
    /// Until when.
    pub at: Timestamp,
    /// Over how long.
    pub window: SignedDuration,
    /// What.
    pub usage: T,
}

/// What the containers of a pod use, by name.
pub type PodUsage = Measured<Vec<(String, Usage)>>;

/// A pod, as a node names it.
type PodName = (String, String);

struct Entry {
    /// By our own clock: nodes' clocks may differ.
    received: Timestamp,
    last: NodeUsage,
    node: Option<Measured<Usage>>,
    pods: HashMap<PodName, (String, Arc<PodUsage>)>,
    size: usize,
}

/// What nodes said last, and what follows from it and from what they said before. Only in memory: a process that starts knows it after two periods.
#[derive(Default)]
pub struct UsageTable {
    nodes: HashMap<String, Entry>,
    size: usize,
}

impl UsageTable {
    /// Takes in what the node of this name says. `false` where there is no room for it.
    pub fn insert(&mut self, node: &str, mut said: NodeUsage, now: Timestamp) -> bool {
        self.expire(now);
        let size = bound(&mut said);
        let before = self.remove(node);
        if self.size + size > ALL_MAX {
            return false;
        }
        // a clock that was set back makes what was said before worthless
        let before = before.map(|entry| entry.last).filter(|last| last.at < said.at);
        let pods = said.pods.iter().filter_map(|pod| {
            let earlier = before.as_ref().and_then(|before| before.pods.iter().find(|p| p.uid == pod.uid).map(|p| (p, before.at)));
            let usage = pod_usage(pod, said.at, earlier)?;
            Some(((pod.namespace.clone(), pod.name.clone()), (pod.uid.clone(), Arc::new(usage))))
        });
        let pods = pods.collect();
        let node_usage = before.as_ref().and_then(|before| {
            let window = said.at.duration_since(before.at);
            let cpu_nanos = rate(before.cpu_nanos, said.cpu_nanos, window)?;
            Some(Measured { at: said.at, window, usage: Usage { cpu_nanos, memory: said.memory } })
        });
        self.size += size;
        self.nodes.insert(node.to_owned(), Entry { received: now, last: said, node: node_usage, pods, size });
        true
    }

    /// What a node uses.
    pub fn node(&self, name: &str, now: Timestamp) -> Option<&Measured<Usage>> {
        self.fresh(name, now)?.node.as_ref()
    }

    /// What a pod uses that is bound to `node`, and has this UID.
    pub fn pod(&self, node: &str, (namespace, name): (&str, &str), uid: &str, now: Timestamp) -> Option<&Arc<PodUsage>> {
        let (of, usage) = self.fresh(node, now)?.pods.get(&(namespace.to_owned(), name.to_owned()))?;
        (*of == *uid).then_some(usage)
    }

    fn fresh(&self, node: &str, now: Timestamp) -> Option<&Entry> {
        self.nodes.get(node).filter(|entry| now.duration_since(entry.received) < LASTS)
    }

    fn remove(&mut self, node: &str) -> Option<Entry> {
        let entry = self.nodes.remove(node)?;
        self.size -= entry.size;
        Some(entry)
    }

    fn expire(&mut self, now: Timestamp) {
        let silent = |(name, entry): (&String, &Entry)| (now.duration_since(entry.received) >= LASTS).then(|| name.clone());
        let silent: Vec<String> = self.nodes.iter().filter_map(silent).collect();
        silent.iter().for_each(|name| drop(self.remove(name)));
    }
}

/// Cuts off what is too much; how many containers are left, with the node itself.
fn bound(said: &mut NodeUsage) -> usize {
    let mut room = CONTAINERS_MAX;
    said.pods.retain_mut(|pod| {
        pod.containers.truncate(room);
        room -= pod.containers.len();
        !pod.containers.is_empty()
    });
    CONTAINERS_MAX - room + 1
}

/// Billionths of a processor, from a counter of nanoseconds.
fn rate(before: u64, after: u64, window: SignedDuration) -> Option<u64> {
    let nanos = u128::try_from(window.as_nanos()).ok().filter(|nanos| *nanos > 0)?;
    u64::try_from(u128::from(after.checked_sub(before)?) * 1_000_000_000 / nanos).ok()
}

/// What a pod's containers use. One that began after the last look is measured from its beginning; of one that can't be measured, all of the pod isn't.
fn pod_usage(pod: &PodSample, at: Timestamp, earlier: Option<(&PodSample, Timestamp)>) -> Option<PodUsage> {
    let mut window = earlier.map(|(_, then)| at.duration_since(then));
    let mut usage = Vec::with_capacity(pod.containers.len());
    for container in &pod.containers {
        let same = earlier.and_then(|(pod, then)| Some((pod.containers.iter().find(|c| c.name == container.name && c.run == container.run)?, then)));
        let (before, since) = match same {
            Some((before, then)) => (before.cpu_nanos, at.duration_since(then)),
            None => (0, at.duration_since(container.started)),
        };
        if same.is_none() && since > LASTS {
            return None;
        }
        window = Some(window.map_or(since, |window| window.min(since)));
        usage.push((container.name.clone(), Usage { cpu_nanos: rate(before, container.cpu_nanos, since)?, memory: container.memory }));
    }
    Some(Measured { at, window: window?, usage })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn sample(name: &str, run: &str, started: i64, cpu_nanos: u64) -> ContainerSample {
        ContainerSample { name: name.to_owned(), run: run.to_owned(), started: at(started), cpu_nanos, memory: 7 }
    }

    fn said(seconds: i64, cpu_nanos: u64, containers: Vec<ContainerSample>) -> NodeUsage {
        let pod = PodSample { namespace: "a".to_owned(), name: "p".to_owned(), uid: "u".to_owned(), containers };
        NodeUsage { at: at(seconds), cpu_nanos, memory: 5, pods: vec![pod] }
    }

    fn cpu(table: &UsageTable, node: &str, uid: &str, now: i64) -> Option<Vec<u64>> {
        table.pod(node, ("a", "p"), uid, at(now)).map(|pod| pod.usage.iter().map(|(_, usage)| usage.cpu_nanos).collect())
    }

    #[test]
    fn what_is_used_follows_from_two_samples() {
        let mut table = UsageTable::default();
        assert!(table.insert("n", said(100, 1_000, vec![sample("c", "1", 0, 5_000_000_000)]), at(100)));
        assert_eq!((table.node("n", at(100)), cpu(&table, "n", "u", 100)), (None, None), "one sample of what has run for long tells nothing");
        assert!(table.insert("n", said(110, 20_000_001_000, vec![sample("c", "1", 0, 6_000_000_000)]), at(110)));
        let node = table.node("n", at(110)).unwrap();
        assert_eq!((node.usage, node.window), (Usage { cpu_nanos: 2_000_000_000, memory: 5 }, SignedDuration::from_secs(10)));
        assert_eq!(cpu(&table, "n", "u", 110), Some(vec![100_000_000]));
        assert_eq!((cpu(&table, "m", "u", 110), cpu(&table, "n", "v", 110)), (None, None), "of another node, and of a namesake");
        assert_eq!(cpu(&table, "n", "u", 170), None, "what a node said a minute ago is no news");
    }

    #[test]
    fn a_run_that_began_since_is_measured_from_its_beginning() {
        let mut table = UsageTable::default();
        table.insert("n", said(100, 0, vec![sample("c", "1", 0, 5_000_000_000)]), at(100));
        table.insert("n", said(110, 0, vec![sample("c", "2", 108, 1_000_000_000)]), at(110));
        let pod = table.pod("n", ("a", "p"), "u", at(110)).unwrap();
        assert_eq!((pod.window, pod.usage[0].1.cpu_nanos), (SignedDuration::from_secs(2), 500_000_000));
    }

    #[test]
    fn counters_and_clocks_that_went_back_tell_nothing() {
        let mut table = UsageTable::default();
        table.insert("n", said(100, 10, vec![sample("c", "1", 0, 10)]), at(100));
        table.insert("n", said(110, 5, vec![sample("c", "1", 0, 5)]), at(110));
        assert_eq!((table.node("n", at(110)), cpu(&table, "n", "u", 110)), (None, None));
        table.insert("n", said(90, 5, vec![sample("c", "1", 0, 5)]), at(120));
        assert_eq!((table.node("n", at(120)), cpu(&table, "n", "u", 120)), (None, None));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut table = UsageTable::default();
        let many = |n: usize| (0..n).map(|i| sample(&format!("c{i}"), "1", 0, 0)).collect::<Vec<_>>();
        let taken = (0..1000).filter(|i| table.insert(&format!("n{i}"), said(1, 0, many(CONTAINERS_MAX + 9)), at(1))).count();
        assert_eq!((taken, table.size), (ALL_MAX / (CONTAINERS_MAX + 1), taken * (CONTAINERS_MAX + 1)));
        assert!(table.insert("late", said(100, 0, many(1)), at(100)), "those that are silent make room");
        assert_eq!((table.nodes.len(), table.size), (1, 2));
    }
}
