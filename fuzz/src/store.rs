//! What lies in the log, and what others make of it when they read it.
use crate::input::text;
use controllers::runtime::Item;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use model::{Key, Kind, Object, Stored};
use scheduler::node::NodeInfo;
use scheduler::pod::PodInfo;
use state::store::page::Token;
use state::store::subject;
use state::store::wire::said;
use std::sync::Arc;

const PREFIX: &str = "$KV.c";

/// A subject of the log names one key, and a key has one subject.
pub fn key(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    for subject in [text.to_owned(), format!("{PREFIX}.{text}")] {
        if let Some(p) = subject::parse(PREFIX, &subject) {
            let key = Key::new(&*p.group, &*p.resource, &*p.namespace, &*p.name);
            assert_eq!(subject::of(PREFIX, &key), subject);
        }
    }
    let key = Key::new(text, "pods", text, "n");
    let subject = subject::of(PREFIX, &key);
    let parts = subject::parse(PREFIX, &subject);
    assert_eq!(parts.map(|p| (p.group.into_owned(), p.namespace.into_owned())), Some((text.to_owned(), text.to_owned())));
}

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

/// The reply to a publish.
pub fn publish_reply(bytes: &[u8]) {
    said(bytes);
}

/// A continue token that is taken is written the same way.
pub fn continue_token(bytes: &[u8]) {
    let Some(token) = text(bytes).and_then(|t| Token::decode(t).ok()) else { return };
    let again = token.encode().ok().and_then(|t| Token::decode(&t).ok());
    assert_eq!(again, Some(token));
}
