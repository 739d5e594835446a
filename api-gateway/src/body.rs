//! Requests' bodies: read up to a limit, and brought into JSON.
use crate::encoding::Encoding;
use crate::negotiate;
use crate::upload::Upload;
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, header};
use model::{ApiError, Reason, schema};
use serde::de::IgnoredAny;
use serde_json::Value;
use state_client::{Body, Options, Verb};
use std::io::Read;

/// The largest body, in bytes: etcd's and Kubernetes' limit of 3 MiB.
pub const LIMIT: usize = 3 * 1024 * 1024;

/// A header as text; `None` when absent or not text.
pub fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn too_large() -> ApiError {
    ApiError::new(Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {LIMIT}"))
}

/// Whether a body is compressed.
fn is_packed(headers: &HeaderMap) -> Result<bool, ApiError> {
    let given = headers.get_all(header::CONTENT_ENCODING).iter().flat_map(|v| v.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii);
    let given: Vec<_> = given.filter(|e| !e.is_empty() && !e.eq_ignore_ascii_case(b"identity")).collect();
    match given.as_slice() {
        [] => Ok(false),
        [only] if only.eq_ignore_ascii_case(b"gzip") => Ok(true),
        _ => {
            let message = "the body of the request has an unknown content encoding - accepted encodings include: identity, gzip";
            Err(ApiError::new(Reason::UnsupportedMediaType, message))
        }
    }
}

/// What was compressed. It is bounded as what comes uncompressed is, and no more is made of it than that.
///
/// # Errors
/// 400 when it isn't gzip; 413 beyond [`LIMIT`].
pub fn unpacked(packed: &[u8]) -> Result<Bytes, ApiError> {
    let mut whole = Vec::with_capacity(packed.len().saturating_mul(4).min(LIMIT));
    let bound = u64::try_from(LIMIT).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(packed).take(bound).read_to_end(&mut whole);
    read.map_err(|e| ApiError::bad_request(format!("the body of the request could not be read: {e}")))?;
    if whole.len() > LIMIT { Err(too_large()) } else { Ok(whole.into()) }
}

/// Reads a whole body.
///
/// # Errors
/// 413 beyond [`LIMIT`], compressed or not; 415 when it is compressed otherwise than with gzip; 400 when the client breaks off.
pub async fn read(headers: &HeaderMap, mut body: Upload) -> Result<Bytes, ApiError> {
    let packed = is_packed(headers)?;
    let mut whole = BytesMut::new();
    while let Some(data) = body.next().await.map_err(|e| ApiError::bad_request(format!("the body of the request could not be read: {e}")))? {
        if whole.len() + data.len() > LIMIT {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    if packed && !whole.is_empty() { unpacked(&whole) } else { Ok(whole.freeze()) }
}

/// YAML, protobuf and CBOR become JSON; JSON stays as it came, unparsed: `state` parses it, once.
///
/// # Errors
/// 400 for what isn't as it says.
pub fn json(body: Bytes, written: Encoding) -> Result<Bytes, ApiError> {
    let wrong = |e: String| ApiError::bad_request(format!("error converting YAML to JSON: {e}"));
    match written {
        Encoding::Json => Ok(body),
        // most YAML is JSON, which is read more quickly, and is held against none of the bounds that YAML's aliases need
        Encoding::Yaml if is_json(&body) => Ok(body),
        Encoding::Yaml => {
            let value: Value = serde_saphyr::from_slice(&body).map_err(|e| wrong(yaml_error(&e)))?;
            serde_json::to_vec(&value).map(Bytes::from).map_err(|e| wrong(e.to_string()))
        }
        Encoding::Protobuf => {
            let object = model::protobuf::decode(&body)?;
            serde_json::to_vec(&object).map(Bytes::from).map_err(|e| ApiError::bad_request(e.to_string()))
        }
        Encoding::Cbor => Ok(model::cbor::decode(&body)?.into()),
    }
}

/// What is wrong with a document, without the lines around it. A name that occurs twice is reported as Kubernetes reports it.
fn yaml_error(error: &serde_saphyr::Error) -> String {
    let error = error.without_snippet();
    match error {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), location } => {
            format!("yaml: unmarshal errors:\n  line {}: key {key:?} already set in map", location.line())
        }
        other => format!("yaml: {other}"),
    }
}

/// Whether a document is JSON that means the same as YAML: in that no name may occur twice.
fn is_json(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(body).is_ok() && schema::duplicate_fields(body).is_empty()
}

/// What a request carries, as `state` wants it; a deletion's options go into `options`.
///
/// # Errors
/// 400, 413, 415 and 422, as Kubernetes gives them.
pub async fn request(verb: Verb, headers: &HeaderMap, body: Upload, options: &mut Options) -> Result<Body, ApiError> {
    let kind = text(headers, header::CONTENT_TYPE);
    match verb {
        Verb::Create | Verb::Update => {
            let written = negotiate::written(kind)?;
            let body = json(read(headers, body).await?, written)?;
            if body.is_empty() {
                return Err(ApiError::bad_request("the object provided is unrecognized: the body of the request is empty"));
            }
            Ok(Body::Json(body))
        }
        Verb::Patch => {
            let (patch, written) = negotiate::patch(kind)?;
            Ok(Body::Patch(patch, json(read(headers, body).await?, written)?))
        }
        Verb::Delete | Verb::DeleteCollection => {
            let body = read(headers, body).await?;
            if !body.is_empty() {
                merge(options, body, kind)?;
            }
            Ok(Body::None)
        }
        Verb::Get | Verb::List | Verb::Watch | Verb::Connect => Ok(Body::None),
    }
}

fn merge(options: &mut Options, body: Bytes, kind: Option<&str>) -> Result<(), ApiError> {
    let body = json(body, negotiate::written(kind)?)?;
    crate::query::merge_delete_options(options, &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn yaml_becomes_json() {
        let got = json(Bytes::from_static(b"kind: Pod\nmetadata:\n  name: a\n  labels: {x: '1'}\n"), Encoding::Yaml).unwrap();
        let value: Value = serde_json::from_slice(&got).unwrap();
        assert_eq!(value, serde_json::json!({"kind": "Pod", "metadata": {"name": "a", "labels": {"x": "1"}}}));
    }

    #[test]
    fn large_json_is_yaml_too() {
        let items = vec![serde_json::json!({"k": 1, "v": "x"}); 50_000];
        let large = Bytes::from(serde_json::json!({"items": items}).to_string());
        assert_eq!(json(large.clone(), Encoding::Yaml).ok(), Some(large));
        assert_eq!(json(Bytes::from_static(br#"{"a": 1, "a": 2}"#), Encoding::Yaml).map_err(|e| e.code()).err(), Some(400));
    }

    #[test]
    fn bad_yaml_is_a_bad_request() {
        for text in ["a: [", "\u{0}", "a: &x [*x]", "{{{{"] {
            assert_eq!(json(Bytes::copy_from_slice(text.as_bytes()), Encoding::Yaml).map_err(|e| e.code()).err(), Some(400), "{text:?}");
        }
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
        assert_eq!(json(Bytes::from_static(bomb.as_bytes()), Encoding::Yaml).map_err(|e| e.code()).err(), Some(400));
    }

    #[test]
    fn names_that_occur_twice() {
        let text = "\nspec:\n  foo: 1\n  foo: 2\n";
        let error = json(Bytes::from_static(text.as_bytes()), Encoding::Yaml).unwrap_err();
        let want = "error converting YAML to JSON: yaml: unmarshal errors:\n  line 4: key \"foo\" already set in map";
        assert_eq!(error.to_string(), want);
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_is_packed_is_unpacked_up_to_the_limit() {
        assert_eq!(unpacked(&gzip(b"{}")).unwrap(), "{}");
        assert_eq!(unpacked(&[gzip(b"{"), gzip(b"}")].concat()).unwrap(), "{}");
        assert_eq!(unpacked(&gzip(&vec![b' '; LIMIT])).map(|b| b.len()), Ok(LIMIT));
        assert_eq!(unpacked(&gzip(&vec![b' '; LIMIT + 1])).map_err(|e| e.code()).err(), Some(413));
        assert_eq!(unpacked(&gzip(&vec![b' '; 200 << 20])).map_err(|e| e.code()).err(), Some(413));
        for bytes in [&b"{}"[..], &[0x1f, 0x8b], gzip(b"{}").split_last().unwrap().1] {
            assert_eq!(unpacked(bytes).map_err(|e| e.code()).err(), Some(400), "{bytes:?}");
        }
    }

    #[test]
    fn content_encodings() {
        let cases: [(&[&str], Option<bool>); 9] = [
            (&[], Some(false)),
            (&[""], Some(false)),
            (&["identity"], Some(false)),
            (&["gzip"], Some(true)),
            (&["GZip, identity"], Some(true)),
            (&["br"], None),
            (&["gzip, gzip"], None),
            (&["gzip", "deflate"], None),
            (&["deflate"], None),
        ];
        for (given, want) in cases {
            let mut headers = HeaderMap::new();
            given.iter().for_each(|value| _ = headers.append(header::CONTENT_ENCODING, value.parse().unwrap()));
            assert_eq!(is_packed(&headers).map_err(|e| assert_eq!(e.code(), 415)).ok(), want, "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            json(Bytes::from(text), Encoding::Yaml).ok();
        }
    }
}
