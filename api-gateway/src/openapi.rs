//! `/openapi/v2` and `/openapi/v3`: the model's documents, made on first use and kept as bytes.
use crate::body::text;
use crate::negotiate;
use crate::respond::{self, Body};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use model::{ApiError, Kinds, Reason, schema};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A document as it is sent.
pub struct Document {
    body: Bytes,
    etag: String,
    /// The hash under which the index names it; `""` for what isn't in the index.
    hash: String,
}

/// The document at a path below `/openapi/`; `None` when there is none.
fn make(kinds: &Kinds, path: &str) -> Option<Document> {
    let segments: Vec<&str> = path.split('/').collect();
    let value = match segments.as_slice() {
        ["v2"] => schema::openapi_v2(kinds),
        ["v3"] => schema::openapi_v3_index(kinds),
        ["v3", "api", version] => schema::openapi_v3(kinds, "", version)?,
        ["v3", "apis", group, version] => schema::openapi_v3(kinds, group, version)?,
        _ => return None,
    };
    let hash = path.strip_prefix("v3/").map(|root| indexed_hash(kinds, root)).unwrap_or_default();
    let body = Bytes::from(value.to_string());
    let etag = Sha256::digest(&body).iter().map(|b| format!("{b:02X}")).collect::<String>();
    Some(Document { body, etag: format!("\"{etag}\""), hash })
}

fn indexed_hash(kinds: &Kinds, root: &str) -> String {
    let index = schema::openapi_v3_index(kinds);
    let address = index.get("paths").and_then(|p| p.get(root)).and_then(|e| e.get("serverRelativeURL")).and_then(Value::as_str);
    address.and_then(|a| a.split_once("?hash=")).map(|(_, hash)| hash.to_owned()).unwrap_or_default()
}

#[derive(Default)]
struct Made {
    of: Option<Arc<Kinds>>,
    documents: HashMap<String, Arc<Document>>,
}

/// Documents that were asked for, until the table of kinds changes.
#[derive(Default)]
pub struct OpenApi(Mutex<Made>);

impl OpenApi {
    fn lock(&self) -> MutexGuard<'_, Made> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, kinds: &Arc<Kinds>, path: &str) -> Option<Arc<Document>> {
        let mut made = self.lock();
        if !made.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, kinds)) {
            *made = Made { of: Some(kinds.clone()), documents: HashMap::new() };
        }
        made.documents.get(path).cloned()
    }

    /// The document at a path below `/openapi/`.
    ///
    /// # Errors
    /// 404 when there is none.
    pub async fn document(&self, kinds: Arc<Kinds>, path: &str) -> Result<Arc<Document>, ApiError> {
        let path = path.trim_end_matches('/').to_owned();
        if let Some(document) = self.held(&kinds, &path) {
            return Ok(document);
        }
        let (of, at) = (kinds.clone(), path.clone());
        let made = tokio::task::spawn_blocking(move || make(&of, &at)).await.map_err(|e| ApiError::internal(e.to_string()))?;
        let made = Arc::new(made.ok_or_else(ApiError::not_served)?);
        let mut held = self.lock();
        if held.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &kinds)) {
            held.documents.insert(path, made.clone());
        }
        Ok(made)
    }
}

impl Document {
    /// Sends it. `hash` is the query parameter: what is asked for by its hash never changes.
    ///
    /// # Errors
    /// 406 for clients that take no JSON: protobuf isn't served.
    pub fn respond(&self, hash: &str, headers: &HeaderMap) -> Result<Response<Body>, ApiError> {
        if !negotiate::takes_json(text(headers, header::ACCEPT)) {
            return Err(ApiError::new(Reason::NotAcceptable, "only the following media types are accepted: application/json"));
        }
        let known = text(headers, header::IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|t| t.trim() == self.etag));
        let mut response = respond::large(200, respond::JSON, if known { Bytes::new() } else { self.body.clone() }, headers);
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        if let Ok(value) = HeaderValue::from_str(&self.etag) {
            response.headers_mut().insert(header::ETAG, value);
        }
        let lasting = !hash.is_empty() && hash == self.hash;
        let caching = if lasting { "public, immutable, max-age=31536000" } else { "no-cache, private" };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn documents_are_kept_and_named_by_their_hash() {
        let (openapi, kinds) = (OpenApi::default(), Arc::new(crate::testing::pods()));
        let document = openapi.document(kinds.clone(), "v3/api/v1").await.unwrap();
        assert!(Arc::ptr_eq(&document, &openapi.document(kinds.clone(), "v3/api/v1/").await.unwrap()));
        let mut headers = HeaderMap::new();
        let fresh = document.respond(&document.hash, &headers).unwrap();
        assert!(fresh.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        headers.insert(header::IF_NONE_MATCH, fresh.headers()[header::ETAG].clone());
        assert_eq!(document.respond("", &headers).unwrap().status(), 304);
        for path in ["v3/api/v9", "v4", "", "v3/x/y/z"] {
            assert_eq!(openapi.document(kinds.clone(), path).await.map(|_| ()).map_err(|e| e.code()), Err(404), "{path}");
        }
        let all = openapi.document(kinds, "v2").await.unwrap();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/com.github.proto-openapi.spec.v2@v1.0+protobuf"));
        assert_eq!(all.respond("", &headers).map(|_| ()).map_err(|e| e.code()), Err(406));
    }
}
