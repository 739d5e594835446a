//! What pure parts see of the cluster when they run in a pipeline: the store, and for a node's pods the table of them.
use crate::lookup::ObjectLookup;
use crate::routes::Routes;
use crate::store::Store;
use model::{Key, Stored};
use std::sync::Arc;

impl ObjectLookup for Store {
    fn get(&self, key: &Key) -> Option<Arc<Stored>> {
        Store::get(self, key)
    }
    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Stored>> {
        Store::list(self, group, resource, namespace).items
    }
}

/// The store, and which pods are on which node without looking through all of them.
pub struct Known {
    pub store: Store,
    pub routes: Routes,
}

impl ObjectLookup for Known {
    fn get(&self, key: &Key) -> Option<Arc<Stored>> {
        self.store.get(key)
    }
    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Stored>> {
        self.store.list(group, resource, namespace).items
    }
    fn on_node(&self, node: &str) -> Vec<Arc<Stored>> {
        self.routes.on_node(node).unwrap_or_else(|| self.store.on_node(node))
    }
}
