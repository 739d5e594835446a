//! What authorizers are asked: who wants to do what, and to which resource or path.
use state_client::User;

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// Who.
    pub user: &'a User,
    /// An API verb, or a lower-case HTTP method for a path.
    pub verb: &'a str,
    /// To what.
    pub target: Target<'a>,
    /// The node whose pods alone the request's field selector lets through, or whose volumes alone its label selector does.
    pub bound_to: Option<&'a str>,
}

impl Attributes<'_> {
    /// The namespace of what it is done to; `""` for what has none.
    pub(super) fn namespace(&self) -> &str {
        match self.target {
            Target::Resource { namespace, .. } => namespace,
            Target::Path(_) => "",
        }
    }
}

/// What a verb is done to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// An API resource. Empty strings: no subresource, no name, all namespaces or none.
    Resource {
        /// API group.
        group: &'a str,
        /// Plural name.
        resource: &'a str,
        /// Subresource.
        subresource: &'a str,
        /// Namespace.
        namespace: &'a str,
        /// Name.
        name: &'a str,
    },
    /// A path outside of the API.
    Path(&'a str),
}
