//! Those who are known, and those who aren't.
use state_client::User;
pub use state_client::identity::{AUTHENTICATED, MASTERS, UNAUTHENTICATED, anonymous, own};

/// The same user, in the group of those who are known.
pub fn known(mut user: User) -> User {
    if !user.groups.iter().any(|g| g == AUTHENTICATED) {
        user.groups.push(AUTHENTICATED.to_owned());
    }
    user
}
