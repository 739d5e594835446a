//! What verbs answer with: an object, a document, or the `Status` of a success.
use crate::warnings;
use model::{Stored, order};
use serde_json::{Value, json};
use state_client::Reply;
use std::sync::Arc;

/// What a write made, and what its admission says of it.
pub(crate) struct Written {
    /// The object as it is now.
    pub(crate) stored: Arc<Stored>,
    /// For the client.
    pub(crate) warnings: Vec<String>,
}

/// The reply that is one object.
pub(crate) fn object_reply(object: Arc<Stored>, created: bool, warnings: Vec<String>) -> Reply {
    Reply::Object { object, created, warnings: warnings::bounded(warnings) }
}

/// The reply that is a document.
pub(crate) fn json_reply(document: &Value, code: u16) -> Reply {
    Reply::Json { json: order::json(document).into(), code, warnings: Vec::new() }
}

/// The `Status` of a success, with what it is about.
pub(crate) fn success(code: u16, about: Option<(&str, Value)>) -> Reply {
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    match about {
        Some((group, mut details)) => {
            if !group.is_empty() {
                details["group"] = json!(group);
            }
            status["details"] = details;
        }
        None => status["code"] = json!(code),
    }
    json_reply(&status, code)
}
