//! `state` as one log in memory: each write is a compare-and-swap of one object. What becomes of it is decided by the real strategies, the real steps of
//! admission and the pure halves of the verbs.
use jiff::Timestamp;
use model::{ApiError, Key, Kind, Kinds, Object, Reason, Stored, Subresource, patch};
use state::admission::service::Ranges;
use state::admission::{Admission, Admit};
use state::authz::Authorizer;
use state::deletion::{self, DeletionOptions, DeletionPlan};
use state::eviction::{self, BUDGETS, Eviction};
use state::lookup::ObjectLookup;
use state::subresource::binding;
use state::write::{self, WriteOf};
use state::{identity, meta};
use state_client::{Body, ListReply, PatchKind, Reply, Request, Verb};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One message of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whether the object is gone.
    pub deleted: bool,
    /// The object, or what it was last.
    pub object: Arc<Stored>,
    /// What was there before.
    pub old: Option<Arc<Stored>>,
}

/// All objects, and how they came to be so.
pub struct Store {
    /// The table of kinds.
    pub kinds: Arc<Kinds>,
    /// The objects.
    pub objects: BTreeMap<Key, Arc<Stored>>,
    /// The log; entry `i` has revision `i + 1`.
    pub log: Vec<Entry>,
    admission: Admission,
    serial: u64,
}

fn replied(object: Arc<Stored>) -> Reply {
    Reply::Object { object, created: false, warnings: Vec::new() }
}

fn success() -> Reply {
    Reply::Json { json: "{}".into(), code: 200, warnings: Vec::new() }
}

fn not_found(key: &Key) -> ApiError {
    ApiError::not_found(&key.group, &key.resource, &key.name)
}

/// What the authorizer sees: nobody but those who may do anything asks.
struct Nothing;

impl ObjectLookup for Nothing {
    fn get(&self, _key: &Key) -> Option<Arc<Stored>> {
        None
    }
    fn list(&self, _group: &str, _resource: &str, _namespace: &str) -> Vec<Arc<Stored>> {
        Vec::new()
    }
}

impl ObjectLookup for Store {
    fn get(&self, key: &Key) -> Option<Arc<Stored>> {
        self.objects.get(key).cloned()
    }
    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Stored>> {
        self.within(&Key::new(group, resource, namespace, "")).map(|(_, o)| o.clone()).collect()
    }
}

impl Store {
    /// An empty one.
    pub fn new(kinds: Arc<Kinds>) -> Self {
        let admission = Admission::new(Authorizer::new(Arc::new(Nothing)), Ranges::default(), Arc::default(), None, Duration::ZERO);
        Self { kinds, objects: BTreeMap::new(), log: Vec::new(), admission, serial: 0 }
    }

    /// The last revision.
    pub fn revision(&self) -> u64 {
        self.log.len() as u64
    }

    /// One object.
    pub fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<&Arc<Stored>> {
        self.objects.get(&Key::new(group, resource, namespace, name))
    }

    /// All objects of a resource.
    pub fn all<'a>(&'a self, resource: &'a str) -> impl Iterator<Item = &'a Arc<Stored>> {
        self.objects.iter().filter(move |(k, _)| *k.resource == *resource).map(|(_, o)| o)
    }

    /// Carries out a request.
    ///
    /// # Errors
    /// As the API answers.
    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Result<Reply, ApiError> {
        let kind = self.kinds.resource(&request.group, &request.resource).cloned().ok_or_else(|| ApiError::bad_request("no such resource"))?;
        let key = Key::new(request.group.clone(), request.resource.clone(), request.namespace.clone(), request.name.clone());
        let sub = kind.subresource(&request.subresource);
        match (request.verb, sub, &request.body) {
            (Verb::Create, Some(Subresource::BINDING), Body::Object(body)) => {
                self.change(&kind, &key, sub, &|old| binding::apply(body, old, now)).map(|_| success())
            }
            (Verb::Create, Some(Subresource::EVICTION), _) => self.evict(&kind, &key, now),
            (Verb::Create, _, Body::Object(object)) => self.create(&kind, key, (**object).clone(), now),
            (Verb::Update, _, Body::Object(object)) => self.change(&kind, &key, sub, &|_| Ok((**object).clone())),
            (Verb::Patch, _, Body::Patch(how, bytes)) => self.change(&kind, &key, sub, &|old| match how {
                PatchKind::Merge => patch::apply_merge(old, bytes),
                PatchKind::Strategic => patch::apply_strategic(old, bytes, kind.schema.name()),
                PatchKind::Json | PatchKind::Apply => patch::apply_json(old, bytes),
            }),
            (Verb::Delete, ..) => self.delete(&kind, &key, &DeletionOptions::of(&request.options, None)?, now),
            (Verb::DeleteCollection, ..) => {
                let keys: Vec<Key> = self.within(&key).map(|(k, _)| k.clone()).collect();
                keys.iter().try_for_each(|k| self.delete(&kind, k, &DeletionOptions::default(), now).map(drop)).map(|()| success())
            }
            (Verb::Get, ..) => self.objects.get(&key).cloned().map(replied).ok_or_else(|| not_found(&key)),
            (Verb::List, ..) => {
                let items = self.within(&key).map(|(_, o)| o.clone()).collect();
                Ok(Reply::List(ListReply { items, revision: self.revision(), ..ListReply::default() }))
            }
            _ => Err(ApiError::bad_request("not simulated")),
        }
    }

    fn within<'a>(&'a self, all: &'a Key) -> impl Iterator<Item = (&'a Key, &'a Arc<Stored>)> {
        let same = |k: &Key| k.group == all.group && k.resource == all.resource && (all.namespace.is_empty() || k.namespace == all.namespace);
        self.objects.iter().filter(move |(k, _)| same(k))
    }

    fn entropy(&self) -> u64 {
        self.serial.wrapping_mul(0x9e37_79b9)
    }

    /// Passes a write through the steps of admission.
    fn admit(&self, of: &WriteOf<'_>, object: &mut Object, old: Option<&Object>) -> Result<(), ApiError> {
        let user = identity::own();
        let request = Admit { user: &user, kind: of.row, subresource: of.sub, old, view: self, entropy: self.entropy() };
        self.admission.admit(&request, object).map(drop).map_err(|refusal| refusal.error)
    }

    fn create(&mut self, kind: &Kind, key: Key, mut object: Object, now: Timestamp) -> Result<Reply, ApiError> {
        self.serial += 1;
        if !key.namespace.is_empty() {
            object.set(&["metadata", "namespace"], &*key.namespace);
        }
        let of = WriteOf { kind, row: kind, sub: None, forms: &model::managed::NoForms };
        // a name that is taken would be tried again with another one
        write::propose_new(&of, &mut object, self.entropy(), &format!("uid-{}", self.serial), now);
        self.admit(&of, &mut object, None)?;
        write::finish_new(&of, &mut object)?;
        let key = Key { name: object.name().into(), ..key };
        if self.objects.contains_key(&key) {
            return Err(ApiError::already_exists(&key.group, &key.resource, &key.name));
        }
        self.put(key, object).map(replied)
    }

    fn change(&mut self, kind: &Kind, key: &Key, sub: Option<Subresource>, propose: &dyn Fn(&Object) -> Result<Object, ApiError>) -> Result<Reply, ApiError> {
        let stored = self.objects.get(key).cloned().ok_or_else(|| not_found(key))?;
        let old = stored.object();
        let mut new = propose(old)?;
        let of = WriteOf { kind, row: kind, sub, forms: &model::managed::NoForms };
        write::propose_change(&of, &mut new, old)?;
        let mut new = write::cover(&of, new, old);
        self.admit(&of, &mut new, Some(old))?;
        write::finish_change(&of, &mut new, old)?;
        if deletion::due(kind, &new) {
            self.bury(key, new).map(replied)
        } else if meta::unchanged(&new, old) {
            Ok(replied(stored))
        } else {
            self.put(key.clone(), new).map(replied)
        }
    }

    fn delete(&mut self, kind: &Kind, key: &Key, asked: &DeletionOptions, now: Timestamp) -> Result<Reply, ApiError> {
        let old = self.objects.get(key).cloned().ok_or_else(|| not_found(key))?;
        deletion::check_preconditions(kind, old.object(), asked)?;
        let plan = deletion::plan(kind, old.object(), asked, now);
        self.end(key, old, plan)
    }

    /// A pod and what its eviction takes of its budget are written together.
    fn evict(&mut self, kind: &Kind, key: &Key, now: Timestamp) -> Result<Reply, ApiError> {
        let pod = self.objects.get(key).cloned().ok_or_else(|| not_found(key))?;
        let budgets = self.list(BUDGETS.0, BUDGETS.1, &key.namespace);
        if let Eviction::Counted(budget) = eviction::judge(pod.object(), &budgets, now)? {
            self.put(Key::new(BUDGETS.0, BUDGETS.1, key.namespace.clone(), budget.name()), *budget)?;
        }
        let plan = eviction::ending(kind, pod.object(), &DeletionOptions::default(), now);
        self.end(key, pod, plan)
    }

    fn end(&mut self, key: &Key, old: Arc<Stored>, plan: DeletionPlan) -> Result<Reply, ApiError> {
        match plan {
            DeletionPlan::Pending => Ok(replied(old)),
            DeletionPlan::Mark(object) => self.put(key.clone(), object).map(replied),
            DeletionPlan::Remove(object) => self.bury(key, object).map(replied),
        }
    }

    fn next(&self, key: &Key, mut object: Object) -> Result<Arc<Stored>, ApiError> {
        object.set(&["metadata", "resourceVersion"], (self.revision() + 1).to_string());
        Stored::from_object(key.clone(), object).map(Arc::new)
    }

    fn put(&mut self, key: Key, object: Object) -> Result<Arc<Stored>, ApiError> {
        let stored = self.next(&key, object)?;
        let old = self.objects.insert(key, stored.clone());
        self.log.push(Entry { deleted: false, object: stored.clone(), old });
        Ok(stored)
    }

    fn bury(&mut self, key: &Key, object: Object) -> Result<Arc<Stored>, ApiError> {
        let stored = self.next(key, object)?;
        let old = self.objects.remove(key);
        self.log.push(Entry { deleted: true, object: stored.clone(), old });
        Ok(stored)
    }
}

/// The error of a request whose reply never came.
pub fn lost() -> ApiError {
    ApiError::new(Reason::Timeout, "no reply in time")
}
