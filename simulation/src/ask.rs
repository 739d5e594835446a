//! What users ask for.
use crate::net::{NAMESPACE, Net, Proc};
use model::Object;
use serde_json::Value;
use state_client::{Body, Options, PatchKind, Request, Verb};

/// Asks for something.
pub(crate) fn act(net: &mut Net, request: Request) {
    net.send(Proc::User, 0, vec![request]);
}

/// An object as a request has it.
pub(crate) fn object(value: Value) -> Body {
    Body::Object(Box::new(Object::from_value(value).unwrap_or_default()))
}

/// A merge patch.
pub(crate) fn merge(resource: (&str, &str), namespace: &str, name: &str, patch: &Value) -> Request {
    Request::new(Verb::Patch, resource.0, resource.1, namespace, name).body(Body::Patch(PatchKind::Merge, patch.to_string().into()))
}

/// A deletion.
pub(crate) fn delete(resource: (&str, &str), namespace: &str, name: &str, options: Options) -> Request {
    Request { options, ..Request::new(Verb::Delete, resource.0, resource.1, namespace, name) }
}

/// The names of the users' objects of a resource.
pub(crate) fn names(net: &Net, resource: &str) -> Vec<String> {
    net.store.all(resource).filter(|o| matches!(&*o.key.namespace, "" | NAMESPACE)).map(|o| o.key.name.to_string()).collect()
}
