//! An index of all roles and bindings that answers which rules a user has in which namespace. It is updated with each changed object and never rebuilt.
use super::attributes::Attributes;
use super::rule::Rule;
use model::Object;
use model::selector::LabelSelector;
use serde::Deserialize;
use state_client::User;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The API group of roles and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";
/// The resources that make up a policy.
pub const RESOURCES: [&str; 4] = ["clusterroles", "roles", "clusterrolebindings", "rolebindings"];

/// Namespace (`""` for the cluster) and name.
type Name = (Arc<str>, Arc<str>);

#[derive(Clone, Debug)]
struct Role {
    rules: Arc<[Rule]>,
    labels: Object,
    aggregation: Vec<LabelSelector>,
}

/// `kind` and `name` of a binding's `roleRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RoleRef {
    /// `Role` or `ClusterRole`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Subject {
    kind: String,
    name: String,
    namespace: String,
}

impl RoleRef {
    /// What the role is known by; `namespace` is that of a Role.
    fn key(&self, namespace: &str) -> Name {
        let namespace = if self.kind == "ClusterRole" { "" } else { namespace };
        (namespace.into(), self.name.as_str().into())
    }
}

impl Subject {
    fn describe(&self) -> String {
        match self.kind.as_str() {
            "ServiceAccount" => format!("ServiceAccount \"{}/{}\"", self.name, self.namespace),
            kind => format!("{kind} \"{}\"", self.name),
        }
    }
    /// The user name that it stands for; `None` for a group.
    fn user(&self) -> Option<String> {
        match self.kind.as_str() {
            "User" => Some(self.name.clone()),
            "ServiceAccount" => Some(format!("system:serviceaccount:{}:{}", self.namespace, self.name)),
            _ => None,
        }
    }
    fn is(&self, user: &User) -> bool {
        match self.user() {
            Some(name) => name == user.name,
            None => user.groups.contains(&self.name),
        }
    }
}

#[derive(Clone, Debug)]
struct Binding {
    subjects: Vec<Subject>,
    role: RoleRef,
    /// What the role is known by.
    of: Name,
}

/// The compiled policy.
#[derive(Debug, Default)]
pub struct Policy {
    roles: HashMap<Name, Role>,
    bindings: HashMap<Name, Binding>,
    by_user: HashMap<String, BTreeSet<Name>>,
    by_group: HashMap<String, BTreeSet<Name>>,
}

/// What RBAC says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed, by which binding.
    Allowed(String),
    /// Not allowed; the reason is empty unless a binding names a role that doesn't exist.
    Denied(String),
}

/// One grant that holds for a user in a namespace.
struct Grant<'a> {
    key: &'a Name,
    binding: &'a Binding,
    rules: Option<Arc<[Rule]>>,
}

impl Grant<'_> {
    fn describe(&self, user: &User) -> String {
        let (kind, name) = match (&*self.key.0, &*self.key.1) {
            ("", name) => ("ClusterRoleBinding", name.to_owned()),
            (namespace, name) => ("RoleBinding", format!("{name}/{namespace}")),
        };
        let subject = self.binding.subjects.iter().find(|s| s.is(user)).map(Subject::describe).unwrap_or_default();
        format!("RBAC: allowed by {kind} \"{name}\" of {} \"{}\" to {subject}", self.binding.role.kind, self.binding.role.name)
    }
    fn missing_role(&self) -> String {
        format!("{}.{GROUP} \"{}\" not found", self.binding.role.kind.to_lowercase(), self.binding.role.name)
    }
}

impl Policy {
    /// Takes in the present form of one object of [`RESOURCES`]; `None`: it is gone. Idempotent.
    pub fn apply(&mut self, resource: &str, namespace: &str, name: &str, object: Option<&Object>) {
        let key: Name = (namespace.into(), name.into());
        match (resource, object) {
            ("clusterroles" | "roles", Some(object)) => _ = self.roles.insert(key, Role::of(object)),
            ("clusterroles" | "roles", None) => _ = self.roles.remove(&key),
            ("clusterrolebindings" | "rolebindings", object) => {
                self.unbind(&key);
                if let Some(object) = object {
                    self.bind(key, Binding::of(object));
                }
            }
            _ => {}
        }
    }

    fn bind(&mut self, key: Name, binding: Binding) {
        for subject in &binding.subjects {
            let keys = match subject.user() {
                Some(user) => self.by_user.entry(user).or_default(),
                None => self.by_group.entry(subject.name.clone()).or_default(),
            };
            keys.insert(key.clone());
        }
        self.bindings.insert(key, binding);
    }

    fn unbind(&mut self, key: &Name) {
        let Some(old) = self.bindings.remove(key) else { return };
        for subject in &old.subjects {
            let (map, name) = match subject.user() {
                Some(user) => (&mut self.by_user, user),
                None => (&mut self.by_group, subject.name.clone()),
            };
            let empty = map.get_mut(&name).is_some_and(|keys| {
                keys.remove(key);
                keys.is_empty()
            });
            if empty {
                map.remove(&name);
            }
        }
    }

    /// The rules of a role; of an aggregated one those of all that it selects, too. `namespace` is a Role's own.
    pub fn rules(&self, role: &RoleRef, namespace: &str) -> Option<Arc<[Rule]>> {
        self.rules_of(&role.key(namespace))
    }

    fn rules_of(&self, role: &Name) -> Option<Arc<[Rule]>> {
        let found = self.roles.get(role)?;
        if found.aggregation.is_empty() {
            return Some(found.rules.clone());
        }
        Some(self.aggregated(found, &mut BTreeSet::from([role.1.clone()])).into())
    }

    fn aggregated(&self, role: &Role, seen: &mut BTreeSet<Arc<str>>) -> Vec<Rule> {
        let mut out = role.rules.to_vec();
        let mut parts: Vec<_> =
            self.roles.iter().filter(|((ns, _), r)| ns.is_empty() && role.aggregation.iter().any(|s| s.matches(r.labels.labels()))).collect();
        parts.sort_by_key(|(key, _)| *key);
        for ((_, name), part) in parts {
            if seen.insert(name.clone()) {
                out.extend(self.aggregated(part, seen).into_iter().filter(|r| !out.contains(r)).collect::<Vec<_>>());
            }
        }
        out
    }

    fn grants<'a>(&'a self, user: &'a User, namespace: &'a str) -> impl Iterator<Item = Grant<'a>> {
        let groups = user.groups.iter().filter_map(|g| self.by_group.get(g));
        let keys = self.by_user.get(&user.name).into_iter().chain(groups).flatten();
        keys.filter(move |(ns, _)| ns.is_empty() || (!namespace.is_empty() && &**ns == namespace)).filter_map(move |key| {
            let binding = self.bindings.get(key)?;
            Some(Grant { key, binding, rules: self.rules_of(&binding.of) })
        })
    }

    fn allowing<'a>(&'a self, what: &'a Attributes<'_>) -> Option<Grant<'a>> {
        self.grants(what.user, what.namespace()).find(|grant| grant.rules.iter().flat_map(|rules| rules.iter()).any(|r| r.allows(what)))
    }

    /// Whether somebody may do something: what [`Policy::verdict`] says, without its reasons.
    pub fn allows(&self, what: &Attributes<'_>) -> bool {
        self.allowing(what).is_some()
    }

    /// Whether somebody may do something, and why.
    pub fn verdict(&self, what: &Attributes<'_>) -> Verdict {
        if let Some(grant) = self.allowing(what) {
            return Verdict::Allowed(grant.describe(what.user));
        }
        let missing: Vec<String> = self.grants(what.user, what.namespace()).filter(|g| g.rules.is_none()).map(|g| g.missing_role()).collect();
        Verdict::Denied(match missing.as_slice() {
            [] => String::new(),
            [one] => format!("RBAC: {one}"),
            many => format!("RBAC: [{}]", many.join(", ")),
        })
    }

    /// All rules that a user holds in a namespace (`""`: in the whole cluster), in no particular order.
    pub fn held(&self, user: &User, namespace: &str) -> Vec<Rule> {
        self.grants(user, namespace).filter_map(|g| g.rules).flat_map(|rules| rules.to_vec()).collect()
    }
}

impl Role {
    fn of(object: &Object) -> Self {
        let selectors = object.list_at(&["aggregationRule", "clusterRoleSelectors"]);
        let mut labels = Object::default();
        if let Some(map) = object.labels() {
            labels.set(&["metadata", "labels"], map.clone());
        }
        Self {
            rules: Rule::all_from(object.list_at(&["rules"])).into(),
            labels,
            aggregation: selectors.iter().filter_map(|s| LabelSelector::from_json(s).ok()).collect(),
        }
    }
}

impl Binding {
    fn of(object: &Object) -> Self {
        let subjects = object.list_at(&["subjects"]).iter().filter_map(|v| Subject::deserialize(v).ok());
        // a service account without a namespace is one of the binding's own
        let subjects = subjects.map(|s| if s.namespace.is_empty() { Subject { namespace: object.namespace().to_owned(), ..s } } else { s });
        let role = object.at(&["roleRef"]).and_then(|v| RoleRef::deserialize(v).ok()).unwrap_or_default();
        Self { subjects: subjects.collect(), of: role.key(object.namespace()), role }
    }
}
