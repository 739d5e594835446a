//! Who may do what: `system:masters`, the node authorizer, and RBAC, in this order.
mod attributes;
pub mod bootstrap;
pub mod escalation;
pub mod node;
pub mod policy;
#[cfg(test)]
mod properties;
pub mod references;
pub mod review;
pub mod rule;
#[cfg(test)]
mod tests;

pub use attributes::{Attributes, Target};

use crate::identity::{self, MASTERS};
use crate::lookup::ObjectLookup;
use model::{ApiError, Key, Reason};
use policy::{Policy, Verdict};
use std::sync::{Arc, PoisonError, RwLock};

/// Who answers whether a user may do something. Cheap to clone.
#[derive(Clone)]
pub struct Authorizer {
    view: Arc<dyn ObjectLookup>,
    policy: Arc<RwLock<Policy>>,
}

impl Authorizer {
    /// With the roles and bindings that `view` holds now; [`Authorizer::refresh`] keeps it current.
    pub fn new(view: Arc<dyn ObjectLookup>) -> Self {
        let this = Self { view, policy: Arc::default() };
        this.reload();
        this
    }

    /// Takes in every role and binding that the cache holds.
    pub fn reload(&self) {
        let mut policy = Policy::default();
        for resource in policy::RESOURCES {
            for stored in self.view.list(policy::GROUP, resource, "") {
                policy.apply(resource, &stored.key.namespace, &stored.key.name, Some(stored.object()));
            }
        }
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// Takes in the cache's present form of a role or binding. Reads the cache inside of the lock, so that an older form never overwrites a newer one.
    pub fn refresh(&self, key: &Key) {
        if &*key.group != policy::GROUP {
            return;
        }
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        let now = self.view.get(key);
        policy.apply(&key.resource, &key.namespace, &key.name, now.as_ref().map(|s| s.object()));
    }

    /// Reads the policy.
    pub fn with<T>(&self, read: impl FnOnce(&Policy) -> T) -> T {
        read(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it is allowed, and why.
    pub fn verdict(&self, what: &Attributes<'_>) -> Verdict {
        if what.user.groups.iter().any(|g| g == MASTERS) {
            return Verdict::Allowed(String::new());
        }
        let by_node = identity::node(what.user).map(|name| node::authorize(&*self.view, name, what));
        match by_node {
            Some(Ok(())) => Verdict::Allowed(String::new()),
            Some(Err(reason)) => match self.with(|p| p.verdict(what)) {
                Verdict::Denied(more) if more.is_empty() => Verdict::Denied(reason),
                other => other,
            },
            None => self.with(|p| p.verdict(what)),
        }
    }

    /// Whether it is allowed.
    pub fn allows(&self, what: &Attributes<'_>) -> bool {
        let by_node = || identity::node(what.user).is_some_and(|name| node::authorize(&*self.view, name, what).is_ok());
        what.user.groups.iter().any(|g| g == MASTERS) || by_node() || self.with(|policy| policy.allows(what))
    }

    /// Whether it is allowed for another reason than being a node.
    pub fn grants(&self, what: &Attributes<'_>) -> bool {
        what.user.groups.iter().any(|g| g == MASTERS) || self.with(|policy| policy.allows(what))
    }

    /// Refuses what isn't allowed.
    ///
    /// # Errors
    /// 403 in Kubernetes' words.
    pub fn require(&self, what: &Attributes<'_>) -> Result<(), ApiError> {
        // why it is allowed nobody asks here
        if self.allows(what) {
            return Ok(());
        }
        match self.verdict(what) {
            Verdict::Allowed(_) => Ok(()),
            Verdict::Denied(reason) => Err(refusal(what, &reason)),
        }
    }
}

/// The 403 for something that isn't allowed.
pub fn refusal(what: &Attributes<'_>, reason: &str) -> ApiError {
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let (user, verb) = (&what.user.name, what.verb);
    match what.target {
        Target::Path(path) => ApiError::new(Reason::Forbidden, format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"{because}")),
        Target::Resource { group, resource, subresource, namespace, name } => {
            let full = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
            let place = if namespace.is_empty() { "at the cluster scope".to_owned() } else { format!("in the namespace \"{namespace}\"") };
            let why = format!("User \"{user}\" cannot {verb} resource \"{full}\" in API group \"{group}\" {place}{because}");
            ApiError::forbidden(group, resource, name, why)
        }
    }
}
