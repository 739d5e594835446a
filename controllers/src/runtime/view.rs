//! The view of the controllers: a copy of all watched resources with indexes, which all controllers share.
use super::item::Item;
use super::labels::Labels;
use super::outside::Outside;
use super::resource::Resource;
use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap, IndexSet};
use jiff::Timestamp;
use model::{Key, Kinds, OwnerReference};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A field that objects of a resource can be looked up by, and what tells its values in an object: none, one, or several.
pub type FieldIndex = (&'static str, fn(&Item, &mut dyn FnMut(Arc<str>)));

/// What objects have in common that are found together: with texts of its own as it is held, with borrowed ones as it is asked for, which each
/// change of an object does several times.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Term<S> {
    Owner(S),
    Uncontrolled(S),
    Label(S, S, S),
    Field(&'static str, Arc<str>),
}

impl Equivalent<StoredTerm> for QueriedTerm<'_> {
    fn equivalent(&self, held: &StoredTerm) -> bool {
        match (self, held) {
            (Self::Owner(uid), Term::Owner(held)) => *uid == &**held,
            (Self::Uncontrolled(namespace), Term::Uncontrolled(held)) => *namespace == &**held,
            (Self::Label(namespace, key, value), Term::Label(n, k, v)) => (*value, *key, *namespace) == (&**v, &**k, &**n),
            (Self::Field(field, value), Term::Field(f, v)) => (field, value) == (f, v),
            _ => false,
        }
    }
}

impl From<&QueriedTerm<'_>> for StoredTerm {
    fn from(asked: &QueriedTerm<'_>) -> Self {
        match asked {
            Term::Owner(uid) => Self::Owner((*uid).into()),
            Term::Uncontrolled(namespace) => Self::Uncontrolled((*namespace).into()),
            Term::Label(namespace, key, value) => Self::Label((*namespace).into(), (*key).into(), (*value).into()),
            Term::Field(field, value) => Self::Field(field, value.clone()),
        }
    }
}

type StoredTerm = Term<Box<str>>;
type QueriedTerm<'a> = Term<&'a str>;
type Name = (Arc<str>, Arc<str>);

/// An object, known by its namespace and name.
#[derive(Clone)]
struct Named(Arc<Item>);

/// What a [`Named`] is asked for by.
#[derive(PartialEq, Eq)]
struct ByName<'a> {
    namespace: &'a str,
    name: &'a str,
}

impl Named {
    fn called(&self) -> ByName<'_> {
        ByName { namespace: self.0.namespace(), name: self.0.name() }
    }
}

impl Hash for ByName<'_> {
    // those in one set are of the same namespace, or of few
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.name.hash(hasher);
    }
}

impl Hash for Named {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.called().hash(hasher);
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.called() == other.called()
    }
}

impl Eq for Named {}

impl Equivalent<Named> for ByName<'_> {
    fn equivalent(&self, named: &Named) -> bool {
        *self == named.called()
    }
}

/// Objects in the order in which they came, except that the last one takes the place of one that goes: the same after the same history.
type Members = IndexSet<Named, RandomState>;

/// How many deletions of a resource are remembered with their time.
const REMEMBERED: usize = 4096;

/// An object that went.
struct Gone {
    name: Name,
    at: Timestamp,
    owners: Option<Arc<[OwnerReference]>>,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<Arc<str>, Members>,
    index: IndexMap<StoredTerm, Members, RandomState>,
    fields: &'static [FieldIndex],
    by_label: bool,
    gone: BTreeMap<Name, Timestamp>,
    /// Those that went, the first ones first; some may have come back since.
    went: VecDeque<Gone>,
    revision: u64,
    synced_at: Option<Timestamp>,
    len: usize,
}

impl Table {
    /// Under what an object is found.
    fn terms<'a>(&self, item: &'a Item) -> Vec<QueriedTerm<'a>> {
        let owners = item.owners().iter().map(|o| QueriedTerm::Owner(&o.uid));
        let uncontrolled = item.controller().is_none().then(|| QueriedTerm::Uncontrolled(item.namespace()));
        let labels = item.labels().filter(|_| self.by_label).into_iter().flat_map(Labels::iter);
        let labels = labels.map(|(key, value)| QueriedTerm::Label(item.namespace(), key, value));
        let mut terms: Vec<QueriedTerm<'a>> = owners.chain(uncontrolled).chain(labels).collect();
        for (field, values) in self.fields {
            values(item, &mut |value| terms.push(QueriedTerm::Field(field, value)));
        }
        terms
    }

    /// What is likely to have much in common with an object: itself before, or another one of the same owner.
    fn kin(&self, item: &Item) -> Option<&Arc<Item>> {
        let before = self.get(item.namespace(), item.name());
        before.or_else(|| self.found(&QueriedTerm::Owner(&item.owners().first()?.uid)).next())
    }

    fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Item>> {
        self.rows.get(namespace)?.get(&ByName { namespace, name }).map(|named| &named.0)
    }

    fn insert(&mut self, item: Arc<Item>) -> Option<Arc<Item>> {
        let named = Named(item.clone());
        let rows = match self.rows.get_mut(item.namespace()) {
            Some(rows) => rows,
            None => self.rows.entry(item.key().namespace.clone()).or_default(),
        };
        let old = rows.replace(named.clone()).map(|old| old.0);
        if old.is_none() {
            self.len += 1;
            self.gone.remove(&name_of(item.key()));
        }
        let terms = self.terms(&item);
        let before = old.as_deref().map(|old| self.terms(old)).unwrap_or_default();
        for term in before.iter().filter(|term| !terms.contains(term)) {
            self.unlist(term, &named);
        }
        for term in &terms {
            match self.index.get_mut(term) {
                Some(members) => _ = members.replace(named.clone()),
                None => self.index.entry(StoredTerm::from(term)).or_default().extend([named.clone()]),
            }
        }
        old
    }

    fn unlist(&mut self, term: &QueriedTerm<'_>, named: &Named) {
        if let Some(members) = self.index.get_mut(term) {
            members.swap_remove(named);
            if members.is_empty() {
                self.index.swap_remove(term);
            }
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Arc<Item>> {
        let rows = self.rows.get_mut(&*key.namespace)?;
        let old = rows.swap_take(&ByName { namespace: &key.namespace, name: &key.name })?;
        if rows.is_empty() {
            self.rows.remove(&*key.namespace);
        }
        self.len -= 1;
        for term in self.terms(&old.0) {
            self.unlist(&term, &old);
        }
        Some(old.0)
    }

    fn bury(&mut self, last: &Item, now: Timestamp) {
        let name = name_of(last.key());
        self.gone.insert(name.clone(), now);
        self.went.push_back(Gone { name, at: now, owners: last.meta.owner_references.clone() });
        if self.went.len() > REMEMBERED
            && let Some(Gone { name, at, .. }) = self.went.pop_front()
            && self.gone.get(&name) == Some(&at)
        {
            self.gone.remove(&name);
        }
    }

    fn found(&self, term: &QueriedTerm<'_>) -> impl Iterator<Item = &Arc<Item>> + use<'_> {
        self.index.get(term).into_iter().flatten().map(|named| &named.0)
    }
}

fn name_of(key: &Key) -> Name {
    (key.namespace.clone(), key.name.clone())
}

/// The resource of a key, as a table is asked for by it: hashes as [`Resource`] does.
#[derive(Hash)]
struct OfKey<'a> {
    group: &'a str,
    name: &'a str,
}

impl Equivalent<Resource> for OfKey<'_> {
    fn equivalent(&self, resource: &Resource) -> bool {
        (self.name, self.group) == (&*resource.name, &*resource.group)
    }
}

/// Indexed copies of all watched resources. Only the runtime changes it; plans read it.
#[derive(Default)]
pub struct View {
    tables: IndexMap<Resource, Table, RandomState>,
    kinds: Arc<Kinds>,
    pub(super) outside: Outside,
}

impl View {
    /// An empty view over a table of kinds.
    pub fn new(kinds: Arc<Kinds>) -> Self {
        Self { kinds, ..Self::default() }
    }
    /// What is known beside objects.
    pub fn outside(&self) -> &Outside {
        &self.outside
    }
    /// The table of kinds.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }
    /// Makes room for a resource, with the fields that it can be looked up by; labels are indexed where `by_label`.
    pub fn watch(&mut self, resource: Resource, fields: &'static [FieldIndex], by_label: bool) {
        self.tables.insert(resource, Table { fields, by_label, ..Table::default() });
    }
    /// Forgets a resource.
    pub fn unwatch(&mut self, resource: &Resource) {
        self.tables.swap_remove(resource);
    }
    /// Another table of kinds.
    pub fn set_kinds(&mut self, kinds: Arc<Kinds>) {
        self.kinds = kinds;
    }
    /// The watched resources.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.tables.keys()
    }

    /// Puts an object in; returns it, and what was there.
    pub fn apply(&mut self, resource: &Resource, item: Item) -> (Arc<Item>, Option<Arc<Item>>) {
        let Some(table) = self.tables.get_mut(resource) else { return (Arc::new(item), None) };
        let item = Arc::new(match table.kin(&item) {
            Some(kin) => item.like(kin),
            None => item,
        });
        table.revision = table.revision.max(item.revision());
        (item.clone(), table.insert(item))
    }
    /// Takes an object out; `revision` is that of its deletion.
    pub fn delete(&mut self, resource: &Resource, key: &Key, revision: u64, now: Timestamp) -> Option<Arc<Item>> {
        let table = self.tables.get_mut(resource)?;
        table.revision = table.revision.max(revision);
        let old = table.remove(key)?;
        table.bury(&old, now);
        Some(old)
    }
    /// Nothing else happened up to `revision`.
    pub fn advance(&mut self, resource: &Resource, revision: u64) {
        if let Some(table) = self.tables.get_mut(resource) {
            table.revision = table.revision.max(revision);
        }
    }
    /// The copy of this resource is complete.
    pub fn set_synced(&mut self, resource: &Resource, now: Timestamp) {
        if let Some(table) = self.tables.get_mut(resource) {
            table.synced_at.get_or_insert(now);
        }
    }
    /// Since when the copy of this resource has been complete.
    pub fn synced_at(&self, resource: &Resource) -> Option<Timestamp> {
        self.tables.get(resource)?.synced_at
    }
    /// Up to which revision this resource was shown; `None` when it isn't watched.
    pub fn revision(&self, resource: &Resource) -> Option<u64> {
        self.tables.get(resource).map(|t| t.revision)
    }
    /// How many objects of this resource there are.
    pub fn count(&self, resource: &Resource) -> usize {
        self.tables.get(resource).map_or(0, |t| t.len)
    }

    /// One object.
    pub fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<&Arc<Item>> {
        self.tables.get(resource)?.get(namespace, name)
    }
    /// One object, by its key.
    pub fn at(&self, key: &Key) -> Option<&Arc<Item>> {
        self.tables.get(&OfKey { group: &key.group, name: &key.resource })?.get(&key.namespace, &key.name)
    }
    /// When this object was seen to go, if lately.
    pub fn gone_at(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Timestamp> {
        self.tables.get(resource)?.gone.get(&(namespace.into(), name.into())).copied()
    }
    /// When objects of a resource that `uid` controlled were seen to go lately, the last ones first.
    pub fn gone_of<'a>(&'a self, resource: &Resource, uid: &'a str) -> impl Iterator<Item = Timestamp> + use<'a> {
        let controlled = move |gone: &&Gone| gone.owners.iter().flat_map(|owners| owners.iter()).any(|o| o.controller == Some(true) && o.uid == uid);
        self.tables.get(resource).into_iter().flat_map(|table| table.went.iter().rev()).filter(controlled).map(|gone| gone.at)
    }
    /// All objects of a resource, by namespace.
    pub fn all(&self, resource: &Resource) -> impl Iterator<Item = &Arc<Item>> + use<'_> {
        self.tables.get(resource).into_iter().flat_map(|t| t.rows.values().flatten().map(|named| &named.0))
    }
    /// All objects of a resource in one namespace.
    pub fn in_namespace(&self, resource: &Resource, namespace: &str) -> impl Iterator<Item = &Arc<Item>> + use<'_> {
        self.tables.get(resource).and_then(|t| t.rows.get(namespace)).into_iter().flatten().map(|named| &named.0)
    }
    /// The objects of a resource that are found under a term.
    fn found(&self, resource: &Resource, term: &QueriedTerm<'_>) -> impl Iterator<Item = &Arc<Item>> + use<'_> {
        self.tables.get(resource).map(|t| t.found(term)).into_iter().flatten()
    }
    /// All objects of any resource that name `uid` as an owner.
    pub fn owned_by<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a Arc<Item>> + use<'a> {
        self.tables.values().flat_map(move |t| t.found(&QueriedTerm::Owner(uid)))
    }
    /// The objects of a resource that `uid` controls.
    pub fn controlled_by<'a>(&'a self, resource: &Resource, uid: &'a str) -> impl Iterator<Item = &'a Arc<Item>> + use<'a> {
        self.found(resource, &QueriedTerm::Owner(uid)).filter(move |i| i.controlled_by(uid))
    }
    /// The objects of a resource and namespace that nobody controls.
    pub fn uncontrolled(&self, resource: &Resource, namespace: &str) -> impl Iterator<Item = &Arc<Item>> + use<'_> {
        self.found(resource, &QueriedTerm::Uncontrolled(namespace))
    }
    /// The objects of a resource whose indexed field has this value.
    pub fn with_field(&self, resource: &Resource, field: &'static str, value: &str) -> impl Iterator<Item = &Arc<Item>> + use<'_> {
        self.found(resource, &QueriedTerm::Field(field, value.into()))
    }
    /// How many objects have this value in an indexed field.
    pub fn count_with_field(&self, resource: &Resource, field: &'static str, value: &str) -> usize {
        let term = QueriedTerm::Field(field, value.into());
        self.tables.get(resource).and_then(|t| t.index.get(&term)).map_or(0, IndexSet::len)
    }
    /// The objects of a label-indexed resource and namespace that carry all of these labels. None for no labels.
    pub fn labelled<'a>(&'a self, resource: &Resource, namespace: &str, labels: &'a Map<String, Value>) -> impl Iterator<Item = &'a Arc<Item>> + use<'a> {
        let table = self.tables.get(resource);
        let smallest = table.and_then(|t| {
            let sizes = labels.iter().map(|(key, value)| t.index.get(&QueriedTerm::Label(namespace, key, value.as_str().unwrap_or_default())));
            sizes.min_by_key(|members| members.map_or(0, IndexSet::len)).flatten()
        });
        let carries = move |item: &&Arc<Item>| labels.iter().all(|(k, v)| item.label(k) == v.as_str());
        smallest.into_iter().flatten().map(|named| &named.0).filter(carries)
    }
    /// The owner that a reference of an object in `namespace` means, if the view holds it with that UID.
    pub fn owner(&self, namespace: &str, reference: &model::OwnerReference) -> Option<&Arc<Item>> {
        let kind = self.kinds.of(&reference.api_version, &reference.kind)?;
        let namespace = if kind.namespaced() { namespace } else { "" };
        self.get(&Resource::of_kind(kind), namespace, &reference.name).filter(|i| i.uid() == reference.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Object, Stored};
    use serde_json::json;

    fn node(name: &str) -> Item {
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "resourceVersion": "1"}});
        let stored = Stored::from_object(Resource::NODES.key("", name), Object::from_value(object).unwrap()).unwrap();
        Item::new(Arc::new(stored), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn deletions_are_remembered_until_too_many_others_followed() {
        let mut view = View::new(Arc::new(model::kinds::builtin()));
        view.watch(Resource::NODES, &[], false);
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let mut delete = |name: &str, second: i64| {
            view.apply(&Resource::NODES, node(name));
            view.delete(&Resource::NODES, &Resource::NODES.key("", name), 2, at(second));
            ["back", "first", "last"].map(|name| view.gone_at(&Resource::NODES, "", name))
        };
        delete("back", 1);
        delete("first", 2);
        assert_eq!(delete("back", 3), [Some(at(3)), Some(at(2)), None]);
        for n in 0..REMEMBERED - 2 {
            delete(&format!("n{n}"), 4);
        }
        // what went twice is remembered by the second time
        assert_eq!(delete("last", 5), [Some(at(3)), None, Some(at(5))]);
        view.apply(&Resource::NODES, node("last"));
        assert_eq!(view.gone_at(&Resource::NODES, "", "last"), None, "it has come back");
    }

    fn pod(name: &str, revision: u64, app: &str, owner: &str) -> Item {
        let owners = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "controller": true}]);
        let metadata = json!({"name": name, "namespace": "a", "resourceVersion": revision.to_string(), "labels": {"app": app}, "ownerReferences": owners});
        let object = Object::from_value(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})).unwrap();
        Item::new(Arc::new(Stored::from_object(Resource::PODS.key("a", name), object).unwrap()), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_changed_object_is_found_by_what_it_has_now() {
        let mut view = View::new(Arc::new(model::kinds::builtin()));
        view.watch(Resource::PODS, &[], true);
        let found = |view: &View| {
            let labelled = |app: &str| view.labelled(&Resource::PODS, "a", json!({"app": app}).as_object().unwrap()).map(|i| i.revision()).collect::<Vec<_>>();
            let owned = |uid: &str| view.controlled_by(&Resource::PODS, uid).map(|i| i.revision()).collect::<Vec<_>>();
            (labelled("x"), labelled("y"), owned("r"), owned("s"))
        };
        assert!(view.apply(&Resource::PODS, pod("p", 1, "x", "r")).1.is_none());
        assert_eq!(found(&view), (vec![1], vec![], vec![1], vec![]));
        // the same indexes, and then others
        assert_eq!(view.apply(&Resource::PODS, pod("p", 2, "x", "r")).1.map(|old| old.revision()), Some(1));
        assert_eq!(found(&view), (vec![2], vec![], vec![2], vec![]));
        view.apply(&Resource::PODS, pod("p", 3, "y", "s"));
        assert_eq!((found(&view), view.count(&Resource::PODS)), ((vec![], vec![3], vec![], vec![3]), 1));
        view.delete(&Resource::PODS, &Resource::PODS.key("a", "p"), 4, Timestamp::UNIX_EPOCH);
        assert_eq!((found(&view), view.count(&Resource::PODS)), ((vec![], vec![], vec![], vec![]), 0));
        assert!(view.tables[&Resource::PODS].index.is_empty());
    }

    #[test]
    fn pods_of_one_owner_keep_what_they_have_in_common_once() {
        let mut view = View::new(Arc::new(model::kinds::builtin()));
        view.watch(Resource::PODS, &[], true);
        let mut put = |item: Item| {
            view.apply(&Resource::PODS, item);
            let owners = |name: &str| view.get(&Resource::PODS, "a", name).map(|i| i.owners().as_ptr());
            (owners("p") == owners("q"), view.get(&Resource::PODS, "a", "q").and_then(|i| i.label("app").map(str::to_owned)))
        };
        put(pod("p", 1, "x", "r"));
        assert_eq!(put(pod("q", 2, "x", "r")), (true, Some("x".to_owned())));
        assert_eq!(put(pod("q", 3, "y", "r")), (true, Some("y".to_owned())), "of what differs each has its own");
        assert_eq!(put(pod("q", 4, "y", "s")), (false, Some("y".to_owned())));
    }
}
