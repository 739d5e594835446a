//! Checks invariants after each write, and at the end whether everything has reached its desired state.
use crate::batch::Ledger;
use crate::disruption::Losses;
use crate::facts::{alive, owned, ready, replicas, share};
use crate::net::{NAMESPACE, Net, Proc};
use crate::set_check;
use crate::store::Entry;
use jiff::{SignedDuration, Timestamp};
use model::Object;
use model::placement::needs::Needs;
use model::placement::node::NodeInfo;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A node is given up only after it was silent for about so long; renewals that are still on their way don't count for it.
const SILENCE: SignedDuration = SignedDuration::from_secs(33);
/// What a controller does may still be about what users wanted so long ago.
const STALE: SignedDuration = SignedDuration::from_secs(150);
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// What is remembered for that.
#[derive(Default)]
pub struct Check {
    /// Whether nothing but a rollout happens: then Deployments keep what they promise exactly.
    pub peace: bool,
    batch: Ledger,
    /// What disruption budgets may not have counted yet.
    pub losses: Losses,
    ended: BTreeSet<String>,
    bound: BTreeMap<String, String>,
    /// Priorities of pods without a node, and when they got one or went.
    unbound: BTreeMap<String, (i64, Option<Timestamp>)>,
    /// When each node's lease was renewed the last times.
    renewed: BTreeMap<String, Vec<Timestamp>>,
    /// The most pods that a Deployment was allowed lately.
    allowed: BTreeMap<String, Vec<(Timestamp, i64)>>,
}

/// A line of the trace for a write; none for heartbeats.
pub fn describe(entry: &Entry) -> Option<String> {
    let (key, object) = (&entry.object.key, entry.object.object());
    let what = match (&*key.resource, entry.deleted) {
        ("leases" | "events" | "configmaps" | "serviceaccounts" | "endpointslices" | "endpoints", _) => return None,
        (_, true) => "gone".to_owned(),
        ("pods", _) => {
            format!("on {:?} {} ready={} {}", object.str_at(&["spec", "nodeName"]), object.str_at(&["status", "phase"]), ready(object), object.uid())
        }
        ("nodes", _) => {
            format!("taints={} cordoned={}", object.at(&["spec", "taints"]).unwrap_or(&Value::Null), object.at(&["spec", "unschedulable"]).is_some())
        }
        ("jobs" | "cronjobs" | "poddisruptionbudgets", _) => format!("status={}", object.at(&["status"]).unwrap_or(&Value::Null)),
        ("deployments" | "replicasets" | "statefulsets" | "daemonsets" | "replicationcontrollers", _) => {
            format!("spec={} status={}", object.int_at(&["spec", "replicas"]).unwrap_or(-1), object.at(&["status"]).unwrap_or(&Value::Null))
        }
        _ => "written".to_owned(),
    };
    let ending = if object.deletion_timestamp().is_some() { " ending" } else { "" };
    Some(format!("{key}@{} {what}{ending}", entry.object.revision))
}

/// The most pods, and the fewest that are ready, that a Deployment promises while it rolls.
fn promised(deployment: &Object) -> (i64, i64) {
    let (wanted, rolling) = (replicas(deployment), ["spec", "strategy", "rollingUpdate"]);
    let of = |name| share(deployment.at(&[rolling.as_slice(), &[name]].concat()), wanted, name == "maxSurge");
    let (surge, unavailable) = (of("maxSurge"), of("maxUnavailable"));
    // both rounded to nothing: one may be missing, or nothing could be rolled
    (wanted + surge, wanted - if surge == 0 { unavailable.max(1) } else { unavailable })
}

/// The pods of a Deployment.
pub(crate) fn pods<'a>(net: &'a Net, deployment: &'a Object) -> Vec<&'a Object> {
    let sets: BTreeSet<&str> = owned(net, "replicasets", deployment.uid()).map(|s| s.object().uid()).collect();
    net.store.all("pods").map(|p| p.object()).filter(|p| p.controller().is_some_and(|c| sets.contains(c.uid.as_str()))).collect()
}

fn preempted(pod: &Object) -> bool {
    pod.list_at(&["status", "conditions"]).iter().any(|c| c["type"] == "DisruptionTarget" && c["reason"] == "PreemptionByScheduler")
}

/// The pods on a node ask for no more than it has.
fn fits(node: &str, net: &Net) -> Result<(), String> {
    let over = |p: &Object| matches!(p.str_at(&["status", "phase"]), "Succeeded" | "Failed");
    let here = net.store.all("pods").filter(|p| p.object().str_at(&["spec", "nodeName"]) == node && !over(p.object()));
    let asked: i64 = here.filter_map(|p| Needs::parse(p).ok()).map(|needs| needs.requests.exact.milli_cpu).sum();
    let has = net.store.get("", "nodes", "", node).and_then(|n| NodeInfo::parse(n).ok()).map(|n| n.allocatable.milli_cpu);
    match has.filter(|has| asked > *has) {
        Some(has) => Err(format!("{node} has {has} m, and its pods ask for {asked} m")),
        None => Ok(()),
    }
}

impl Check {
    /// Looks at one write.
    ///
    /// # Errors
    /// What it breaks.
    pub fn written(&mut self, entry: &Entry, net: &Net) -> Result<(), String> {
        let (object, old) = (entry.object.object(), entry.old.as_ref().map(|o| o.object()));
        let uid = object.uid();
        if !entry.deleted && self.ended.contains(uid) {
            return Err(format!("{} came back", entry.object.key));
        }
        if entry.deleted {
            self.ended.insert(uid.to_owned());
        }
        self.batch.written(entry, net, self.peace)?;
        match &*entry.object.key.resource {
            "pods" => self.pod(object, entry, net),
            "leases" => {
                let renewed = self.renewed.entry(entry.object.key.name.to_string()).or_default();
                renewed.push(net.now);
                renewed.drain(..renewed.len().saturating_sub(8));
                Ok(())
            }
            "nodes" => self.node(object, old, net),
            "deployments" => {
                self.allow(object, net.now);
                Ok(())
            }
            "replicasets" if !entry.deleted => self.replica_set(object, old, net),
            _ => Ok(()),
        }
    }

    fn pod(&mut self, pod: &Object, entry: &Entry, net: &Net) -> Result<(), String> {
        let node = pod.str_at(&["spec", "nodeName"]);
        if !node.is_empty() && self.bound.entry(pod.uid().to_owned()).or_insert_with(|| node.to_owned()) != node {
            return Err(format!("{} was bound to {:?} and then to {node}", entry.object.key, self.bound.get(pod.uid())));
        }
        let over = |p: &Object| matches!(p.str_at(&["status", "phase"]), "Succeeded" | "Failed");
        if entry.old.as_ref().is_some_and(|old| over(old.object())) && !over(pod) {
            return Err(format!("{} had ended, and is {} again", entry.object.key, pod.str_at(&["status", "phase"])));
        }
        self.losses.written(pod, entry, net)?;
        self.made_room(pod, entry, net.now)?;
        let placed = !node.is_empty() && entry.old.as_ref().is_some_and(|old| old.object().str_at(&["spec", "nodeName"]).is_empty());
        if self.peace {
            self.kept(pod, net).and_then(|()| set_check::kept(pod, entry.old.is_none(), net))?;
        }
        if self.peace && placed { fits(node, net) } else { Ok(()) }
    }

    /// A pod goes for another one only if that is more important and has no node.
    fn made_room(&mut self, pod: &Object, entry: &Entry, now: Timestamp) -> Result<(), String> {
        let priority = |p: &Object| p.int_at(&["spec", "priority"]).unwrap_or_default();
        let waits = !entry.deleted && pod.str_at(&["spec", "nodeName"]).is_empty();
        match self.unbound.get_mut(pod.uid()) {
            Some((_, until)) if !waits => _ = until.get_or_insert(now),
            None if waits => _ = self.unbound.insert(pod.uid().to_owned(), (priority(pod), None)),
            _ => {}
        }
        if !preempted(pod) || entry.old.as_ref().is_some_and(|old| preempted(old.object())) {
            return Ok(());
        }
        let lately = |until: &Option<Timestamp>| until.is_none_or(|until| now.duration_since(until) < STALE);
        let found = self.unbound.values().any(|(of, until)| *of > priority(pod) && lately(until));
        if found { Ok(()) } else { Err(format!("{} goes, and nothing more important waits", entry.object.key)) }
    }

    /// In peace a Deployment never has fewer pods ready, nor more pods, than it promises.
    fn kept(&self, pod: &Object, net: &Net) -> Result<(), String> {
        let set = pod.controller().and_then(|c| net.store.get("apps", "replicasets", NAMESPACE, &c.name));
        let Some(owner) = set.and_then(|s| s.object().controller()) else { return Ok(()) };
        let deployment = net.store.get("apps", "deployments", NAMESPACE, &owner.name).map(|d| d.object()).filter(|d| d.deletion_timestamp().is_none());
        let Some(deployment) = deployment else { return Ok(()) };
        let ((most, fewest), all) = (promised(deployment), pods(net, deployment));
        let (living, serving) = (all.iter().filter(|p| alive(p)).count() as i64, all.iter().filter(|p| alive(p) && ready(p)).count() as i64);
        if living > most || serving < fewest {
            return Err(format!("{} has {living} pods ({most} at most), {serving} of them ready ({fewest} at least)", deployment.name()));
        }
        Ok(())
    }

    /// A node is taken for lost only if it was silent.
    fn node(&self, node: &Object, old: Option<&Object>, net: &Net) -> Result<(), String> {
        let doubted = |n: &Object| n.list_at(&["status", "conditions"]).iter().any(|c| c["type"] == "Ready" && c["status"] == "Unknown");
        let lost = |n: &Object| doubted(n) || n.list_at(&["spec", "taints"]).iter().any(|t| t["key"] == UNREACHABLE && t["effect"] == "NoExecute");
        if !lost(node) || old.is_some_and(lost) {
            return Ok(());
        }
        if let Some(at) = net.returned.get(&Proc::Controllers).filter(|at| net.now.duration_since(**at) < SILENCE) {
            return Err(format!("{} was taken for lost soon after the controllers were cut off themselves, until {at}", node.name()));
        }
        let renewed = self.renewed.get(node.name()).cloned().unwrap_or_default();
        let until = renewed.iter().skip(1).copied().chain([net.now]);
        let longest = renewed.iter().zip(until).map(|(from, to)| to.duration_since(*from)).max();
        match longest {
            Some(silence) if silence < SILENCE => Err(format!("{} was taken for lost, and never silent for longer than {silence:#}", node.name())),
            _ => Ok(()),
        }
    }

    fn allow(&mut self, deployment: &Object, now: Timestamp) {
        let allowed = self.allowed.entry(deployment.uid().to_owned()).or_default();
        allowed.push((now, promised(deployment).0));
        let newest = allowed.len() - 1;
        let mut index = 0;
        allowed.retain(|(at, _)| {
            index += 1;
            index > newest || now.duration_since(*at) < STALE
        });
    }

    /// A Deployment never asks its ReplicaSets for more pods than it is allowed together.
    fn replica_set(&mut self, set: &Object, old: Option<&Object>, net: &Net) -> Result<(), String> {
        let Some(owner) = set.controller() else { return Ok(()) };
        if replicas(set) <= old.map_or(0, replicas) {
            return Ok(());
        }
        let total: i64 = owned(net, "replicasets", &owner.uid).map(|s| replicas(s.object())).sum();
        let most = self.allowed.get(&owner.uid).and_then(|a| a.iter().map(|(_, most)| *most).max()).unwrap_or_default();
        if total > most { Err(format!("{} asks for {total} pods, {most} at most", owner.name)) } else { Ok(()) }
    }
}
