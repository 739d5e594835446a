//! A state that only remembers: enough of `state` for agents, on a bus without NATS.
use bus::{Bus, Caller, Duplex, Role, Service};
use model::{ApiError, Key, Object, Stored};
use serde_json::{Value, json};
use state_client::{Batch, Body, Client, Event, PatchKind, Reply, Request, Verb, WatchRequest};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::broadcast;

type Change = (Arc<Stored>, bool);

struct Inner {
    objects: Mutex<(u64, BTreeMap<Key, Arc<Stored>>)>,
    changes: broadcast::Sender<Change>,
}

/// The state and the bus that it is on.
pub struct State {
    pub bus: Bus,
    inner: Arc<Inner>,
    _services: [Service; 3],
}

fn merge(target: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            if !target.is_object() {
                *target = json!({});
            }
            for (name, value) in fields {
                if value.is_null() {
                    target.as_object_mut().unwrap().remove(name);
                } else {
                    merge(&mut target[name], value);
                }
            }
        }
        other => *target = other.clone(),
    }
}

fn selected(selector: &str, object: &Object) -> bool {
    selector.split(',').filter(|s| !s.is_empty()).all(|term| {
        let (path, value) = term.split_once('=').unwrap();
        object.str_at(&path.split('.').collect::<Vec<_>>()) == value
    })
}

impl Inner {
    fn put(&self, key: Key, mut object: Object) -> Arc<Stored> {
        let mut objects = self.objects.lock().unwrap();
        objects.0 += 1;
        object.set(&["metadata", "resourceVersion"], objects.0.to_string());
        object.set(&["metadata", "name"], &*key.name);
        if !key.namespace.is_empty() {
            object.set(&["metadata", "namespace"], &*key.namespace);
        }
        if object.uid().is_empty() {
            object.set(&["metadata", "uid"], uuid::Uuid::new_v4().to_string());
        }
        let stored = Arc::new(Stored::from_object(key.clone(), object).unwrap());
        objects.1.insert(key, stored.clone());
        self.changes.send((stored.clone(), false)).ok();
        stored
    }

    fn get(&self, key: &Key) -> Result<Arc<Stored>, ApiError> {
        self.objects.lock().unwrap().1.get(key).cloned().ok_or_else(|| ApiError::not_found("", &key.resource, &key.name))
    }

    fn delete(&self, key: &Key, grace: Option<i64>, uid: &str) -> Result<Arc<Stored>, ApiError> {
        let old = self.get(key)?;
        if !uid.is_empty() && old.object().uid() != uid {
            return Err(ApiError::conflict("", &key.resource, &key.name, "uid"));
        }
        if let (true, Some(seconds)) = (&*key.resource == "pods", grace.filter(|g| *g > 0)) {
            let mut object = old.object().clone();
            let at = jiff::Timestamp::now() + Duration::from_secs(seconds.unsigned_abs());
            object.set(&["metadata", "deletionTimestamp"], at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            object.set(&["metadata", "deletionGracePeriodSeconds"], seconds);
            return Ok(self.put(key.clone(), object));
        }
        let mut objects = self.objects.lock().unwrap();
        objects.0 += 1;
        objects.1.remove(key);
        let mut last = old.object().clone();
        last.set(&["metadata", "resourceVersion"], objects.0.to_string());
        let last = Arc::new(Stored::from_object(key.clone(), last).unwrap());
        self.changes.send((last.clone(), true)).ok();
        Ok(last)
    }

    fn answer(&self, request: Request) -> Result<Reply, ApiError> {
        let key = Key::new(&*request.group, &*request.resource, &*request.namespace, &*request.name);
        let object = |object, created| Ok(Reply::Object { object, created, warnings: Vec::new() });
        if &*request.subresource == "token" {
            let expires = jiff::Timestamp::now() + Duration::from_secs(3600);
            let status = json!({"status": {"token": format!("token-{}", request.name), "expirationTimestamp": expires.to_string()}});
            return Ok(Reply::Json { json: status.to_string().into(), code: 201, warnings: Vec::new() });
        }
        match (request.verb, request.body) {
            (Verb::Get, _) => object(self.get(&key)?, false),
            (Verb::Create, Body::Object(o)) => {
                let key = Key::new(key.group, key.resource, key.namespace, o.name());
                if self.get(&key).is_ok() { Err(ApiError::already_exists("", &key.resource, &key.name)) } else { object(self.put(key, *o), true) }
            }
            (Verb::Patch, Body::Patch(PatchKind::Merge, bytes)) => {
                let old = self.get(&key)?;
                let mut value = Value::Object(old.object().0.clone());
                let patch: Value = serde_json::from_slice(&bytes).unwrap();
                if patch["metadata"]["uid"].as_str().is_some_and(|uid| uid != old.object().uid()) {
                    return Err(ApiError::conflict("", &key.resource, &key.name, "uid"));
                }
                merge(&mut value, &patch);
                object(self.put(key, Object::from_value(value).unwrap()), false)
            }
            (Verb::Delete, _) => object(self.delete(&key, request.options.grace_period_seconds, &request.options.precondition_uid)?, false),
            (verb, _) => Err(ApiError::bad_request(format!("{verb:?} is not remembered"))),
        }
    }

    async fn watch(&self, request: WatchRequest, mut stream: Duplex<Vec<Event>, ()>) {
        let mut changes = self.changes.subscribe();
        let wanted = request.request;
        let matches = |s: &Stored| {
            s.key.resource == wanted.resource
                && (wanted.namespace.is_empty() || s.key.namespace == wanted.namespace)
                && selected(&wanted.options.field_selector, s.object())
        };
        let (revision, mut events): (u64, Vec<Event>) = {
            let objects = self.objects.lock().unwrap();
            (objects.0, objects.1.values().filter(|s| matches(s)).cloned().map(Event::Added).collect())
        };
        if request.initial_events == Some(true) {
            events.push(Event::Bookmark { revision, initial_events_end: true });
        } else {
            events.clear();
        }
        if stream.send(events).await.is_err() {
            return;
        }
        while let Ok((object, deleted)) = changes.recv().await {
            if object.revision > revision && matches(&object) {
                let event = if deleted { Event::Deleted(object) } else { Event::Modified(object) };
                if stream.send(vec![event]).await.is_err() {
                    return;
                }
            }
        }
    }
}

impl State {
    pub async fn start() -> Self {
        let bus = Bus::local("test", Caller::new(Role::State, "s"));
        let inner = Arc::new(Inner { objects: Mutex::default(), changes: broadcast::channel(4096).0 });
        let (a, b, many) = (inner.clone(), inner.clone(), inner.clone());
        let api = bus.serve::<Box<Request>, _, _>("s", 64, move |i| {
            let inner = a.clone();
            async move { inner.answer(*i.message) }
        });
        let batch = bus.serve::<Batch, _, _>("s", 64, move |i| {
            let replies: Vec<_> = i.message.0.into_iter().map(|request| many.answer(request)).collect();
            async move { replies }
        });
        let watch = bus.accept::<WatchRequest, _, _>("s", move |opening| {
            let inner = b.clone();
            async move {
                let request = opening.message.clone();
                if let Ok(stream) = opening.accept().await {
                    tokio::spawn(async move { inner.watch(request, stream).await });
                }
            }
        });
        let services = [api.await.unwrap(), batch.await.unwrap(), watch.await.unwrap()];
        Self { bus, inner, _services: services }
    }

    pub fn client(&self) -> Client {
        Client::new(self.bus.speaking_as(Caller::new(Role::Admin, "test")))
    }

    pub async fn create(&self, resource: &str, namespace: &str, object: Value) -> Arc<Stored> {
        let group = if resource == "endpointslices" { "discovery.k8s.io" } else { "" };
        self.client().create(group, resource, namespace, Object::from_value(object).unwrap()).await.unwrap()
    }

    pub async fn delete_pod(&self, name: &str, grace: i64) {
        let mut request = Request::new(Verb::Delete, "", "pods", "default", name);
        request.options.grace_period_seconds = Some(grace);
        self.client().call(request).await.unwrap();
    }

    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        self.inner.get(&Key::new("", resource, namespace, name)).ok()
    }

    pub fn all(&self, resource: &str) -> Vec<Arc<Stored>> {
        self.inner.objects.lock().unwrap().1.values().filter(|s| &*s.key.resource == resource).cloned().collect()
    }

    /// Waits until an object is as wanted; `None` is an object that isn't there.
    pub async fn until(&self, resource: &str, namespace: &str, name: &str, what: &str, wanted: impl Fn(Option<&Object>) -> bool) -> Option<Arc<Stored>> {
        let mut changes = self.inner.changes.subscribe();
        let wait = async {
            loop {
                let now = self.get(resource, namespace, name);
                if wanted(now.as_deref().map(Stored::object)) {
                    return now;
                }
                changes.recv().await.ok();
            }
        };
        match tokio::time::timeout(Duration::from_secs(30), wait).await {
            Ok(object) => object,
            Err(_) => {
                let now = self.get(resource, namespace, name).map(|s| serde_json::to_string_pretty(&s.object().0).unwrap());
                let events: Vec<String> =
                    self.all("events").iter().map(|e| format!("{} {}", e.object().str_at(&["reason"]), e.object().str_at(&["message"]))).collect();
                panic!("{resource} {namespace}/{name} never became {what}: {}\nevents: {events:#?}", now.unwrap_or_default())
            }
        }
    }

    pub async fn pod(&self, name: &str, what: &str, wanted: impl Fn(&Object) -> bool) -> Arc<Stored> {
        self.until("pods", "default", name, what, |o| o.is_some_and(&wanted)).await.unwrap()
    }

    pub async fn no_pod(&self, name: &str) {
        self.until("pods", "default", name, "absent", |o| o.is_none()).await;
    }

    pub fn reasons(&self, pod: &str) -> Vec<String> {
        let about = |e: &Arc<Stored>| e.object().str_at(&["involvedObject", "name"]) == pod;
        let mut found: Vec<_> = self.all("events").into_iter().filter(about).collect();
        found.sort_by_key(|e| e.revision);
        found.iter().map(|e| e.object().str_at(&["reason"]).to_owned()).collect()
    }
}
