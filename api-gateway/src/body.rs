//! Requests' bodies: read up to a limit, and brought into JSON.
use crate::negotiate::{self, Written};
use crate::upload::Upload;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use model::{ApiError, Reason};
use serde_json::Value;
use state_client::{Body, Options, Verb};

/// The largest body, in bytes: etcd's and Kubernetes' limit of 3 MiB.
pub const LIMIT: usize = 3 * 1024 * 1024;

/// A header as text; `None` when absent or not text.
pub fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn too_large() -> ApiError {
    ApiError::new(Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {LIMIT}"))
}

/// Reads a whole body.
///
/// # Errors
/// 413 beyond [`LIMIT`]; 400 when the client breaks off.
pub async fn read(headers: &HeaderMap, mut body: Upload) -> Result<Bytes, ApiError> {
    if text(headers, header::CONTENT_ENCODING).is_some_and(|e| !e.eq_ignore_ascii_case("identity")) {
        return Err(ApiError::new(Reason::UnsupportedMediaType, "the body of the request must not be compressed"));
    }
    let mut whole = BytesMut::new();
    while let Some(data) = body.next().await.map_err(|e| ApiError::bad_request(format!("the body of the request could not be read: {e}")))? {
        if whole.len() + data.len() > LIMIT {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// YAML and protobuf become JSON; JSON stays as it came, unparsed: `state` parses it, once.
///
/// # Errors
/// 400 for what is neither.
pub fn json(body: Bytes, written: Written) -> Result<Bytes, ApiError> {
    let wrong = |e: String| ApiError::bad_request(format!("error converting YAML to JSON: {e}"));
    match written {
        Written::Json => Ok(body),
        Written::Yaml => {
            let value: Value = serde_saphyr::from_slice(&body).map_err(|e| wrong(e.to_string()))?;
            serde_json::to_vec(&value).map(Bytes::from).map_err(|e| wrong(e.to_string()))
        }
        Written::Protobuf => {
            let object = model::protobuf::decode(&body)?;
            serde_json::to_vec(&object).map(Bytes::from).map_err(|e| ApiError::bad_request(e.to_string()))
        }
    }
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
        let got = json(Bytes::from_static(b"kind: Pod\nmetadata:\n  name: a\n  labels: {x: '1'}\n"), Written::Yaml).unwrap();
        let value: Value = serde_json::from_slice(&got).unwrap();
        assert_eq!(value, serde_json::json!({"kind": "Pod", "metadata": {"name": "a", "labels": {"x": "1"}}}));
    }

    #[test]
    fn bad_yaml_is_a_bad_request() {
        for text in ["a: [", "\u{0}", "a: &x [*x]", "{{{{"] {
            assert_eq!(json(Bytes::copy_from_slice(text.as_bytes()), Written::Yaml).map_err(|e| e.code()).err(), Some(400), "{text:?}");
        }
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
        assert_eq!(json(Bytes::from_static(bomb.as_bytes()), Written::Yaml).map_err(|e| e.code()).err(), Some(400));
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            json(Bytes::from(text), Written::Yaml).ok();
        }
    }
}
