//! The users and groups that Kubernetes knows by name.
use crate::api::User;

/// As whom `state` itself acts, and the gateway where it asks for itself.
pub const OWN: &str = "system:apiserver";
/// The group of those who may do anything.
pub const MASTERS: &str = "system:masters";
/// The group of everybody who is known.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of everybody else.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The group of all nodes.
pub const NODES: &str = "system:nodes";
/// What a node's user name starts with.
pub const NODE_PREFIX: &str = "system:node:";
/// The group of all service accounts. Those of a namespace are in a group whose name adds `:` and the namespace's.
pub const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";

/// A user in these groups.
pub fn user(name: impl Into<String>, groups: &[&str]) -> User {
    User { name: name.into(), groups: groups.iter().map(|g| (*g).to_owned()).collect(), ..User::default() }
}

/// Who may do anything in the cluster's own name: `state` ensures by it what every cluster has, and the gateway asks by it whether somebody may
/// impersonate and whether a token is alive.
pub fn own() -> User {
    user(OWN, &[MASTERS, AUTHENTICATED])
}

/// The user of a request without credentials.
pub fn anonymous() -> User {
    user("system:anonymous", &[UNAUTHENTICATED])
}
