//! The users and groups that Kubernetes knows by name.
use state_client::User;

/// Group of everybody who is known.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Group of everybody else.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Group of those who may do anything.
pub const MASTERS: &str = "system:masters";

/// The user of a request without credentials.
pub fn anonymous() -> User {
    User { name: "system:anonymous".to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..User::default() }
}

/// As whom the gateway itself asks `state`: whether somebody may impersonate, whether a token is alive.
pub fn gateway() -> User {
    User { name: "system:apiserver".to_owned(), groups: vec![MASTERS.to_owned(), AUTHENTICATED.to_owned()], ..User::default() }
}

/// The same user, in the group of those who are known.
pub fn known(mut user: User) -> User {
    if !user.groups.iter().any(|g| g == AUTHENTICATED) {
        user.groups.push(AUTHENTICATED.to_owned());
    }
    user
}
