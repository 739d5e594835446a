//! `/openapi/v2` and `/openapi/v3`: the model's documents, made on first use and kept as bytes.
use crate::body::text;
use crate::negotiate;
use crate::respond::{self, Body};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use model::schema::{self, gnostic};
use model::{ApiError, Kinds};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A document as it is sent.
pub struct Document {
    body: Bytes,
    etag: String,
    /// The hash under which the index names it; `""` for what isn't in the index.
    hash: String,
    content_type: &'static str,
}

/// The document at a path below `/openapi/`; `None` when there is none. Only version 2 has a form in protobuf.
fn make(kinds: &Kinds, path: &str, protobuf: bool) -> Option<Document> {
    let segments: Vec<&str> = path.split('/').collect();
    let of_group = |group: &str, version: &str| Some((schema::openapi_v3(kinds, group, version)?, schema::openapi_v3_hash(kinds, group, version)));
    let (value, hash) = match segments.as_slice() {
        ["v2"] => (schema::openapi_v2(kinds), String::new()),
        ["v3"] => (schema::openapi_v3_index(kinds), String::new()),
        ["v3", "api", version] => of_group("", version)?,
        ["v3", "apis", group, version] => of_group(group, version)?,
        _ => return None,
    };
    let (body, content_type) = match protobuf {
        true => (Bytes::from(gnostic::encode(&value)), gnostic::CONTENT_TYPE),
        false => (respond::text_of(&value), respond::JSON),
    };
    let etag = Sha256::digest(&body).iter().map(|b| format!("{b:02X}")).collect::<String>();
    Some(Document { body, etag: format!("\"{etag}\""), hash, content_type })
}

#[derive(Default)]
struct Made {
    of: Option<Arc<Kinds>>,
    documents: HashMap<(String, bool), Arc<Document>>,
}

/// Documents that were asked for, until the table of kinds changes.
#[derive(Default)]
pub struct OpenApi(Mutex<Made>);

impl OpenApi {
    fn lock(&self) -> MutexGuard<'_, Made> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, kinds: &Arc<Kinds>, key: &(String, bool)) -> Option<Arc<Document>> {
        let mut made = self.lock();
        if !made.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, kinds)) {
            *made = Made { of: Some(kinds.clone()), documents: HashMap::new() };
        }
        made.documents.get(key).cloned()
    }

    /// The document at a path below `/openapi/`, in a form that the client takes.
    ///
    /// # Errors
    /// 404 when there is none, 406 for clients that take neither JSON nor, of version 2, protobuf.
    pub async fn document(&self, kinds: Arc<Kinds>, path: &str, accept: Option<&str>) -> Result<Arc<Document>, ApiError> {
        let path = path.trim_end_matches('/');
        let protobuf = negotiate::openapi(accept, path == "v2")?;
        let key = (path.to_owned(), protobuf);
        if let Some(document) = self.held(&kinds, &key) {
            return Ok(document);
        }
        let (of, at) = (kinds.clone(), key.0.clone());
        let made = tokio::task::spawn_blocking(move || make(&of, &at, protobuf)).await.map_err(|e| ApiError::internal(e.to_string()))?;
        let made = Arc::new(made.ok_or_else(ApiError::not_served)?);
        let mut held = self.lock();
        if held.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &kinds)) {
            held.documents.insert(key, made.clone());
        }
        Ok(made)
    }
}

impl Document {
    /// Sends it. `hash` is the query parameter: what is asked for by its hash never changes.
    pub fn respond(&self, hash: &str, headers: &HeaderMap) -> Response<Body> {
        let known = text(headers, header::IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|t| t.trim() == self.etag));
        let mut response = respond::large(200, self.content_type, if known { Bytes::new() } else { self.body.clone() }, headers);
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        if let Ok(value) = HeaderValue::from_str(&self.etag) {
            response.headers_mut().insert(header::ETAG, value);
        }
        let lasting = !hash.is_empty() && hash == self.hash;
        let caching = if lasting { "public, immutable, max-age=31536000" } else { "no-cache, private" };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn documents_are_kept_and_named_by_their_hash() {
        let (openapi, kinds) = (OpenApi::default(), Arc::new(crate::testing::pods()));
        let document = openapi.document(kinds.clone(), "v3/api/v1", None).await.unwrap();
        assert!(Arc::ptr_eq(&document, &openapi.document(kinds.clone(), "v3/api/v1/", None).await.unwrap()));
        let mut headers = HeaderMap::new();
        let fresh = document.respond(&document.hash, &headers);
        assert!(fresh.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        headers.insert(header::IF_NONE_MATCH, fresh.headers()[header::ETAG].clone());
        assert_eq!(document.respond("", &headers).status(), 304);
        for path in ["v3/api/v9", "v4", "", "v3/x/y/z"] {
            assert_eq!(openapi.document(kinds.clone(), path, None).await.map(|_| ()).map_err(|e| e.code()), Err(404), "{path}");
        }
    }

    #[tokio::test]
    async fn version_2_has_a_form_in_protobuf() {
        let (openapi, kinds) = (OpenApi::default(), Arc::new(crate::testing::pods()));
        let document = openapi.document(kinds.clone(), "v2", Some(gnostic::MEDIA_TYPE)).await.unwrap();
        assert_eq!(document.respond("", &HeaderMap::new()).headers()[header::CONTENT_TYPE], gnostic::CONTENT_TYPE);
        let json = openapi.document(kinds.clone(), "v2", None).await.unwrap();
        assert_eq!(json.respond("", &HeaderMap::new()).headers()[header::CONTENT_TYPE], respond::JSON);
        assert_ne!(document.etag, json.etag);
        let refused = openapi.document(kinds, "v3/api/v1", Some(gnostic::MEDIA_TYPE)).await;
        assert_eq!(refused.map(|_| ()).map_err(|e| e.code()), Err(406));
    }
}
