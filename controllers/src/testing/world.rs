//! A small replacement for `state`: objects in a map, a log of changes, and the rules of `state` on which controllers rely.
use jiff::Timestamp;
use model::{ApiError, Key, Kind, Kinds, Object, Stored};
use serde_json::{Value, json};
use state_client::{Body, ListReply, Propagation, Reply, Request, Verb};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One change.
#[derive(Clone, Debug)]
pub struct Entry {
    pub deleted: bool,
    pub object: Arc<Stored>,
}

/// All objects.
pub struct World {
    kinds: Arc<Kinds>,
    pub objects: BTreeMap<Key, Arc<Stored>>,
    pub log: Vec<Entry>,
    pub revision: u64,
    pub now: Timestamp,
    serial: u64,
    /// Creations of this resource fail with this.
    pub refuse: Option<(&'static str, ApiError)>,
    /// Changes of this resource fail with this.
    pub refuse_patches: Option<(&'static str, ApiError)>,
}

impl World {
    pub fn new(kinds: Arc<Kinds>, now: Timestamp) -> Self {
        Self { kinds, objects: BTreeMap::new(), log: Vec::new(), revision: 0, now, serial: 0, refuse: None, refuse_patches: None }
    }

    pub fn create(&mut self, object: Value) -> Result<Arc<Stored>, ApiError> {
        let object = Object::from_value(object)?;
        let kind = self.kinds.of(object.api_version(), object.kind()).unwrap().clone();
        let request = Request::new(Verb::Create, &kind.group, &kind.resource, object.namespace(), "").body(Body::Object(Box::new(object)));
        match self.handle(request)? {
            Reply::Object { object, .. } => Ok(object),
            _ => unreachable!("creations reply with objects"),
        }
    }

    pub fn handle(&mut self, request: Request) -> Result<Reply, ApiError> {
        let kind = self.kinds.resource(&request.group, &request.resource).expect("a known resource").clone();
        let key = Key::new(request.group.clone(), request.resource.clone(), request.namespace.clone(), request.name.clone());
        match request.verb {
            Verb::Create => self.create_object(&kind, key, &request),
            Verb::Patch => self.change(&kind, &key, &request, |old, body| match body {
                Body::Patch(state_client::PatchKind::Strategic, patch) => model::patch::apply_strategic(old, patch, kind.schema.name()),
                Body::Patch(_, patch) => model::patch::apply_merge(old, patch),
                _ => unreachable!("a patch has a patch"),
            }),
            Verb::Update => self.change(&kind, &key, &request, |_, body| match body {
                Body::Object(object) => Ok((**object).clone()),
                _ => unreachable!("an update has an object"),
            }),
            Verb::Delete => self.delete(&key, &request),
            Verb::DeleteCollection => {
                let keys: Vec<Key> = self.objects.keys().filter(|k| k.resource == key.resource && k.namespace == key.namespace).cloned().collect();
                keys.iter().for_each(|k| self.forget(k));
                Ok(Reply::Json { json: "{}".into(), code: 200, warnings: Vec::new() })
            }
            Verb::Get => self.objects.get(&key).map(|o| reply(o.clone())).ok_or_else(|| ApiError::not_found(&key.group, &key.resource, &key.name)),
            Verb::List => {
                let within = |k: &Key| k.group == key.group && k.resource == key.resource && (key.namespace.is_empty() || k.namespace == key.namespace);
                let items = self.objects.iter().filter(|(k, _)| within(k)).map(|(_, o)| o.clone()).collect();
                Ok(Reply::List(ListReply { items, revision: self.revision, ..ListReply::default() }))
            }
            Verb::Watch | Verb::Connect => unreachable!("not a request"),
        }
    }

    fn create_object(&mut self, kind: &Kind, key: Key, request: &Request) -> Result<Reply, ApiError> {
        if let Some((resource, error)) = &self.refuse
            && *resource == &*kind.resource
        {
            return Err(error.clone());
        }
        let Body::Object(object) = &request.body else { unreachable!("a creation has an object") };
        let mut object = (**object).clone();
        self.serial += 1;
        if object.name().is_empty() {
            let name = format!("{}{:05}", object.str_at(&["metadata", "generateName"]), self.serial);
            object.set(&["metadata", "name"], name);
        }
        let key = Key { name: object.name().into(), ..key };
        if self.objects.contains_key(&key) {
            return Err(ApiError::already_exists(&key.group, &key.resource, &key.name));
        }
        object.set(&["metadata", "uid"], format!("uid-{}", self.serial));
        object.set(&["metadata", "creationTimestamp"], model::time::format(self.now));
        object.set(&["metadata", "generation"], 1);
        Ok(reply(self.put(key, object)))
    }

    fn change(&mut self, kind: &Kind, key: &Key, request: &Request, new: impl Fn(&Object, &Body) -> Result<Object, ApiError>) -> Result<Reply, ApiError> {
        if let Some((resource, error)) = &self.refuse_patches
            && *resource == &*kind.resource
        {
            return Err(error.clone());
        }
        let old = self.objects.get(key).cloned().ok_or_else(|| ApiError::not_found(&key.group, &key.resource, &key.name))?;
        let old = old.object();
        let mut new = new(old, &request.body)?;
        if new.uid() != old.uid() || new.resource_version() != old.resource_version() {
            return Err(ApiError::modified(&key.group, &key.resource, &key.name));
        }
        if kind.has(model::Subresource::STATUS) {
            // status is written through its subresource only, and nothing else is
            let (from, to) = if &*request.subresource == "status" { (new.clone(), old.clone()) } else { (old.clone(), new.clone()) };
            new = to;
            match from.at(&["status"]) {
                Some(status) => new.set(&["status"], status.clone()),
                None => _ = new.remove(&["status"]),
            }
        }
        if new.at(&["spec"]) != old.at(&["spec"]) {
            new.set(&["metadata", "generation"], old.generation() + 1);
        }
        if new.deletion_timestamp().is_some() && !held(&new) && !ends_slowly(key, &new) {
            self.forget(key);
            return Ok(reply(Arc::new(Stored::from_object(key.clone(), new)?)));
        }
        if new == *old {
            return Ok(reply(self.objects.get(key).cloned().unwrap()));
        }
        Ok(reply(self.put(key.clone(), new)))
    }

    fn delete(&mut self, key: &Key, request: &Request) -> Result<Reply, ApiError> {
        let old = self.objects.get(key).cloned().ok_or_else(|| ApiError::not_found(&key.group, &key.resource, &key.name))?;
        let mut new = old.object().clone();
        let options = &request.options;
        if !options.precondition_uid.is_empty() && options.precondition_uid != new.uid() {
            return Err(ApiError::conflict(&key.group, &key.resource, &key.name, "the UID differs"));
        }
        let finalizer = match options.propagation {
            Some(Propagation::Foreground) => Some("foregroundDeletion"),
            Some(Propagation::Orphan) => Some("orphan"),
            _ => None,
        };
        if let Some(finalizer) = finalizer {
            let mut all = new.list_at(&["metadata", "finalizers"]).to_vec();
            all.push(json!(finalizer));
            new.set(&["metadata", "finalizers"], all);
        }
        if new.deletion_timestamp().is_none() {
            new.set(&["metadata", "deletionTimestamp"], model::time::format(self.now));
        }
        let graceful = options.grace_period_seconds != Some(0) && ends_slowly(key, &new);
        if held(&new) || graceful || &*key.resource == "namespaces" {
            return Ok(reply(self.put(key.clone(), new)));
        }
        self.forget(key);
        Ok(Reply::Json { json: "{}".into(), code: 200, warnings: Vec::new() })
    }

    fn put(&mut self, key: Key, mut object: Object) -> Arc<Stored> {
        self.revision += 1;
        object.set(&["metadata", "resourceVersion"], self.revision.to_string());
        let stored = Arc::new(Stored::from_object(key.clone(), object).unwrap());
        self.objects.insert(key, stored.clone());
        self.log.push(Entry { deleted: false, object: stored.clone() });
        stored
    }

    /// Takes an object out at once.
    pub fn forget(&mut self, key: &Key) {
        let Some(last) = self.objects.remove(key) else { return };
        self.revision += 1;
        let mut object = last.object().clone();
        object.set(&["metadata", "resourceVersion"], self.revision.to_string());
        let object = Arc::new(Stored::from_object(key.clone(), object).unwrap());
        self.log.push(Entry { deleted: true, object });
    }
}

/// Whether a node says when it is gone.
fn ends_slowly(key: &Key, object: &Object) -> bool {
    &*key.resource == "pods" && !object.str_at(&["spec", "nodeName"]).is_empty()
}

fn held(object: &Object) -> bool {
    object.finalizers().next().is_some() || (object.kind() == "Namespace" && !object.list_at(&["spec", "finalizers"]).is_empty())
}

fn reply(object: Arc<Stored>) -> Reply {
    Reply::Object { object, created: false, warnings: Vec::new() }
}
