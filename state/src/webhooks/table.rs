//! The webhook configurations of the log, read once for all writes that they concern. The table follows the log, so that a write without webhooks costs one
//! look at an empty list.
use crate::store::{Store, WatchFrom};
use arc_swap::{ArcSwap, Guard};
use model::{Key, Stored};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use webhooks::Webhook;

/// The group of the configurations.
pub const GROUP: &str = "admissionregistration.k8s.io";

/// Which of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// A configuration as it was read.
#[derive(Clone)]
struct Configuration {
    revision: u64,
    webhooks: List,
}

/// All webhooks.
#[derive(Default)]
pub struct Table {
    read: Mutex<HashMap<(Purpose, Arc<str>), Configuration>>,
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
        self.take(purpose, &store.list(GROUP, purpose.resource(), "").items);
    }

    /// Takes these configurations instead of those before. What is known of one that hasn't changed is kept: its expressions are compiled once.
    fn take(&self, purpose: Purpose, configurations: &[Arc<Stored>]) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known: BTreeMap<Arc<str>, Configuration> = BTreeMap::new();
        for stored in configurations {
            let name = stored.key.name.clone();
            let same = read.get(&(purpose, name.clone())).filter(|known| known.revision == stored.revision).cloned();
            let made = || Configuration { revision: stored.revision, webhooks: stored.read(Webhook::of).into_iter().map(Arc::new).collect() };
            known.insert(name, same.unwrap_or_else(made));
        }
        self.list(purpose).store(Arc::new(known.values().flat_map(|configuration| configuration.webhooks.iter().cloned()).collect()));
        read.retain(|(of, _), _| *of != purpose);
        read.extend(known.into_iter().map(|(name, configuration)| ((purpose, name), configuration)));
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
    use model::Object;
    use serde_json::json;

    #[test]
    fn webhooks_are_asked_in_the_order_of_their_configurations() {
        let configuration = |name: &str, revision: u64, webhooks: [&str; 2]| {
            let webhooks = webhooks.map(|name| json!({"name": name, "clientConfig": {"url": "https://a"}}));
            let metadata = json!({"name": name, "resourceVersion": revision.to_string()});
            let object = Object::from_value(json!({"metadata": metadata, "webhooks": webhooks})).unwrap();
            Arc::new(Stored::from_object(Key::new(GROUP, Purpose::Mutating.resource(), "", name), object).unwrap())
        };
        let table = Table::default();
        let names = || table.of(Purpose::Mutating).iter().map(|webhook| webhook.name.clone()).collect::<Vec<_>>();
        table.take(Purpose::Mutating, &[configuration("b", 1, ["2", "1"]), configuration("a", 2, ["4", "3"])]);
        assert_eq!(names(), ["4", "3", "2", "1"]);
        assert!(table.of(Purpose::Validating).is_empty());
        // what has the same revision is what it was
        table.take(Purpose::Mutating, &[configuration("b", 1, ["6", "5"]), configuration("c", 3, ["8", "7"])]);
        assert_eq!(names(), ["2", "1", "8", "7"]);
    }
}
