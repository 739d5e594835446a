//! Test harness: runs the real engine against a small store in memory with simulated nodes. Time is virtual, and a seed repeats a run.
mod local;
mod seats;
mod world;
pub use world::World;

use crate::runtime::engine::{Dispatch, WriteOutcome};
use crate::runtime::{Controller, Engine, Guard, Resource, actor::request, later};
use jiff::{SignedDuration, Timestamp};
use model::{Key, Object};
use serde_json::{Value, json};
use state_client::events::EventWrite;
use state_client::{Change, Reply, Request, Verb};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The engine, its world, and what is between them.
pub struct Sim {
    pub world: World,
    pub engine: Engine,
    pub now: Timestamp,
    /// What each watch has shown so far.
    shown: BTreeMap<Resource, usize>,
    jobs: VecDeque<Dispatch>,
    pub events: Vec<String>,
    /// Plans that did something, printed.
    pub plans: Vec<String>,
}

impl Sim {
    pub fn new(controllers: Vec<Box<dyn Controller>>) -> Self {
        let kinds = Arc::new(model::kinds::builtin());
        let engine = Engine::new(controllers, kinds.clone(), &crate::lookups()).unwrap();
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let world = World::new(kinds, now);
        Self { world, engine, now, shown: BTreeMap::new(), jobs: VecDeque::new(), events: Vec::new(), plans: Vec::new() }
    }

    /// The process ends and begins anew: what was under way is lost, and it has seen nothing.
    pub fn restart(&mut self, controllers: Vec<Box<dyn Controller>>) {
        self.engine = Engine::new(controllers, Arc::new(model::kinds::builtin()), &crate::lookups()).unwrap();
        self.jobs.clear();
        self.shown.clear();
    }

    /// Shows one resource's news to the engine.
    pub fn show(&mut self, resource: &Resource) -> bool {
        let from = self.shown.get(resource).copied();
        let log = self.world.log.iter().skip(from.unwrap_or(0)).filter(|e| resource.holds(&e.object.key));
        let mut changes: Vec<Change> = log
            .map(|e| match e.deleted {
                true => Change::Deleted(e.object.clone()),
                false => Change::Applied { old: None, new: e.object.clone() },
            })
            .collect();
        if from.is_none() {
            changes.push(Change::Synced);
        }
        let news = !changes.is_empty();
        self.shown.insert(resource.clone(), self.world.log.len());
        self.engine.observe(resource, changes, Some(self.world.revision), self.now);
        news
    }

    pub fn show_all(&mut self) -> bool {
        self.engine.resources().iter().map(|r| self.show(r)).fold(false, |a, b| a | b)
    }

    /// Plans what can be planned.
    pub fn plan(&mut self) {
        let jobs = self.engine.turn(self.now, 64);
        self.plans.extend(jobs.iter().map(|j| j.plan.to_string()));
        self.jobs.extend(jobs);
    }

    /// Carries out one plan.
    pub fn act(&mut self) -> bool {
        let Some(job) = self.jobs.pop_front() else { return false };
        let outcomes = job.plan.writes.iter().map(|write| self.outcome(write)).collect();
        for event in self.engine.finish(job, outcomes, self.now) {
            if let EventWrite::Create(e) = event {
                self.events.push(format!("{} {}: {}", e.str_at(&["involvedObject", "name"]), e.str_at(&["reason"]), e.str_at(&["message"])));
            }
        }
        true
    }

    fn outcome(&mut self, write: &crate::runtime::Write) -> WriteOutcome {
        if !write.guards.iter().all(|g| self.holds(g)) {
            return WriteOutcome::Held;
        }
        match self.world.handle(request(&mut write.clone())) {
            Ok(Reply::Object { object, .. }) => WriteOutcome::Done(Some(object)),
            Ok(_) => WriteOutcome::Done(None),
            Err(e) => WriteOutcome::Failed(e),
        }
    }

    fn holds(&self, guard: &Guard) -> bool {
        match guard {
            Guard::Absent { key, uid } => self.world.objects.get(key).is_none_or(|o| !uid.is_empty() && o.object().uid() != uid),
            Guard::Empty { resource, namespace } => !self.world.objects.keys().any(|k| resource.holds(k) && *k.namespace == **namespace),
        }
    }

    /// Until nothing moves any more, without time passing.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let shown = self.show_all();
            self.plan();
            if !self.act() && !shown && self.jobs.is_empty() {
                return;
            }
            while self.act() {}
        }
        panic!("it doesn't settle:\n{}", self.plans.iter().rev().take(5).cloned().collect::<String>());
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: i64) {
        self.now = later(self.now, SignedDuration::from_secs(seconds));
        self.world.now = self.now;
        self.settle();
    }

    pub fn create(&mut self, object: Value) -> Arc<model::Stored> {
        self.world.create(object).unwrap()
    }

    /// Merge-patches `status` or (`""`) the main resource.
    pub fn patch(&mut self, resource: &Resource, name: &str, subresource: &str, patch: Value) {
        let request = Request::new(Verb::Patch, &resource.group, &resource.name, if cluster(resource) { "" } else { "a" }, name);
        let body = state_client::Body::Patch(state_client::PatchKind::Merge, patch.to_string().into());
        self.world.handle(request.subresource(subresource).body(body)).unwrap();
    }

    pub fn delete(&mut self, resource: &Resource, name: &str, propagation: Option<state_client::Propagation>) {
        let mut request = Request::new(Verb::Delete, &resource.group, &resource.name, if cluster(resource) { "" } else { "a" }, name);
        request.options.propagation = propagation;
        self.world.handle(request).unwrap();
    }

    pub fn get(&self, resource: &Resource, name: &str) -> Option<Object> {
        let key = resource.key(if cluster(resource) { "" } else { "a" }, name);
        self.world.objects.get(&key).map(|o| o.object().clone())
    }

    pub fn all(&self, resource: &Resource) -> Vec<Arc<model::Stored>> {
        self.world.objects.iter().filter(|(k, _)| resource.holds(k)).map(|(_, o)| o.clone()).collect()
    }

    /// One of the things that happen at any time, as two numbers say it: a node does what is next for a pod, plans are made, one is carried out, or a watch
    /// shows what is new.
    pub fn happens(&mut self, what: u8, which: usize, node: impl Fn(&mut Self, &model::Stored)) {
        match what {
            0 | 1 => {
                let pods = self.all(&Resource::PODS);
                if let Some(pod) = pods.get(which % pods.len().max(1)) {
                    node(self, pod);
                }
            }
            2 => self.plan(),
            3 => _ = self.act(),
            _ => {
                let resources = self.engine.resources();
                let resource = resources[which % resources.len()].clone();
                self.show(&resource);
            }
        }
    }

    pub fn names(&self, resource: &Resource) -> Vec<String> {
        self.all(resource).iter().map(|o| o.key.name.to_string()).collect()
    }

    /// What a hollow node does to one pod: takes it, gets it ready, lets it go.
    pub fn hollow(&mut self, pod: &Key) {
        if self.world.objects.get(pod).is_some_and(|o| !ready(o.object()) && o.object().deletion_timestamp().is_none()) {
            self.patch(&Resource::PODS, &pod.name, "", json!({"spec": {"nodeName": "n1"}}));
        }
        self.hollow_as_bound(pod);
    }

    /// The same for a pod that is bound already.
    pub fn hollow_as_bound(&mut self, pod: &Key) {
        let Some(object) = self.world.objects.get(pod).map(|o| o.object().clone()) else { return };
        if object.deletion_timestamp().is_some() {
            self.world.forget(pod);
        } else if !ready(&object) {
            let condition = json!({"type": "Ready", "status": "True", "lastTransitionTime": model::time::format(self.now)});
            let status = json!({"status": {"phase": "Running", "podIP": format!("10.0.0.{}", pod.name.len()), "conditions": [condition]}});
            self.patch(&Resource::PODS, &pod.name, "status", status);
        }
    }

    /// All pods, until all is quiet.
    pub fn run_pods(&mut self) {
        for _ in 0..200 {
            self.settle();
            let moving: Vec<Key> =
                self.all(&Resource::PODS).iter().filter(|p| !ready(p.object()) || p.object().deletion_timestamp().is_some()).map(|p| p.key.clone()).collect();
            if moving.is_empty() {
                return;
            }
            moving.iter().for_each(|key| self.hollow(key));
        }
        panic!("pods don't come to rest");
    }
}

pub fn ready(pod: &Object) -> bool {
    pod.list_at(&["status", "conditions"]).iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

fn cluster(resource: &Resource) -> bool {
    model::kinds::builtin().resource(&resource.group, &resource.name).is_some_and(|kind| !kind.namespaced())
}

/// A Deployment of `replicas` in namespace `a`.
pub fn deployment(name: &str, replicas: i64, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "a"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}},
        },
    })
}
