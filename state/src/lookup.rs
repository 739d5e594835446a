//! Read access to the cache for pure functions: they see its content as it is and never wait.
use crate::node_name::node_of;
use model::{Key, Stored};
use std::sync::Arc;

/// Read access to cached objects. The store is one; tests use a map.
pub trait ObjectLookup: Send + Sync {
    /// One object.
    fn get(&self, key: &Key) -> Option<Arc<Stored>>;
    /// All objects of a resource, in one namespace or (`""`) in all.
    fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Stored>>;
    /// All pods that are bound to a node.
    fn on_node(&self, node: &str) -> Vec<Arc<Stored>> {
        let mut pods = self.list("", "pods", "");
        pods.retain(|pod| node_of(pod) == node);
        pods
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::ObjectLookup;
    use model::{Key, Object, Stored};
    use serde_json::Value;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    /// A cluster in a map.
    #[derive(Default)]
    pub(crate) struct MapLookup(pub(crate) BTreeMap<Key, Arc<Stored>>);

    impl MapLookup {
        pub(crate) fn with(mut self, group: &str, resource: &str, object: Value) -> Self {
            let object = Object::from_value(object).unwrap();
            let key = Key::new(group, resource, object.namespace(), object.name());
            self.0.insert(key.clone(), Arc::new(Stored::from_object(key, object).unwrap()));
            self
        }
    }

    impl ObjectLookup for MapLookup {
        fn get(&self, key: &Key) -> Option<Arc<Stored>> {
            self.0.get(key).cloned()
        }
        fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<Arc<Stored>> {
            let wanted = |k: &Key| &*k.group == group && &*k.resource == resource && (namespace.is_empty() || &*k.namespace == namespace);
            self.0.iter().filter(|(k, _)| wanted(k)).map(|(_, v)| v.clone()).collect()
        }
    }
}
