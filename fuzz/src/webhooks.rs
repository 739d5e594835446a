//! What webhooks answer, and what users' programs send over NATS.
use crate::input::text;
use api_gateway::clients::pack;
use bus::subject::{Subjects, client_pattern};
use model::Object;
use serde_json::json;
use webhooks::conversion::ConversionRequest;
use webhooks::{ReviewVersion, review};

/// An answer to a question of admission: the first byte chooses the version and whether it may change the object.
pub fn admission_review(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    let version = if first % 2 == 0 { ReviewVersion::V1 } else { ReviewVersion::V1Beta1 };
    let mutating = first % 4 < 2;
    let Ok(answer) = review::answer(version, "u", mutating, body) else { return };
    assert!(mutating || answer.patch.is_none(), "who may not change the object has no patch");
    let refusal = review::refusal("w", answer.status);
    assert!(refusal.int_at(&["code"]).is_some_and(|code| (400..600).contains(&code)));
    assert!(refusal.str_at(&["message"]).starts_with("admission webhook \"w\" denied the request"));
}

/// An answer to a question of conversion: what comes back is the same object.
pub fn conversion_review(bytes: &[u8]) {
    let Ok(old) = Object::from_value(json!({"apiVersion": "x.y/v1", "kind": "T", "metadata": {"name": "a", "uid": "1"}})) else { return };
    let objects = [&old];
    let request = ConversionRequest { version: ReviewVersion::V1, uid: "u", desired: "x.y/v2", objects: &objects, many: false };
    let Ok(converted) = request.answer(bytes) else { return };
    assert!(converted.iter().all(|new| new.name() == "a" && new.uid() == "1" && new.api_version() == "x.y/v2" && new.kind() == "T"));
}

/// A document in MessagePack: what is read is JSON, and is read again when it is written.
pub fn msgpack(bytes: &[u8]) {
    let Ok(json) = pack::to_json(bytes) else { return };
    let again = pack::from_json(&json).and_then(|packed| pack::to_json(&packed));
    assert!(again.is_ok_and(|again| again == json));
}

/// The subject of a program's request, and a rule of what its key may ask.
pub fn client_subject(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let subjects = Subjects::new("c");
    if let Some((user, wanted)) = subjects.client_request(text) {
        let words = [&user, &wanted.verb, &wanted.group, &wanted.resource, &wanted.namespace, &wanted.name, &wanted.subresource];
        let written: usize = words.iter().map(|word| word.len()).sum();
        assert!(text.starts_with("ws.c.api.") && written <= text.len(), "no word is longer than what it was written as");
    }
    if let Ok(pattern) = client_pattern(text) {
        let tokens: Vec<&str> = pattern.split('.').collect();
        assert!(matches!(tokens.len(), 5 | 6) && tokens.iter().all(|token| !token.is_empty() && *token != ">"), "{pattern}");
    }
}
