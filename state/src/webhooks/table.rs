//! The webhook configurations of the log, read once for all writes that they concern. The table follows the log, so that a write without webhooks costs one
//! look at an empty list.
use crate::store::{Store, WatchFrom};
use arc_swap::{ArcSwap, Guard};
use model::{Key, Object};
use std::sync::Arc;
use webhooks::Webhook;

/// The group of the configurations.
pub const GROUP: &str = "admissionregistration.k8s.io";

/// Which of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// They may change what is written.
    Mutating,
    /// They refuse or admit it.
    Validating,
}

impl Purpose {
    /// The resource of the configurations.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Mutating => "mutatingwebhookconfigurations",
            Self::Validating => "validatingwebhookconfigurations",
        }
    }
}

/// The webhooks in the order in which they are asked: by their configurations' names, then as these have them.
pub type List = Vec<Arc<Webhook>>;

/// All webhooks.
#[derive(Default)]
pub struct Table {
    mutating: ArcSwap<List>,
    validating: ArcSwap<List>,
}

impl Table {
    fn list(&self, purpose: Purpose) -> &ArcSwap<List> {
        match purpose {
            Purpose::Mutating => &self.mutating,
            Purpose::Validating => &self.validating,
        }
    }

    /// Those of a purpose.
    pub fn of(&self, purpose: Purpose) -> Guard<Arc<List>> {
        self.list(purpose).load()
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.mutating.load().is_empty() && self.validating.load().is_empty()
    }

    /// Takes these configurations instead of those before.
    fn set(&self, purpose: Purpose, configurations: &mut [Arc<Object>]) {
        configurations.sort_by(|a, b| a.name().cmp(b.name()));
        let all = configurations.iter().flat_map(|configuration| Webhook::of(configuration)).map(Arc::new).collect();
        self.list(purpose).store(Arc::new(all));
    }

    /// Brings the list to what the cache has in which a configuration has changed, if it is one.
    pub fn refresh(&self, store: &Store, key: &Key) {
        if &*key.group != GROUP {
            return;
        }
        for purpose in [Purpose::Mutating, Purpose::Validating] {
            if &*key.resource == purpose.resource() {
                self.load(store, purpose);
            }
        }
    }

    /// Brings one list to what the cache has.
    pub fn load(&self, store: &Store, purpose: Purpose) {
        let stored = store.list(GROUP, purpose.resource(), "").items;
        let mut configurations: Vec<Arc<Object>> = stored.iter().map(|stored| Arc::new(stored.read(Object::clone))).collect();
        self.set(purpose, &mut configurations);
    }
}

/// Keeps a list current with the log.
pub async fn follow(store: Store, table: Arc<Table>, purpose: Purpose) {
    loop {
        let mut feed = match store.watch(GROUP, purpose.resource(), "", WatchFrom::Now) {
            Ok(feed) => feed,
            Err(error) => {
                tracing::warn!(?purpose, %error, "webhook configurations can't be followed");
                return;
            }
        };
        let error = loop {
            // between the last look and the new feed something may have changed
            table.load(&store, purpose);
            if let Err(error) = feed.next().await {
                break error;
            }
        };
        if error.reason != model::Reason::Expired {
            tracing::info!(?purpose, %error, "webhook configurations are no longer followed");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn webhooks_are_asked_in_the_order_of_their_configurations() {
        let configuration = |name: &str, webhooks: [&str; 2]| {
            let webhooks = webhooks.map(|name| json!({"name": name, "clientConfig": {"url": "https://a"}}));
            Arc::new(Object::from_value(json!({"metadata": {"name": name}, "webhooks": webhooks})).unwrap())
        };
        let table = Table::default();
        table.set(Purpose::Mutating, &mut [configuration("b", ["2", "1"]), configuration("a", ["4", "3"])]);
        let names: Vec<String> = table.of(Purpose::Mutating).iter().map(|webhook| webhook.name.clone()).collect();
        assert_eq!(names, ["4", "3", "2", "1"]);
        assert!(table.of(Purpose::Validating).is_empty());
    }
}
