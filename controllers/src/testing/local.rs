//! Runs the real I/O of the runtime over a bus within the process. Watches, batches and the clock are real; `state` is replaced by the small store of the
//! harness.
use super::{World, deployment, ready};
use crate::runtime::Resource;
use crate::{Controllers, Options};
use bus::actor::System;
use bus::{Bus, Caller, Incoming, Opening, Role};
use jiff::Timestamp;
use model::{ApiError, Object};
use serde_json::json;
use state_client::api::Batch;
use state_client::metrics::{MetricQuery, MetricValue};
use state_client::{Change, Client, Event, Reflector, Request, WatchRequest};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// The world, and how far its log goes.
#[derive(Clone)]
struct State {
    world: Arc<Mutex<World>>,
    length: Arc<watch::Sender<usize>>,
    /// Turned to cut all watches.
    cut: Arc<watch::Sender<u32>>,
}

impl State {
    fn new() -> Self {
        let world = World::new(Arc::new(model::kinds::builtin()), Timestamp::now());
        Self { world: Arc::new(Mutex::new(world)), length: Arc::new(watch::Sender::new(0)), cut: Arc::new(watch::Sender::new(0)) }
    }

    fn handle(&self, request: Request) -> Result<state_client::Reply, ApiError> {
        let mut world = self.world.lock().unwrap();
        world.now = Timestamp::now();
        let reply = world.handle(request);
        self.length.send_replace(world.log.len());
        reply
    }

    /// What was logged of a resource from `from` on, and the end.
    fn news(&self, resource: &str, from: usize) -> (Vec<Event>, usize, u64) {
        let world = self.world.lock().unwrap();
        let log = world.log.iter().skip(from).filter(|e| *e.object.key.resource == *resource);
        let events = log.map(|e| if e.deleted { Event::Deleted(e.object.clone()) } else { Event::Modified(e.object.clone()) }).collect();
        (events, world.log.len(), world.revision)
    }

    async fn watch(self, opening: Opening<WatchRequest>) {
        let request = opening.message.request.clone();
        let initial = opening.message.initial_events == Some(true);
        let (mut length, mut cut) = (self.length.subscribe(), self.cut.subscribe());
        let Ok(mut stream) = opening.accept().await else { return };
        let mut from = if initial { 0 } else { request.options.resource_version.parse().unwrap() };
        let mut ends_initial = initial;
        loop {
            let (mut events, end, revision) = self.news(&request.resource, from);
            from = end;
            events.push(Event::Bookmark { revision, initial_events_end: std::mem::take(&mut ends_initial) });
            if stream.send(events).await.is_err() {
                return;
            }
            tokio::select! {
                changed = length.changed() => if changed.is_err() { return },
                _ = cut.changed() => return,
            }
        }
    }

    async fn serve(&self, bus: &Bus) -> [bus::Service; 3] {
        let (one, many, watches) = (self.clone(), self.clone(), self.clone());
        let one = bus.serve("s", 64, move |asked: Incoming<Box<Request>>| {
            let reply = one.handle(*asked.message);
            async move { reply }
        });
        let many = bus.serve("s", 64, move |asked: Incoming<Batch>| {
            let replies: Vec<_> = asked.message.0.into_iter().map(|r| many.handle(r)).collect();
            async move { replies }
        });
        let watches = bus.accept("s", move |opening: Opening<WatchRequest>| watches.clone().watch(opening));
        [one.await.unwrap(), many.await.unwrap(), watches.await.unwrap()]
    }
}

/// Gets each pod that comes ready, and lets go of each that is to go.
async fn hollow_node(client: Client, state: State) {
    let mut pods = Reflector::of(client.clone(), "", "pods", "");
    loop {
        for change in pods.next().await {
            let Change::Applied { new, .. } = change else { continue };
            if new.object().deletion_timestamp().is_some() {
                state.world.lock().unwrap().forget(&new.key);
                state.length.send_modify(|n| *n += 1);
            } else if !ready(new.object()) {
                let condition = json!({"type": "Ready", "status": "True", "lastTransitionTime": model::time::format(Timestamp::now())});
                let status = json!({"status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [condition]}});
                client.merge("", "pods", "status", "a", &new.key.name, &status).await.unwrap();
            }
        }
    }
}

/// Waits until an object is as wanted, by a watch.
async fn until(client: &Client, resource: &Resource, name: &str, wanted: impl Fn(Option<&Object>) -> bool) {
    let mut copy = Reflector::of(client.clone(), &resource.group, &resource.name, "");
    let seen = async {
        loop {
            copy.next().await;
            if wanted(copy.get("a", name).map(|o| o.object())) {
                return;
            }
        }
    };
    within(seen).await;
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("in time")
}

fn available(n: i64) -> impl Fn(Option<&Object>) -> bool {
    move |d| d.is_some_and(|d| d.int_at(&["status", "availableReplicas"]) == Some(n) && d.int_at(&["status", "updatedReplicas"]) == Some(n))
}

/// All controllers, running.
fn run(bus: &Bus, system: &System) -> Controllers {
    let controllers = Controllers::new(Options::new("PEM", Arc::new(model::kinds::builtin()))).unwrap();
    let (running, speaks) = (controllers.clone(), Client::new(bus.speaking_as(Caller::new(Role::Controllers, "c"))));
    system.task("controllers", move |cancel| {
        let (running, speaks) = (running.clone(), speaks.clone());
        async move { running.run(speaks, "c".to_owned(), cancel).await }
    });
    controllers
}

#[tokio::test]
async fn an_autoscaler_goes_by_what_a_program_says() {
    let bus = Bus::local("test", Caller::new(Role::State, "s"));
    let state = State::new();
    let _services = state.serve(&bus).await;
    let client = Client::new(bus.speaking_as(Caller::new(Role::Admin, "test")));
    let source = bus.speaking_as(Caller::new(Role::Gateway, "g"));
    let serving = source.serve("g", 4, |asked: Incoming<MetricQuery>| async move {
        assert_eq!(asked.caller, Caller::new(Role::Controllers, "c"));
        let value = |value: &str| MetricValue { of: String::new(), value: value.to_owned(), at: Timestamp::now() };
        match asked.message {
            MetricQuery::External { metric, .. } if metric == "queue" => Ok(vec![value("25"), value("9500m")]),
            other => Err(ApiError::not_found("external.metrics.k8s.io", "metrics", &format!("{other:?}"))),
        }
    });
    let _source = serving.await.unwrap();
    let system = System::new();
    run(&bus, &system);
    let object = |v| Object::from_value(v).unwrap();
    client.create("", "namespaces", "", object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}))).await.unwrap();
    client.create("apps", "deployments", "a", object(deployment("web", 1, "v1"))).await.unwrap();
    let node = tokio::spawn(hollow_node(client.clone(), state.clone()));
    until(&client, &Resource::DEPLOYMENTS, "web", available(1)).await;
    let metric = json!({"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "10"}}});
    let spec = json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 9, "metrics": [metric]});
    let scaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h", "namespace": "a"}, "spec": spec});
    client.create("autoscaling", "horizontalpodautoscalers", "a", object(scaler)).await.unwrap();
    until(&client, &Resource::DEPLOYMENTS, "web", available(4)).await;
    node.abort();
    assert!(system.shutdown(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn all_controllers_over_a_bus() {
    let bus = Bus::local("test", Caller::new(Role::State, "s"));
    let state = State::new();
    let _services = state.serve(&bus).await;
    let client = Client::new(bus.speaking_as(Caller::new(Role::Admin, "test")));
    let system = System::new();
    let controllers = run(&bus, &system);
    let node = tokio::spawn(hollow_node(client.clone(), state.clone()));
    let object = |v| Object::from_value(v).unwrap();
    client.create("", "namespaces", "", object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}))).await.unwrap();
    client.create("apps", "deployments", "a", object(deployment("web", 30, "v1"))).await.unwrap();
    until(&client, &Resource::DEPLOYMENTS, "web", available(30)).await;
    until(&client, &Resource::CONFIG_MAPS, "kube-root-ca.crt", |c| c.is_some()).await;
    until(&client, &Resource::SERVICE_ACCOUNTS, "default", |c| c.is_some()).await;

    // all watches are cut in the middle of a rollout
    let rolled = json!({"spec": {"replicas": 12, "template": {"spec": {"containers": [{"name": "c", "image": "v2"}]}}}});
    client.merge("apps", "deployments", "", "a", "web", &rolled).await.unwrap();
    state.cut.send_modify(|n| *n += 1);
    until(&client, &Resource::DEPLOYMENTS, "web", available(12)).await;

    client.delete("apps", "deployments", "a", "web").await.unwrap();
    let mut pods = Reflector::of(client.clone(), "", "pods", "");
    within(async { while pods.next().await.is_empty() || pods.objects().next().is_some() {} }).await;

    let stats = within(controllers.stats()).await;
    assert_eq!(stats.len(), crate::all(&Options::new("PEM", Arc::new(model::kinds::builtin()))).len());
    assert!(stats.iter().all(|s| s.synced), "{stats:?}");
    let sets = stats.iter().find(|s| s.name == "replicaset-controller").unwrap();
    assert!(sets.plans > 0 && sets.writes >= 42, "{sets:?}");
    node.abort();
    assert!(system.shutdown(Duration::from_secs(5)).await);
}

#[test]
fn two_owners_of_the_same_are_refused() {
    let twice: Vec<Box<dyn crate::runtime::Controller>> = vec![Box::new(crate::replicaset::REPLICA_SETS), Box::new(crate::replicaset::REPLICA_SETS)];
    let refused = crate::runtime::Engine::new(twice, Arc::new(model::kinds::builtin()), &[]).err().unwrap();
    assert_eq!(refused.to_string(), "replicaset-controller and replicaset-controller both own Whole of pods (of ReplicaSets)");
}
