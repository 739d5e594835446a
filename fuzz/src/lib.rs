//! A target for each decoder: a function that takes any bytes, and fails when the decoder does, or when what it decoded breaks a property.
//!
//! [`TARGETS`] is the one table. `cargo test` runs each target over its seeds and mutations of them (`tests/smoke.rs`);
//! `make fuzz TARGET=x` runs one with coverage (`libfuzzer/`). An input that once failed becomes a seed in `seeds/<target>/`.
mod bodies;
mod expressions;
mod gateway;
mod input;
mod messages;
pub mod mutate;
mod node;
mod patches;
mod selectors;
mod store;
mod webhooks;

use std::path::{Path, PathBuf};

/// A decoder under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder of seeds.
    pub name: &'static str,
    /// Decodes, and checks what comes of it.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "json_body", run: bodies::json },
    Target { name: "yaml_body", run: bodies::yaml },
    Target { name: "protobuf_body", run: bodies::protobuf },
    Target { name: "protobuf_written", run: bodies::protobuf_written },
    Target { name: "cbor_body", run: bodies::cbor },
    Target { name: "gzip_body", run: bodies::gzip },
    Target { name: "delete_options", run: bodies::delete_options },
    Target { name: "message", run: messages::message },
    Target { name: "packet", run: messages::packet },
    Target { name: "parts", run: messages::parts },
    Target { name: "subject", run: messages::subject },
    Target { name: "service_info", run: messages::service_info },
    Target { name: "store_key", run: store::key },
    Target { name: "log_message", run: store::log_message },
    Target { name: "publish_reply", run: store::publish_reply },
    Target { name: "continue_token", run: store::continue_token },
    Target { name: "json_patch", run: patches::json },
    Target { name: "merge_patch", run: patches::merge },
    Target { name: "strategic_patch", run: patches::strategic },
    Target { name: "label_selector", run: selectors::labels },
    Target { name: "field_selector", run: selectors::fields },
    Target { name: "quantity", run: selectors::quantity },
    Target { name: "time", run: selectors::time },
    Target { name: "cel", run: expressions::expression },
    Target { name: "path", run: gateway::path },
    Target { name: "query", run: gateway::query },
    Target { name: "media_types", run: gateway::media_types },
    Target { name: "channel_message", run: gateway::channel_message },
    Target { name: "spdy", run: gateway::spdy },
    Target { name: "admission_review", run: webhooks::admission_review },
    Target { name: "conversion_review", run: webhooks::conversion_review },
    Target { name: "msgpack", run: webhooks::msgpack },
    Target { name: "client_subject", run: webhooks::client_subject },
    Target { name: "log_lines", run: node::log_lines },
    Target { name: "podman_answers", run: node::podman_answers },
    Target { name: "podman_stream", run: node::podman_stream },
];

/// Where a target's seeds are.
pub fn seeds(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name)
}
