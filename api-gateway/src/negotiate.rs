//! `Accept`, `Accept-Encoding` and `Content-Type`.
use model::schema::gnostic;
use model::{ApiError, Reason};
use state_client::PatchKind;

/// In which form objects are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As they are.
    Object,
    /// `meta.k8s.io/v1` Table: what `kubectl get` prints.
    Table,
    /// `meta.k8s.io/v1` PartialObjectMetadata: metadata alone.
    Metadata,
}

/// One media range: type, parameters, weight.
struct Range<'a> {
    media: String,
    params: Vec<(&'a str, &'a str)>,
}

impl<'a> Range<'a> {
    fn param(&self, name: &str) -> &'a str {
        self.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| *v)
    }
}

fn range(text: &str) -> (Range<'_>, f32) {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let params: Vec<(&str, &str)> = parts.filter_map(|p| p.split_once('=')).map(|(n, v)| (n.trim(), v.trim().trim_matches('"'))).collect();
    let weight = params.iter().find(|(n, _)| *n == "q").and_then(|(_, v)| v.parse().ok()).unwrap_or(1.0);
    (Range { media, params }, weight)
}

/// The ranges of an `Accept` header, the most wanted first.
fn ranges(accept: &str) -> Vec<Range<'_>> {
    let mut all: Vec<_> = accept.split(',').map(range).filter(|(r, q)| !r.media.is_empty() && *q > 0.0).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.into_iter().map(|(r, _)| r).collect()
}

fn is_json(range: &Range<'_>) -> bool {
    matches!(range.media.as_str(), "application/json" | "application/*" | "*/*")
}

fn not_acceptable() -> ApiError {
    ApiError::new(Reason::NotAcceptable, "only the following media types are accepted: application/json")
}

/// The form in which a client wants objects, of which `tables` says whether they can be shown so.
///
/// # Errors
/// 406 when it takes none that is served.
pub fn form(accept: Option<&str>, tables: bool) -> Result<Form, ApiError> {
    let Some(accept) = accept.filter(|a| !a.trim().is_empty()) else { return Ok(Form::Object) };
    let one = |r: &Range<'_>| {
        if !is_json(r) {
            return None;
        }
        match (r.param("as"), r.param("g"), r.param("v")) {
            ("", ..) => Some(Form::Object),
            ("Table", "meta.k8s.io", "v1") if tables => Some(Form::Table),
            ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1") => Some(Form::Metadata),
            _ => None,
        }
    };
    ranges(accept).iter().find_map(one).ok_or_else(not_acceptable)
}

/// Whether a client prefers aggregated discovery (`apidiscovery.k8s.io/v2`) to the classic one.
///
/// # Errors
/// 406 when it takes neither.
pub fn aggregated(accept: Option<&str>) -> Result<bool, ApiError> {
    let Some(accept) = accept.filter(|a| !a.trim().is_empty()) else { return Ok(false) };
    let one = |r: &Range<'_>| {
        if !is_json(r) {
            return None;
        }
        match (r.param("as"), r.param("g"), r.param("v")) {
            ("", ..) => Some(false),
            ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => Some(true),
            _ => None,
        }
    };
    ranges(accept).iter().find_map(one).ok_or_else(not_acceptable)
}

/// Whether a client takes plain JSON.
pub fn takes_json(accept: Option<&str>) -> bool {
    openapi(accept, false).is_ok()
}

/// Whether a client prefers protobuf to JSON for an OpenAPI document, which has such a form where `protobuf` says so.
///
/// # Errors
/// 406 when it takes none that there is.
pub fn openapi(accept: Option<&str>, protobuf: bool) -> Result<bool, ApiError> {
    let Some(accept) = accept.filter(|a| !a.trim().is_empty()) else { return Ok(false) };
    let is_protobuf = |r: &Range<'_>| protobuf && matches!(r.media.as_str(), gnostic::MEDIA_TYPE | gnostic::CONTENT_TYPE);
    ranges(accept).iter().find(|r| is_json(r) || is_protobuf(r)).map(|r| !is_json(r)).ok_or_else(not_acceptable)
}

/// Whether a client takes gzip.
pub fn takes_gzip(accept_encoding: Option<&str>) -> bool {
    accept_encoding.is_some_and(|a| ranges(a).iter().any(|r| r.media == "gzip"))
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Kubernetes' protobuf.
    Protobuf,
}

fn unsupported(given: &str, supported: &str) -> ApiError {
    let message = format!("the body of the request was in an unknown format - accepted media types include: {supported} (the request has \"{given}\")");
    ApiError::new(Reason::UnsupportedMediaType, message)
}

/// How the body of anything but a patch is written; JSON when nothing is said.
///
/// # Errors
/// 415 for anything but JSON, YAML and protobuf.
pub fn written(content_type: Option<&str>) -> Result<Written, ApiError> {
    let given = content_type.unwrap_or_default();
    match range(given).0.media.as_str() {
        "" | "application/json" | "*/*" => Ok(Written::Json),
        "application/yaml" | "application/x-yaml" | "text/yaml" => Ok(Written::Yaml),
        model::protobuf::MEDIA_TYPE => Ok(Written::Protobuf),
        _ => Err(unsupported(given, "application/json, application/yaml, application/vnd.kubernetes.protobuf")),
    }
}

/// The kind of patch that a body is, and how it is written.
///
/// # Errors
/// 415 for a content type that is no patch.
pub fn patch(content_type: Option<&str>) -> Result<(PatchKind, Written), ApiError> {
    let given = content_type.unwrap_or_default();
    match range(given).0.media.as_str() {
        "application/json-patch+json" => Ok((PatchKind::Json, Written::Json)),
        "application/merge-patch+json" => Ok((PatchKind::Merge, Written::Json)),
        "application/strategic-merge-patch+json" => Ok((PatchKind::Strategic, Written::Json)),
        "application/apply-patch+yaml" => Ok((PatchKind::Apply, Written::Yaml)),
        _ => Err(unsupported(
            given,
            "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        let cases = [
            (None, Some(Form::Object)),
            (Some("*/*"), Some(Form::Object)),
            (Some(kubectl), Some(Form::Table)),
            (Some("application/vnd.kubernetes.protobuf,application/json"), Some(Form::Object)),
            (Some("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"), Some(Form::Metadata)),
            (Some("application/json;q=0.5,application/json;as=Table;v=v1;g=meta.k8s.io;q=0.9"), Some(Form::Table)),
            (Some("application/json;as=Table;v=v9;g=meta.k8s.io"), None),
            (Some("application/vnd.kubernetes.protobuf"), None),
            (Some("text/html"), None),
            (Some("application/json;q=0"), None),
        ];
        for (accept, want) in cases {
            assert_eq!(form(accept, true).ok(), want, "{accept:?}");
        }
        assert_eq!(form(Some(kubectl), false), Ok(Form::Object));
        assert_eq!(form(Some("application/json;as=Table;v=v1;g=meta.k8s.io"), false).map_err(|e| e.code()), Err(406));
        assert_eq!(form(Some("text/html"), true).map_err(|e| e.code()), Err(406));
    }

    #[test]
    fn discovery() {
        let kubectl = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert_eq!(aggregated(Some(kubectl)), Ok(true));
        assert_eq!(aggregated(Some("application/json")), Ok(false));
        assert_eq!(aggregated(None), Ok(false));
    }

    #[test]
    fn openapi_documents() {
        let client_go = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
        let cases = [
            (None, true, Some(false)),
            (Some("*/*"), true, Some(false)),
            (Some(client_go), true, Some(true)),
            (Some("application/com.github.proto-openapi.spec.v2.v1.0+protobuf"), true, Some(true)),
            (Some("application/json, application/com.github.proto-openapi.spec.v2@v1.0+protobuf"), true, Some(false)),
            (Some(client_go), false, None),
            (Some("text/html"), true, None),
        ];
        for (accept, protobuf, want) in cases {
            assert_eq!(openapi(accept, protobuf).ok(), want, "{accept:?} {protobuf}");
        }
    }

    #[test]
    fn bodies() {
        assert_eq!(written(Some("application/json; charset=utf-8")), Ok(Written::Json));
        assert_eq!(written(Some("application/yaml")), Ok(Written::Yaml));
        assert_eq!(written(Some("application/vnd.kubernetes.protobuf")), Ok(Written::Protobuf));
        assert_eq!(written(Some("application/cbor")).map_err(|e| e.code()), Err(415));
        assert_eq!(patch(Some("application/vnd.kubernetes.protobuf")).map_err(|e| e.code()), Err(415));
        assert_eq!(patch(Some("application/merge-patch+json")), Ok((PatchKind::Merge, Written::Json)));
        assert_eq!(patch(Some("application/json")).map_err(|e| e.code()), Err(415));
        assert!(takes_gzip(Some("deflate, gzip;q=0.8")) && !takes_gzip(Some("gzip;q=0")) && !takes_gzip(None));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}") {
            form(Some(&text), true).ok();
            aggregated(Some(&text)).ok();
            written(Some(&text)).ok();
            patch(Some(&text)).ok();
            takes_gzip(Some(&text));
        }
    }
}
