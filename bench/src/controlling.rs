//! The controllers alone: no bus, no watches, one thread. What is timed is the engine: taking in changes, planning, taking in outcomes. What carries
//! the plans out and plays the nodes is the simulation's store, and isn't timed.
use crate::report::rounded;
use clap::Args;
use controllers::runtime::actor::request;
use controllers::runtime::engine::WriteOutcome;
use controllers::runtime::{Engine, Guard, Resource, Write};
use jiff::Timestamp;
use model::{ApiError, Key, Kinds, Object};
use serde_json::{Value, json};
use simulation::store::Store;
use state_client::{Body, Change, PatchKind, Propagation, Reply, Request, Verb};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much there is to control.
#[derive(Args, Debug)]
pub struct Options {
    /// Deployments
    #[arg(long, default_value_t = 1000)]
    deployments: usize,
    /// Pods of each
    #[arg(long, default_value_t = 3)]
    replicas: usize,
}

/// Why a measurement didn't take place.
#[derive(Debug, thiserror::Error)]
pub enum ControllingError {
    /// The controllers don't go together.
    #[error(transparent)]
    Start(#[from] controllers::runtime::StartError),
    /// The store refused what a user or a node would write.
    #[error("{0}")]
    Refused(#[from] ApiError),
    /// It did not become quiet with as many pods as there should be.
    #[error("{phase}: there are {found} pods rather than {wanted}")]
    Pods {
        /// When.
        phase: &'static str,
        /// How many.
        found: usize,
        /// And how many there should be.
        wanted: usize,
    },
}

/// Plans that are carried out at once, as in the real runtime.
const PARALLEL: usize = 256;
const SPACE: &str = "a";

struct Bench {
    engine: Engine,
    store: Store,
    now: Timestamp,
    /// How much of the log the engine and the nodes have seen.
    seen: usize,
    spent: Duration,
}

impl Bench {
    fn new() -> Result<Self, ControllingError> {
        let kinds: Arc<Kinds> = Arc::new(model::kinds::builtin());
        let engine = controllers::engine(&controllers::Options::new("PEM", kinds.clone()))?;
        let mut bench = Self { engine, store: Store::new(kinds), now: Timestamp::UNIX_EPOCH, seen: 0, spent: Duration::ZERO };
        for resource in bench.engine.resources() {
            bench.engine.observe(&resource, vec![Change::Synced], None, bench.now);
        }
        bench.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}))?;
        bench.settle()?;
        Ok(bench)
    }

    fn create(&mut self, object: Value) -> Result<(), ControllingError> {
        let object = Object::from_value(object)?;
        let kind = self.store.kinds.of(object.api_version(), object.kind()).cloned();
        let kind = kind.ok_or_else(|| ApiError::bad_request("no such kind"))?;
        let space = if kind.namespaced() { SPACE } else { "" };
        let request = Request::new(Verb::Create, &kind.group, &kind.resource, space, "").body(Body::Object(Box::new(object)));
        self.store.handle(&request, self.now)?;
        Ok(())
    }

    fn patch(&mut self, key: &Key, subresource: &str, patch: &Value) -> Result<(), ControllingError> {
        let to = Request::new(Verb::Patch, &key.group, &key.resource, &key.namespace, &key.name).subresource(subresource);
        self.store.handle(&to.body(Body::Patch(PatchKind::Merge, patch.to_string().into())), self.now)?;
        Ok(())
    }

    fn timed<T>(&mut self, work: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let start = Instant::now();
        let done = work(&mut self.engine, self.now);
        self.spent += start.elapsed();
        done
    }

    /// Until nothing moves any more.
    fn settle(&mut self) -> Result<(), ControllingError> {
        loop {
            let shown = self.show();
            self.run_pods()?;
            let jobs = self.timed(|engine, now| engine.turn(now, PARALLEL));
            if jobs.is_empty() && !shown && self.seen == self.store.log.len() {
                return Ok(());
            }
            for job in jobs {
                let outcomes = job.plan.writes.iter().map(|write| carry_out(&mut self.store, write, self.now)).collect();
                self.timed(|engine, now: Timestamp| drop(engine.finish(job, outcomes, now)));
            }
        }
    }

    /// Shows what is new in the log; whether there was anything.
    fn show(&mut self) -> bool {
        let revision = self.store.revision();
        let mut news: BTreeMap<Resource, Vec<Change>> = BTreeMap::new();
        for entry in self.store.log.iter().skip(self.seen) {
            let change =
                if entry.deleted { Change::Deleted(entry.object.clone()) } else { Change::Applied { old: entry.old.clone(), new: entry.object.clone() } };
            news.entry(Resource::of_key(&entry.object.key)).or_default().push(change);
        }
        self.seen = self.store.log.len();
        let any = !news.is_empty();
        for (resource, changes) in news {
            self.timed(|engine, now| engine.observe(&resource, changes, Some(revision), now));
        }
        any
    }

    /// The nodes: pods that were shown are Ready.
    fn run_pods(&mut self) -> Result<(), ControllingError> {
        let waiting: Vec<Key> = self.store.all("pods").filter(|p| p.object().str_at(&["status", "phase"]) != "Running").map(|p| p.key.clone()).collect();
        let condition = json!({"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:00Z"});
        let status = json!({"status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [condition]}});
        waiting.iter().try_for_each(|key| self.patch(key, "status", &status))
    }

    fn deployments(&self) -> Vec<Key> {
        self.store.all("deployments").map(|d| d.key.clone()).collect()
    }

    /// Does something to the cluster, waits until all is as it is to be, and says what that took.
    fn phase(&mut self, phase: &'static str, pods: usize, what: impl FnOnce(&mut Self) -> Result<(), ControllingError>) -> Result<Value, ControllingError> {
        let total = |bench: &Self| bench.engine.stats().iter().fold((0, 0), |(plans, writes), s| (plans + s.plans, writes + s.writes));
        what(self)?;
        let (plans_before, writes_before) = total(self);
        self.spent = Duration::ZERO;
        self.settle()?;
        let (found, (plans, writes)) = (self.store.all("pods").count(), total(self));
        if found != pods {
            return Err(ControllingError::Pods { phase, found, wanted: pods });
        }
        let (plans, writes, seconds) = (plans - plans_before, writes - writes_before, self.spent.as_secs_f64());
        Ok(json!({
            "what": "controllers", "load": phase, "pods": pods, "plans": plans, "writes": writes, "seconds": rounded(seconds, 4),
            "plans_per_s": (plans as f64 / seconds).round(), "us_per_write": rounded(seconds * 1e6 / writes.max(1) as f64, 2),
        }))
    }
}

fn carry_out(store: &mut Store, write: &Write, now: Timestamp) -> WriteOutcome {
    if !write.guards.iter().all(|guard| holds(store, guard)) {
        return WriteOutcome::Held;
    }
    match store.handle(&request(&mut write.clone()), now) {
        Ok(Reply::Object { object, .. }) => WriteOutcome::Done(Some(object)),
        Ok(_) => WriteOutcome::Done(None),
        Err(error) => WriteOutcome::Failed(error),
    }
}

fn holds(store: &Store, guard: &Guard) -> bool {
    match guard {
        Guard::Absent { key, uid } => store.objects.get(key).is_none_or(|o| !uid.is_empty() && o.object().uid() != uid),
        Guard::Empty { resource, namespace } => !store.objects.keys().any(|k| resource.holds(k) && *k.namespace == **namespace),
    }
}

fn deployment(i: usize, replicas: usize) -> Value {
    let (name, container) = (format!("d{i}"), json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}));
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}});
    let spec = json!({"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})
}

/// Deployments made, rolled over to a new template, and deleted.
///
/// # Errors
/// [`ControllingError`] when the cluster doesn't become what it is to be.
pub fn run(options: &Options) -> Result<Vec<Value>, ControllingError> {
    let (mut bench, pods) = (Bench::new()?, options.deployments * options.replicas);
    let made = bench.phase("made", pods, |b| (0..options.deployments).try_for_each(|i| b.create(deployment(i, options.replicas))))?;
    let rolled = bench.phase("rolled over", pods, |b| {
        let patch = json!({"spec": {"template": {"metadata": {"annotations": {"rolled": "once"}}}}});
        b.deployments().iter().try_for_each(|key| b.patch(key, "", &patch))
    })?;
    let gone = bench.phase("deleted", 0, |b| {
        b.deployments().iter().try_for_each(|key| {
            let mut request = Request::new(Verb::Delete, &key.group, &key.resource, &key.namespace, &key.name);
            request.options.propagation = Some(Propagation::Background);
            b.store.handle(&request, b.now).map(drop).map_err(Into::into)
        })
    })?;
    Ok(vec![made, rolled, gone])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deployments_are_made_rolled_over_and_deleted() {
        let lines = run(&Options { deployments: 3, replicas: 2 }).expect("figures");
        let loads: Vec<&str> = lines.iter().filter_map(|l| l["load"].as_str()).collect();
        assert_eq!(loads, ["made", "rolled over", "deleted"]);
        assert!(lines.iter().all(|l| l["plans"].as_u64() > Some(0) && l["plans_per_s"].as_f64() > Some(0.0)), "{lines:?}");
    }
}
