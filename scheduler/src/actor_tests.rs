//! The loop over a bus without NATS, against a small `state`: it holds objects, answers batches and follows watches.
use crate::run;
use crate::testing::{claim, node, pod, storage_class, stored, volume};
use bus::{Bus, Caller, Opening, Role, Service};
use model::{ApiError, Object, Stored};
use serde_json::{Value, json};
use state_client::api::Batch;
use state_client::{Body, Event, Reply, Request, Verb, WatchRequest};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// All objects by resource and name, each with every write as an event in order.
#[derive(Default)]
struct Log {
    events: Vec<(String, Event)>,
    objects: BTreeMap<(String, String), Object>,
    /// Bindings to refuse before one is taken.
    refusals: usize,
}

#[derive(Clone)]
struct World {
    log: Arc<Mutex<Log>>,
    changed: watch::Sender<usize>,
}

impl World {
    fn new() -> Self {
        Self { log: Arc::default(), changed: watch::channel(0).0 }
    }

    fn change<T>(&self, f: impl FnOnce(&mut Log) -> T) -> T {
        let mut log = self.log.lock().expect("no panic while held");
        let result = f(&mut log);
        self.changed.send_replace(log.events.len());
        result
    }

    fn put(&self, resource: &str, object: Object) -> Arc<Stored> {
        self.change(|log| log.put(resource, object))
    }

    fn delete(&self, resource: &str, name: &str) {
        self.change(|log| log.delete(resource, name));
    }

    /// What `look` finds, once it finds something.
    async fn until<T>(&self, look: impl Fn(&Log) -> Option<T>) -> T {
        let mut changes = self.changed.subscribe();
        let found = async {
            loop {
                if let Some(found) = look(&self.log.lock().expect("no panic while held")) {
                    return found;
                }
                changes.changed().await.expect("the sender lives");
            }
        };
        tokio::time::timeout(Duration::from_secs(10), found).await.expect("it happens")
    }

    async fn until_bound(&self, name: &str) -> String {
        self.until(|log| log.get("pods", name).map(|p| p.str_at(&["spec", "nodeName"]).to_owned()).filter(|n| !n.is_empty())).await
    }

    async fn serve(&self, bus: &Bus) -> (Service, Service) {
        let (world, watched) = (self.clone(), self.clone());
        let batches = bus.serve("a", 8, move |batch: bus::Incoming<Batch>| {
            let world = world.clone();
            async move { batch.message.0.into_iter().map(|r| world.change(|log| log.write(r))).collect() }
        });
        let watches = bus.accept("a", move |opening: Opening<WatchRequest>| watched.clone().follow(opening));
        (batches.await.expect("served"), watches.await.expect("accepted"))
    }

    async fn follow(self, opening: Opening<WatchRequest>) {
        let (resource, mut seen) = (opening.message.request.resource.to_string(), 0);
        let mut changes = self.changed.subscribe();
        let mut stream = opening.accept().await.expect("the opener is there");
        loop {
            let (events, at) = {
                let log = self.log.lock().expect("no panic while held");
                let events: Vec<Event> = log.events.get(seen..).unwrap_or_default().iter().filter(|(r, _)| *r == resource).map(|(_, e)| e.clone()).collect();
                (events, log.events.len())
            };
            let first = seen == 0;
            seen = at;
            let end = Event::Bookmark { revision: at as u64, initial_events_end: first };
            if stream.send(events.into_iter().chain([end]).collect()).await.is_err() || changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Log {
    fn get(&self, resource: &str, name: &str) -> Option<&Object> {
        self.objects.get(&(resource.to_owned(), name.to_owned()))
    }

    fn put(&mut self, resource: &str, mut object: Object) -> Arc<Stored> {
        object.set(&["metadata", "resourceVersion"], (self.events.len() + 1).to_string());
        let put = Arc::new(stored(resource, json!(object)));
        self.objects.insert((resource.to_owned(), object.name().to_owned()), object);
        self.events.push((resource.to_owned(), Event::Added(put.clone())));
        put
    }

    fn delete(&mut self, resource: &str, name: &str) -> Arc<Stored> {
        let mut object = self.objects.remove(&(resource.to_owned(), name.to_owned())).expect("it is there");
        object.set(&["metadata", "resourceVersion"], (self.events.len() + 1).to_string());
        let last = Arc::new(stored(resource, json!(object)));
        self.events.push((resource.to_owned(), Event::Deleted(last.clone())));
        last
    }

    fn write(&mut self, request: Request) -> Result<Reply, ApiError> {
        let resource = request.resource.to_string();
        if request.verb == Verb::Delete {
            let pod = self.get(&resource, &request.name).cloned().unwrap_or_default();
            assert_eq!(pod.uid(), request.options.precondition_uid);
            assert_eq!(pod.list_at(&["status", "conditions"])[0]["reason"], "PreemptionByScheduler", "it says first why it goes");
            return Ok(Reply::Object { object: self.delete(&resource, &request.name), created: false, warnings: Vec::new() });
        }
        let object = match (request.verb, &*request.subresource, request.body) {
            (Verb::Create, "binding", Body::Object(binding)) => self.bind(&request.name, binding.str_at(&["target", "name"]))?,
            (Verb::Create, "", Body::Object(object)) => *object,
            (Verb::Patch, _, Body::Patch(_, json)) => {
                let mut object = self.get(&resource, &request.name).cloned().ok_or_else(|| ApiError::not_found("", &resource, &request.name))?;
                let patch: BTreeMap<String, Value> = serde_json::from_slice(&json).expect("a patch");
                for (key, value) in patch.get("metadata").and_then(|m| m["annotations"].as_object()).into_iter().flatten() {
                    object.set(&["metadata", "annotations", key], value.clone());
                }
                patch.into_iter().filter(|(k, _)| k != "metadata").for_each(|(k, v)| object.set(&[&k], v));
                object
            }
            other => panic!("not expected: {other:?}"),
        };
        Ok(Reply::Object { object: self.put(&resource, object), created: true, warnings: Vec::new() })
    }

    fn bind(&mut self, name: &str, node: &str) -> Result<Object, ApiError> {
        if self.refusals > 0 {
            self.refusals -= 1;
            return Err(ApiError::modified("", "pods", name));
        }
        let mut pod = self.get("pods", name).cloned().ok_or_else(|| ApiError::not_found("", "pods", name))?;
        pod.set(&["spec", "nodeName"], node);
        Ok(pod)
    }

    fn event(&self, reason: &str, name: &str) -> Option<(String, i64)> {
        let mut events = self.objects.iter().filter(|((resource, _), _)| resource == "events").map(|(_, e)| e);
        let found = events.find(|e| e.str_at(&["reason"]) == reason && e.str_at(&["involvedObject", "name"]) == name)?;
        Some((found.str_at(&["message"]).to_owned(), found.int_at(&["count"])?))
    }
}

/// A scheduler that runs in a world until this is dropped.
struct Running {
    _services: (Service, Service),
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), crate::SchedulerError>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn scheduled(world: &World) -> Running {
    let bus = Bus::local("test", Caller::new(Role::State, "a"));
    let services = world.serve(&bus).await;
    let cancel = CancellationToken::new();
    let task = tokio::spawn(run(state_client::Client::new(bus.speaking_as(Caller::new(Role::Scheduler, "a"))), cancel.clone()));
    Running { _services: services, cancel, task }
}

#[tokio::test]
async fn pods_are_bound_and_the_assignment_is_said() {
    let world = World::new();
    world.put("nodes", node("n1").0);
    world.put("pods", pod("before").cpu("1").0);
    let _running = scheduled(&world).await;
    assert_eq!(world.until_bound("before").await, "n1");
    world.put("pods", pod("after").cpu("1").0);
    world.put("pods", pod("foreign").set(&["spec", "schedulerName"], json!("other")).0);
    assert_eq!(world.until_bound("after").await, "n1");
    let (message, count) = world.until(|log| log.event("Scheduled", "after")).await;
    assert_eq!((message.as_str(), count), ("Successfully assigned default/after to n1", 1));
    assert_eq!(world.until(|log| log.get("pods", "foreign").cloned()).await.str_at(&["spec", "nodeName"]), "");
}

#[tokio::test]
async fn a_pod_that_fits_nowhere_says_why_and_is_bound_when_there_is_room() {
    let world = World::new();
    world.put("nodes", node("n1").0);
    world.put("pods", pod("full").cpu("4").on("n1").0);
    world.put("pods", pod("waiting").cpu("1").0);
    let _running = scheduled(&world).await;
    let why = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
    assert_eq!(world.until(|log| log.event("FailedScheduling", "waiting")).await.0, why);
    let condition = world.until(|log| log.get("pods", "waiting")?.list_at(&["status", "conditions"]).first().cloned()).await;
    assert_eq!(
        (&condition["type"], &condition["status"], &condition["reason"], &condition["message"]),
        (&json!("PodScheduled"), &json!("False"), &json!("Unschedulable"), &json!(why))
    );
    world.delete("pods", "full");
    assert_eq!(world.until_bound("waiting").await, "n1");
}

#[tokio::test]
async fn a_binding_that_is_refused_gives_its_place_back_and_is_tried_again() {
    let world = World::new();
    world.change(|log| log.refusals = 1);
    world.put("nodes", node("n1").0);
    world.put("pods", pod("a").cpu("4").0);
    let _running = scheduled(&world).await;
    assert_eq!(world.until_bound("a").await, "n1");
}

#[tokio::test]
async fn it_stops_when_told() {
    let world = World::new();
    world.put("nodes", node("n1").0);
    world.put("pods", pod("a").0);
    let mut running = scheduled(&world).await;
    world.until_bound("a").await;
    running.cancel.cancel();
    tokio::time::timeout(Duration::from_secs(5), &mut running.task).await.expect("in time").expect("no panic").expect("no failure");
}

#[tokio::test]
async fn room_is_made_for_a_more_important_pod() {
    let world = World::new();
    world.put("nodes", node("n1").0);
    world.put("pods", pod("low").cpu("4").on("n1").0);
    world.put("pods", pod("high").cpu("4").priority(100).0);
    let _running = scheduled(&world).await;
    assert_eq!(world.until_bound("high").await, "n1");
    let (message, _) = world.until(|log| log.event("Preempted", "low")).await;
    assert_eq!(message, "Preempted by pod high on node n1");
    assert!(world.until(|log| Some(log.get("pods", "low").is_none())).await);
}

#[tokio::test]
async fn a_pod_whose_volume_is_yet_to_be_made_is_bound_once_it_is() {
    let world = World::new();
    let object = |value: Value| Object::from_value(value).expect("a map");
    world.put("nodes", node("n1").0);
    world.put("storageclasses", object(storage_class("fast", "example.com/disk", "WaitForFirstConsumer")));
    world.put("persistentvolumeclaims", object(claim("data", "fast", "1Gi", &json!({}), &[])));
    world.put("pods", pod("db").claim("data").0);
    let _running = scheduled(&world).await;
    let key = "volume.kubernetes.io/selected-node";
    let mut selected = world.until(|log| log.get("persistentvolumeclaims", "data").filter(|c| c.annotation(key) == Some("n1")).cloned()).await;
    assert_eq!(world.until(|log| log.get("pods", "db").cloned()).await.str_at(&["spec", "nodeName"]), "");
    world.put("persistentvolumes", object(volume("v", "fast", "1Gi", &[])));
    selected.set(&["spec", "volumeName"], "v");
    selected.set(&["metadata", "annotations", "pv.kubernetes.io/bind-completed"], "yes");
    world.put("persistentvolumeclaims", selected);
    assert_eq!(world.until_bound("db").await, "n1");
}
