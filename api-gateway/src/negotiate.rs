//! `Accept`, `Accept-Encoding` and `Content-Type`.
use crate::encoding::Encoding;
use model::schema::gnostic;
use model::{ApiError, Reason};
use state_client::PatchKind;

/// In which form objects are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// As they are.
    Object,
    /// Table of `meta.k8s.io`: what `kubectl get` prints.
    Table(MetaVersion),
    /// PartialObjectMetadata of `meta.k8s.io`: metadata alone.
    Metadata(MetaVersion),
}

/// A version of `meta.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetaVersion {
    /// `v1`.
    V1,
    /// `v1beta1`, whose forms are the same.
    V1Beta1,
}

impl MetaVersion {
    fn of(group: &str, version: &str) -> Option<Self> {
        match (group, version) {
            ("meta.k8s.io", "v1") => Some(Self::V1),
            ("meta.k8s.io", "v1beta1") => Some(Self::V1Beta1),
            _ => None,
        }
    }

    /// As objects name it.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
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

/// The ranges of an `Accept` header, the most wanted first; of those wanted alike, those without wildcards.
fn ranges(accept: &str) -> Vec<Range<'_>> {
    let mut all: Vec<_> = accept.split(',').map(range).filter(|(r, q)| !r.media.is_empty() && *q > 0.0).collect();
    let wildcards = |r: &Range<'_>| r.media.matches('*').count();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| wildcards(&a.0).cmp(&wildcards(&b.0))));
    all.into_iter().map(|(r, _)| r).collect()
}

fn is_json(range: &Range<'_>) -> bool {
    Encoding::Json.is_in(&range.media)
}

/// 406, with what there is.
fn not_acceptable<'a>(offered: impl IntoIterator<Item = &'a str>) -> ApiError {
    let offered: Vec<&str> = offered.into_iter().collect();
    ApiError::new(Reason::NotAcceptable, format!("only the following media types are accepted: {}", offered.join(", ")))
}

fn only_json() -> ApiError {
    not_acceptable([Encoding::Json.media_type()])
}

/// What there is for one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offer<'a> {
    /// Version and kind of what is answered; `None` for a Status.
    pub kind: Option<(&'a str, &'a str)>,
    /// Whether that can be shown in other forms.
    pub forms: bool,
    /// Whether it can be shown as a table.
    pub tables: bool,
    /// Whether it is a watch.
    pub watch: bool,
    /// Whether it is a list.
    pub list: bool,
}

impl Offer<'_> {
    /// Whether an encoding has the kind itself: custom resources have no protobuf.
    fn has(&self, encoding: Encoding) -> bool {
        encoding != Encoding::Protobuf || self.kind.is_none_or(|(version, kind)| model::protobuf::is_kind(version, kind))
    }

    fn form(&self, range: &Range<'_>, encoding: Encoding) -> Option<Form> {
        if self.watch && encoding.stream_type().is_none() || !self.streams(range, encoding) {
            return None;
        }
        let version = MetaVersion::of(range.param("g"), range.param("v"));
        match (range.param("as"), version) {
            ("", None) if range.param("g").is_empty() && range.param("v").is_empty() => self.has(encoding).then_some(Form::Object),
            ("Table", Some(version)) if self.tables && matches!(encoding, Encoding::Json | Encoding::Yaml) => Some(Form::Table(version)),
            ("PartialObjectMetadata", Some(version)) if self.forms && !self.list => Some(Form::Metadata(version)),
            ("PartialObjectMetadataList", Some(version)) if self.forms && self.list => Some(Form::Metadata(version)),
            _ => None,
        }
    }

    /// Whether the stream that a range asks for is there.
    fn streams(&self, range: &Range<'_>, encoding: Encoding) -> bool {
        match range.param("stream") {
            "" => true,
            stream => stream == "watch" && encoding.stream_type().is_some(),
        }
    }

    fn refusal(&self) -> ApiError {
        let all = Encoding::ALL.into_iter().filter(|encoding| self.has(*encoding));
        match self.watch {
            false => not_acceptable(all.map(Encoding::media_type)),
            true => not_acceptable(all.filter_map(|encoding| match encoding {
                Encoding::Json => Some("application/json;stream=watch"),
                other => other.stream_type(),
            })),
        }
    }
}

/// The form and the encoding that a client prefers of what there is.
///
/// # Errors
/// 406 when it takes none of it.
pub fn wanted(accept: Option<&str>, offer: Offer<'_>) -> Result<(Form, Encoding), ApiError> {
    let Some(accept) = accept.filter(|a| !a.trim().is_empty()) else { return Ok((Form::Object, Encoding::Json)) };
    let of = |range: &Range<'_>| {
        let encodings = Encoding::ALL.into_iter().filter(|e| e.is_in(&range.media));
        encodings.filter_map(|e| Some((offer.form(range, e)?, e))).next()
    };
    ranges(accept).iter().find_map(of).ok_or_else(|| offer.refusal())
}

/// The encoding of an error's Status: JSON for clients that take nothing that there is.
pub fn of_status(accept: Option<&str>) -> Encoding {
    wanted(accept, Offer::default()).map_or(Encoding::Json, |(_, encoding)| encoding)
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
    ranges(accept).iter().find_map(one).ok_or_else(only_json)
}

/// Whether a client prefers protobuf to JSON for an OpenAPI document, which has such a form where `protobuf` says so.
///
/// # Errors
/// 406 when it takes none that there is.
pub fn openapi(accept: Option<&str>, protobuf: bool) -> Result<bool, ApiError> {
    let Some(accept) = accept.filter(|a| !a.trim().is_empty()) else { return Ok(false) };
    let is_protobuf = |r: &Range<'_>| protobuf && matches!(r.media.as_str(), gnostic::MEDIA_TYPE | gnostic::CONTENT_TYPE);
    ranges(accept).iter().find(|r| is_json(r) || is_protobuf(r)).map(|r| !is_json(r)).ok_or_else(only_json)
}

/// Whether a client takes gzip.
pub fn takes_gzip(accept_encoding: Option<&str>) -> bool {
    accept_encoding.is_some_and(|a| ranges(a).iter().any(|r| r.media == "gzip"))
}

fn unsupported<'a>(given: &str, supported: impl IntoIterator<Item = &'a str>) -> ApiError {
    let supported: Vec<&str> = supported.into_iter().collect();
    let message =
        format!("the body of the request was in an unknown format - accepted media types include: {} (the request has \"{given}\")", supported.join(", "));
    ApiError::new(Reason::UnsupportedMediaType, message)
}

/// How the body of anything but a patch is written; JSON when nothing is said.
///
/// # Errors
/// 415 for what is none of the encodings.
pub fn written(content_type: Option<&str>) -> Result<Encoding, ApiError> {
    let given = content_type.unwrap_or_default();
    match range(given).0.media.as_str() {
        "" | "*/*" => Ok(Encoding::Json),
        "application/x-yaml" | "text/yaml" => Ok(Encoding::Yaml),
        media => {
            let found = Encoding::ALL.into_iter().find(|encoding| encoding.media_type() == media);
            found.ok_or_else(|| unsupported(given, Encoding::ALL.map(Encoding::media_type)))
        }
    }
}

/// The media types of patches.
const PATCHES: [(&str, PatchKind, Encoding); 5] = [
    ("application/json-patch+json", PatchKind::Json, Encoding::Json),
    ("application/merge-patch+json", PatchKind::Merge, Encoding::Json),
    ("application/strategic-merge-patch+json", PatchKind::Strategic, Encoding::Json),
    ("application/apply-patch+yaml", PatchKind::Apply, Encoding::Yaml),
    ("application/apply-patch+cbor", PatchKind::Apply, Encoding::Cbor),
];

/// The kind of patch that a body is, and how it is written.
///
/// # Errors
/// 415 for a content type that is no patch.
pub fn patch(content_type: Option<&str>) -> Result<(PatchKind, Encoding), ApiError> {
    let given = content_type.unwrap_or_default();
    let media = range(given).0.media;
    let found = PATCHES.iter().find(|(name, ..)| *name == media);
    found.map(|(_, kind, encoding)| (*kind, *encoding)).ok_or_else(|| unsupported(given, PATCHES.iter().map(|(name, ..)| *name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PODS: Offer<'_> = Offer { kind: Some(("v1", "Pod")), forms: true, tables: true, watch: false, list: false };
    const CUSTOM: Offer<'_> = Offer { kind: Some(("example.com/v1", "Pod")), forms: true, tables: true, watch: false, list: false };
    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
    const KUBECTL: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

    #[test]
    fn forms_and_encodings() {
        let metadata = format!("{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
        let table = format!("{PROTOBUF};as=Table;g=meta.k8s.io;v=v1");
        let cases = [
            (None, Some((Form::Object, Encoding::Json))),
            (Some(""), Some((Form::Object, Encoding::Json))),
            (Some("*/*"), Some((Form::Object, Encoding::Json))),
            (Some("application/*;q=0.1"), Some((Form::Object, Encoding::Json))),
            (Some(KUBECTL), Some((Form::Table(MetaVersion::V1), Encoding::Json))),
            (Some("application/vnd.kubernetes.protobuf,application/json"), Some((Form::Object, Encoding::Protobuf))),
            (Some("application/json, application/vnd.kubernetes.protobuf"), Some((Form::Object, Encoding::Json))),
            (Some("application/json;q=0.9, application/cbor"), Some((Form::Object, Encoding::Cbor))),
            (Some("*/*, application/yaml"), Some((Form::Object, Encoding::Yaml))),
            (Some("text/html, application/xml;q=0.9, */*;q=0.8"), Some((Form::Object, Encoding::Json))),
            (Some("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"), Some((Form::Metadata(MetaVersion::V1), Encoding::Json))),
            (Some(&*metadata), Some((Form::Metadata(MetaVersion::V1), Encoding::Protobuf))),
            (Some(&*table), None),
            (Some("application/yaml;as=Table;v=v1;g=meta.k8s.io"), Some((Form::Table(MetaVersion::V1), Encoding::Yaml))),
            (Some("application/json;q=0.5,application/json;as=Table;v=v1;g=meta.k8s.io;q=0.9"), Some((Form::Table(MetaVersion::V1), Encoding::Json))),
            (Some("application/json;as=Table;v=v9;g=meta.k8s.io"), None),
            (Some("application/json;g=meta.k8s.io"), None),
            (Some(PROTOBUF), Some((Form::Object, Encoding::Protobuf))),
            (Some("application/json;stream=tail"), None),
            (Some("text/html"), None),
            (Some("application/json;q=0"), None),
        ];
        for (accept, want) in cases {
            let offer = Offer { list: accept.is_some_and(|accept| accept.contains("MetadataList")), ..PODS };
            assert_eq!(wanted(accept, offer).ok(), want, "{accept:?}");
            let other = Offer { list: !offer.list, ..offer };
            assert!(!accept.is_some_and(|accept| accept.contains("as=Partial")) || wanted(accept, other).is_err(), "{accept:?} is of one, or of a list");
        }
        assert_eq!(wanted(Some(KUBECTL), Offer { tables: false, ..PODS }), Ok((Form::Object, Encoding::Json)));
        assert_eq!(wanted(Some(&format!("{table},application/json")), PODS), Ok((Form::Object, Encoding::Json)));
    }

    #[test]
    fn custom_resources_have_no_protobuf() {
        assert_eq!(wanted(Some(PROTOBUF), CUSTOM).map_err(|e| e.code()), Err(406));
        assert_eq!(wanted(Some("application/vnd.kubernetes.protobuf,application/json"), CUSTOM), Ok((Form::Object, Encoding::Json)));
        let metadata = format!("{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
        assert_eq!(wanted(Some(&metadata), CUSTOM), Ok((Form::Metadata(MetaVersion::V1), Encoding::Protobuf)));
    }

    #[test]
    fn watches() {
        let watch = Offer { watch: true, ..PODS };
        let protobuf = format!("{PROTOBUF};stream=watch");
        for (accept, want) in [
            ("application/json;stream=watch", Some(Encoding::Json)),
            (&protobuf, Some(Encoding::Protobuf)),
            ("application/cbor-seq", Some(Encoding::Cbor)),
            ("application/cbor", Some(Encoding::Cbor)),
            ("application/yaml", None),
        ] {
            assert_eq!(wanted(Some(accept), watch).ok(), want.map(|encoding| (Form::Object, encoding)), "{accept}");
        }
    }

    #[test]
    fn refusals_say_what_there_is() {
        let of = |offer: Offer<'_>| wanted(Some("text/html"), offer).map_err(|e| (e.code(), e.message)).err();
        let said = |types: &str| Some((406, format!("only the following media types are accepted: {types}")));
        assert_eq!(of(PODS), said("application/json, application/yaml, application/vnd.kubernetes.protobuf, application/cbor"));
        assert_eq!(of(CUSTOM), said("application/json, application/yaml, application/cbor"));
        let streams = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch, application/cbor-seq";
        assert_eq!(of(Offer { watch: true, ..PODS }), said(streams));
    }

    #[test]
    fn errors() {
        for (accept, want) in [
            (None, Encoding::Json),
            (Some(KUBECTL), Encoding::Json),
            (Some("text/html"), Encoding::Json),
            (Some(PROTOBUF), Encoding::Protobuf),
            (Some("application/json;as=Table;v=v1;g=meta.k8s.io,application/cbor"), Encoding::Cbor),
        ] {
            assert_eq!(of_status(accept), want, "{accept:?}");
        }
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
        assert_eq!(written(Some("application/json; charset=utf-8")), Ok(Encoding::Json));
        assert_eq!(written(Some("application/yaml")), Ok(Encoding::Yaml));
        assert_eq!(written(Some("application/vnd.kubernetes.protobuf")), Ok(Encoding::Protobuf));
        assert_eq!(written(Some("application/cbor")), Ok(Encoding::Cbor));
        assert_eq!(written(Some("application/xml")).map_err(|e| e.code()), Err(415));
        assert_eq!(patch(Some("application/apply-patch+cbor")), Ok((PatchKind::Apply, Encoding::Cbor)));
        assert_eq!(patch(Some("application/vnd.kubernetes.protobuf")).map_err(|e| e.code()), Err(415));
        assert_eq!(patch(Some("application/merge-patch+json")), Ok((PatchKind::Merge, Encoding::Json)));
        assert_eq!(patch(Some("application/json")).map_err(|e| e.code()), Err(415));
        assert!(takes_gzip(Some("deflate, gzip;q=0.8")) && !takes_gzip(Some("gzip;q=0")) && !takes_gzip(None));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}") {
            wanted(Some(&text), PODS).ok();
            of_status(Some(&text));
            aggregated(Some(&text)).ok();
            written(Some(&text)).ok();
            patch(Some(&text)).ok();
            takes_gzip(Some(&text));
        }
    }
}
