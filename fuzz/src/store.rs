//! What lies in the log, and what others make of it when they read it.
use controllers::runtime::Item;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use model::{Key, Kind, Object, Stored};
use scheduler::node::NodeInfo;
use scheduler::pod::PodInfo;
use std::sync::Arc;

/// A message of the log, whatever it holds, is an object or an empty one.
pub fn log_message(bytes: &[u8]) {
    if let Ok(stored) = Stored::decode(Key::new("", "pods", "a", "x"), 7, bytes) {
        read(&Arc::new(stored));
    }
    if let Ok(object) = Object::from_json(bytes) {
        comes_back(Key::new("", "pods", "a", "x"), &object);
    }
}

/// An object that was accepted is read back as it is, by all who read.
pub fn kept(kind: &Kind, object: &Object) {
    comes_back(Key::new(kind.group.clone(), kind.resource.clone(), object.namespace(), object.name()), object);
}

/// What can be encoded comes back from its bytes, with its revision.
pub fn comes_back(key: Key, object: &Object) {
    let Ok(encoded) = Stored::encode(object) else { return };
    let decoded = Stored::decode(key, 9, &encoded);
    assert!(decoded.is_ok(), "what was encoded decodes");
    let Ok(stored) = decoded else { return };
    let mut expected = object.clone();
    expected.set(&["metadata", "resourceVersion"], "9");
    assert_eq!(*stored.object(), expected, "an object comes back from the log");
    read(&Arc::new(stored));
}

fn read(stored: &Arc<Stored>) {
    let item = Item::new(stored.clone(), Timestamp::UNIX_EPOCH);
    item.controller();
    stored.object().owner_references();
    _ = (PodInfo::parse(stored).is_ok(), NodeInfo::parse(stored).is_ok());
    _ = (stored.typed::<Pod>().is_ok(), stored.typed::<Node>().is_ok());
}
