//! Documents and events in the encodings that are made of JSON when somebody asks for them.
use crate::encoding::Encoding;
use bytes::{BufMut, Bytes, BytesMut};
use model::{ApiError, cbor, protobuf};
use serde_json::Value;

fn internal(e: impl ToString) -> ApiError {
    ApiError::internal(e.to_string())
}

/// What a document takes at first, compared with its JSON.
fn room(json: &[u8]) -> Vec<u8> {
    Vec::with_capacity(json.len() + json.len() / 8)
}

/// A document in an encoding, with the media type that it came to have: what has no form in protobuf stays JSON.
///
/// # Errors
/// 500 when it isn't JSON.
pub fn document(json: &Bytes, encoding: Encoding) -> Result<(Bytes, &'static str), ApiError> {
    let made = match encoding {
        Encoding::Json => json.clone(),
        Encoding::Yaml => yaml(json)?,
        Encoding::Protobuf => match one(json, protobuf::encode) {
            Ok(made) => made,
            Err(protobuf::Error::Kind { .. }) => return Ok((json.clone(), Encoding::Json.media_type())),
            Err(e) => return Err(internal(e)),
        },
        Encoding::Cbor => one(json, cbor::encode).map_err(internal)?,
    };
    Ok((made, encoding.media_type()))
}

fn one<E>(json: &[u8], encode: impl FnOnce(&[u8], &mut Vec<u8>) -> Result<(), E>) -> Result<Bytes, E> {
    let mut out = room(json);
    encode(json, &mut out)?;
    Ok(out.into())
}

fn yaml(json: &[u8]) -> Result<Bytes, ApiError> {
    let value: Value = serde_json::from_slice(json).map_err(internal)?;
    serde_saphyr::to_string(&value).map(Bytes::from).map_err(internal)
}

/// A list in protobuf: `kind` is the list's.
///
/// # Errors
/// 500 when an item isn't as its kind's message has it.
pub fn protobuf_list(api_version: &str, kind: &str, meta: &Value, items: &[Bytes]) -> Result<Bytes, ApiError> {
    let mut out = Vec::with_capacity(items.iter().map(Bytes::len).sum());
    protobuf::list(api_version, kind, meta, items.iter().map(|i| &**i), &mut out).map_err(internal)?;
    Ok(out.into())
}

/// Appends an event of a watch. JSON's are lines, which need no transcoding.
///
/// # Errors
/// As [`document`].
pub fn event(out: &mut BytesMut, change: &str, json: &[u8], encoding: Encoding) -> Result<(), ApiError> {
    let mut made = room(json);
    match encoding {
        Encoding::Protobuf => protobuf::event(&mut made, change, |out| protobuf::encode(json, out)).map_err(internal)?,
        Encoding::Cbor => cbor::event(&mut made, change, json).map_err(internal)?,
        Encoding::Json | Encoding::Yaml => return Err(internal("no such stream")),
    }
    out.put_slice(&made);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const POD: &[u8] = br#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}"#;

    fn to(json: &'static [u8], encoding: Encoding) -> (Bytes, &'static str) {
        document(&Bytes::from_static(json), encoding).unwrap()
    }

    /// What an encoded document says.
    fn read(bytes: &[u8], encoding: Encoding) -> Value {
        serde_json::from_slice(&crate::body::json(Bytes::copy_from_slice(bytes), encoding).unwrap()).unwrap()
    }

    #[test]
    fn documents() {
        for encoding in Encoding::ALL {
            let (bytes, media) = to(POD, encoding);
            assert_eq!((media, read(&bytes, encoding)), (encoding.media_type(), serde_json::from_slice(POD).unwrap()));
        }
        let none = br#"{"kind":"Table","apiVersion":"meta.k8s.io/v1"}"#;
        assert_eq!(to(none, Encoding::Protobuf), (Bytes::from_static(none), "application/json"));
        assert_eq!(document(&Bytes::from_static(b"{"), Encoding::Yaml).map_err(|e| e.code()).err(), Some(500));
    }

    #[test]
    fn yaml_looks_as_it_does_elsewhere() {
        let json = br#"{"b":{"c":[{"d":"x","e":1},[]],"f":{}},"a":"true"}"#;
        assert_eq!(std::str::from_utf8(&to(json, Encoding::Yaml).0).unwrap(), "a: \"true\"\nb:\n  c:\n  - d: x\n    e: 1\n  - []\n  f: {}\n");
    }

    #[test]
    fn yaml_of_older_readers() {
        for text in
            ["yes", "No", "on", "OFF", "y", "n", "~", "null", "0x1f", "0o7", "012", "1e3", "1_000", "1:30", ".5", ".inf", "2026-01-01", "=", "<<", "- a", "#"]
        {
            let (bytes, _) = document(&json!({"a": text}).to_string().into(), Encoding::Yaml).unwrap();
            let bytes = std::str::from_utf8(&bytes).unwrap().trim_end().strip_prefix("a: ").unwrap().to_owned();
            assert!(bytes.starts_with(['"', '\'']), "{text}: {bytes}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let texts = prop_oneof!["\\PC{0,20}", "[ \\n\\t:#'\"|>&*!%@`,?{}\\[\\]a-c0-9.~-]{0,12}", "[ -~\\n]{0,200}"];
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from), texts.clone().prop_map(Value::from)];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            let map = proptest::collection::btree_map(texts.clone(), inner.clone(), 0..6).prop_map(|map| Value::Object(map.into_iter().collect()));
            prop_oneof![map, proptest::collection::vec(inner, 0..6).prop_map(Value::Array)]
        })
    }

    proptest! {
        #[test]
        fn yaml_comes_back(value in any_json()) {
            let (bytes, _) = document(&value.to_string().into(), Encoding::Yaml).unwrap();
            prop_assert_eq!(read(&bytes, Encoding::Yaml), value, "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
