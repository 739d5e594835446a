//! Roles and bindings that other processes write: watched, so that this process's authoriser knows them.
use crate::authz::{Authorizer, policy};
use crate::store::{Store, WatchFrom};

/// Keeps the authoriser current with what other processes write.
pub(crate) async fn follow(store: Store, authorizer: Authorizer, resource: &'static str) {
    loop {
        let mut feed = match store.watch(policy::GROUP, resource, "", WatchFrom::Now) {
            Ok(feed) => feed,
            Err(error) => {
                tracing::warn!(resource, %error, "roles and bindings can't be followed");
                return;
            }
        };
        // between the last look and the new feed something may have changed
        authorizer.reload();
        let error = loop {
            match feed.next().await {
                Ok(changes) => changes.iter().for_each(|change| authorizer.refresh(&change.new.key)),
                Err(error) => break error,
            }
        };
        if error.reason != model::Reason::Expired {
            tracing::info!(resource, %error, "roles and bindings are no longer followed");
            return;
        }
    }
}
