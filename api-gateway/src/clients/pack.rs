//! MessagePack, in which programs may write their objects and have their answers: the same documents as JSON, with the same names.
use bytes::Bytes;
use model::ApiError;
use model::object::{MAX_DEPTH, depth};
use serde_json::Value;

/// Its media type.
pub const MEDIA_TYPE: &str = "application/msgpack";

/// The JSON of a document in MessagePack.
///
/// # Errors
/// 400 for what isn't one, and for what nests deeper than an object may.
pub fn to_json(packed: &[u8]) -> Result<Bytes, ApiError> {
    let bad = |why: String| ApiError::bad_request(format!("the body is no document in MessagePack: {why}"));
    let mut decoder = rmp_serde::Deserializer::new(std::io::Cursor::new(packed));
    decoder.set_max_depth(2 * MAX_DEPTH);
    let value: Value = serde::Deserialize::deserialize(&mut decoder).map_err(|e| bad(e.to_string()))?;
    if usize::try_from(decoder.position()).is_ok_and(|read| read != packed.len()) {
        return Err(bad("more follows after its end".to_owned()));
    }
    if depth(&value) > MAX_DEPTH {
        return Err(ApiError::bad_request("the object provided nests too deep"));
    }
    serde_json::to_vec(&value).map(Bytes::from).map_err(|e| bad(e.to_string()))
}

/// A document of JSON in MessagePack.
///
/// # Errors
/// 500 for what isn't JSON.
pub fn from_json(json: &[u8]) -> Result<Bytes, ApiError> {
    let value: Value = serde_json::from_slice(json).map_err(|e| ApiError::internal(e.to_string()))?;
    rmp_serde::to_vec_named(&value).map(Bytes::from).map_err(|e| ApiError::internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn there_and_back() {
        let document = json!({"kind": "Pod", "n": [1, -7, 0.5, true, null, "ü"], "m": {"": {}}});
        let packed = from_json(document.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&to_json(&packed).unwrap()).unwrap(), document);
        let trailing = [&packed[..], &[0xc0]].concat();
        assert_eq!(to_json(&trailing).unwrap_err().code(), 400);
        // binary data has no place in a document of JSON
        assert_eq!(to_json(&[0xc4, 1, 0]).map_err(|e| e.code()), Err(400));
    }

    #[test]
    fn what_nests_or_claims_too_much_is_refused() {
        let nested = vec![0x91; 100_000];
        assert_eq!(to_json(&nested).unwrap_err().code(), 400);
        let claimed = [0xdd, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(to_json(&claimed).unwrap_err().code(), 400);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(json) = to_json(&bytes) {
                prop_assert!(serde_json::from_slice::<Value>(&json).is_ok());
            }
        }
    }
}
