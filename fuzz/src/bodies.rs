//! Bodies of requests: JSON, YAML, protobuf; and what the pipeline does with an object before it is stored.
use crate::store;
use api_gateway::body;
use api_gateway::encoding::Encoding;
use api_gateway::query::merge_delete_options;
use bytes::Bytes;
use jiff::Timestamp;
use model::schema;
use model::{Kind, Kinds, Object, cbor, meta, protobuf, table};
use state_client::Options;
use std::sync::LazyLock;

pub static KINDS: LazyLock<Kinds> = LazyLock::new(model::kinds::builtin);

/// A JSON body as `state` takes it.
pub fn json(bytes: &[u8]) {
    schema::duplicate_fields(bytes);
    if let Ok(object) = Object::from_json(bytes) {
        written(object);
    }
}

/// A YAML body becomes JSON of a bounded size.
pub fn yaml(bytes: &[u8]) {
    let Ok(made) = body::json(Bytes::copy_from_slice(bytes), Encoding::Yaml) else { return };
    assert!(made.len() <= 16 << 20, "{} bytes of YAML became {} bytes of JSON", bytes.len(), made.len());
    json(&made);
}

/// A protobuf body becomes JSON.
pub fn protobuf(bytes: &[u8]) {
    if let Ok(made) = body::json(Bytes::copy_from_slice(bytes), Encoding::Protobuf) {
        assert!(serde_json::from_slice::<serde_json::Value>(&made).is_ok(), "what was decoded is JSON");
        json(&made);
    }
}

/// What JSON becomes in protobuf is read again, and read the same when it is written once more.
pub fn protobuf_written(bytes: &[u8]) {
    let written = |json: &[u8]| {
        let mut out = Vec::new();
        protobuf::encode(json, &mut out).ok().map(|()| out)
    };
    let Some(once) = written(bytes) else { return };
    let Ok(read) = protobuf::decode(&once) else {
        // JSON that nests deeper than messages may
        return;
    };
    let json = serde_json::to_vec(&read).unwrap_or_default();
    let twice = written(&json).unwrap_or_default();
    assert_eq!(protobuf::decode(&twice), Ok(read), "what was read is written");
}

/// A CBOR body becomes JSON of a bounded size, and is the same when it comes back.
pub fn cbor(bytes: &[u8]) {
    let Ok(made) = body::json(Bytes::copy_from_slice(bytes), Encoding::Cbor) else { return };
    assert!(made.len() <= bytes.len() * 32 + 32, "{} bytes of CBOR became {} bytes of JSON", bytes.len(), made.len());
    let mut again = Vec::new();
    if cbor::encode(&made, &mut again).is_ok() {
        assert_eq!(cbor::decode(&again).as_deref().map(parsed), Ok(parsed(&made)), "what was read is written");
    }
    json(&made);
}

fn parsed(json: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(json).ok()
}

/// A compressed body is never more than a body may be.
pub fn gzip(bytes: &[u8]) {
    if let Ok(made) = body::unpacked(bytes) {
        assert!(made.len() <= body::LIMIT);
    }
}

/// The body of a deletion, read twice, asks for the same as read once.
pub fn delete_options(bytes: &[u8]) {
    let mut once = Options::default();
    if merge_delete_options(&mut once, bytes).is_ok() {
        let mut twice = once.clone();
        assert_eq!(merge_delete_options(&mut twice, bytes), Ok(()));
        assert_eq!(once, twice);
    }
}

/// What becomes of an object that a client sent: shape, defaults, rules.
fn written(mut object: Object) {
    let Some(kind) = KINDS.of(object.api_version(), object.kind()).cloned() else { return };
    if schema::validate_and_prune(&kind, &mut object).is_err() {
        return;
    }
    let mut again = object.clone();
    assert_eq!(schema::validate_and_prune(&kind, &mut again), Ok(Vec::new()), "what was pruned fits its schema");
    assert_eq!(again, object, "and isn't pruned again");
    defaulted(&kind, &mut object);
    kind.strategy.prepare_create(&mut object);
    let mut wrong = meta::validate(&kind, &object);
    wrong.extend(kind.strategy.validate(&object));
    changed(&kind, &object, wrong.is_empty());
    table::cells(&kind, &object, Timestamp::UNIX_EPOCH);
    store::kept(&kind, &object);
}

fn defaulted(kind: &Kind, object: &mut Object) {
    kind.strategy.default(object);
    let mut again = object.clone();
    kind.strategy.default(&mut again);
    assert_eq!(again, *object, "defaults are set once");
}

/// An object that is right may be written again as it is.
fn changed(kind: &Kind, object: &Object, right: bool) {
    let mut same = object.clone();
    kind.strategy.prepare_update(&mut same, object);
    kind.strategy.prepare_status(&mut same, object);
    let mut refused = meta::validate_update(&same, object);
    refused.extend(kind.strategy.validate_update(&same, object));
    assert!(!right || refused.is_empty(), "the same object is refused: {refused:?}");
    kind.strategy.grace_seconds(object, None);
    kind.strategy.prepare_delete(&mut same);
    kind.strategy.held(&same);
}
