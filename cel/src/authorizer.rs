//! The authorizer, as expressions see it.
use std::fmt;
use std::sync::Arc;

/// What is asked of the authorizer: somebody, a verb, and a path or a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// The service account that is asked about, as namespace and name; the user of the request where there is none.
    pub service_account: Option<(Box<str>, Box<str>)>,
    /// The path, where it is no resource.
    pub path: Option<Box<str>>,
    /// The resource's group.
    pub group: Box<str>,
    /// The resource.
    pub resource: Box<str>,
    /// Its subresource.
    pub subresource: Box<str>,
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Which fields those have that are asked about.
    pub field_selector: Box<str>,
    /// Which labels they have.
    pub label_selector: Box<str>,
    /// The verb.
    pub verb: Box<str>,
}

/// What the authorizer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// Why.
    pub reason: Box<str>,
    /// What went wrong.
    pub error: Option<Box<str>>,
}

/// Who may do what.
pub trait Authorizer: Send + Sync {
    /// Decides one question.
    fn decide(&self, check: &Check) -> Decision;
}

/// The authorizer and whom it is asked about.
#[derive(Clone)]
pub struct Authorizing<'a> {
    /// The authorizer.
    pub authorizer: &'a dyn Authorizer,
    /// Whom it is asked about, if not the user of the request.
    pub service_account: Option<Arc<(Box<str>, Box<str>)>>,
    /// The resource of the request, which expressions have as `authorizer.requestResource`.
    pub request: Option<Arc<Check>>,
}

impl fmt::Debug for Authorizing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizing").field("service_account", &self.service_account).finish_non_exhaustive()
    }
}

impl PartialEq for Authorizing<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.service_account == other.service_account && std::ptr::addr_eq(self.authorizer, other.authorizer)
    }
}
