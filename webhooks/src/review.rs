//! AdmissionReview of `admission.k8s.io`: what a webhook is asked, and what of its answer is believed.
use crate::review_version::ReviewVersion;
use crate::reviewed::Reviewed;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::Object;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The group of the review.
const GROUP: &str = "admission.k8s.io";
/// Most warnings and audit annotations of one answer that are kept.
const WORDS_MAX: usize = 64;
/// Most bytes of each of status, warnings and audit annotations; what is longer isn't read.
const SPOKEN_MAX: usize = 64 << 10;
/// Most operations of a patch, as in Kubernetes.
const OPERATIONS_MAX: usize = 10_000;

/// A kind of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupVersionKind<'a> {
    /// API group.
    pub group: &'a str,
    /// Version.
    pub version: &'a str,
    /// Kind.
    pub kind: &'a str,
}

/// A resource of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupVersionResource<'a> {
    /// API group.
    pub group: &'a str,
    /// Version.
    pub version: &'a str,
    /// Plural resource name.
    pub resource: &'a str,
}

/// What a webhook is asked: AdmissionRequest.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionRequest<'a> {
    /// Of this question: the answer repeats it.
    pub uid: String,
    /// Of the object that the webhook sees.
    pub kind: GroupVersionKind<'a>,
    /// Of the object that the webhook sees.
    pub resource: GroupVersionResource<'a>,
    /// The subresource.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub sub_resource: &'a str,
    /// What the client asked with.
    pub request_kind: GroupVersionKind<'a>,
    /// What the client asked for.
    pub request_resource: GroupVersionResource<'a>,
    /// The subresource that the client asked for.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub request_sub_resource: &'a str,
    /// The object's name.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub name: &'a str,
    /// The object's namespace; of a Namespace its own name.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub namespace: &'a str,
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT`.
    pub operation: &'a str,
    /// Who asks.
    pub user_info: Value,
    /// What it is to be; null for a deletion.
    pub object: Option<&'a Map<String, Value>>,
    /// What it is; null for a create and a connection.
    pub old_object: Option<&'a Map<String, Value>>,
    /// Whether it is only tried.
    pub dry_run: bool,
    /// The request's options, `CreateOptions` and so on.
    pub options: Option<Value>,
}

impl AdmissionRequest<'_> {
    /// The review that is sent.
    ///
    /// # Errors
    /// One sentence, when it doesn't serialise.
    pub fn review(&self, version: ReviewVersion) -> Result<Vec<u8>, String> {
        #[derive(Serialize)]
        struct Review<'a> {
            kind: &'a str,
            #[serde(rename = "apiVersion")]
            api_version: String,
            request: &'a AdmissionRequest<'a>,
        }
        serde_json::to_vec(&Review { kind: "AdmissionReview", api_version: version.api_version(GROUP), request: self }).map_err(|e| e.to_string())
    }

    /// The request without its objects, as match conditions see it.
    ///
    /// # Errors
    /// As [`AdmissionRequest::review`].
    pub fn value(&self) -> Result<Value, String> {
        serde_json::to_value(Self { object: None, old_object: None, ..self.clone() }).map_err(|e| e.to_string())
    }
}

/// What a webhook answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Whether the write is admitted.
    pub allowed: bool,
    /// A JSON patch of the object, of what asked for one.
    pub patch: Option<Vec<u8>>,
    /// Why it is refused: a `metav1.Status`.
    pub status: Option<Object>,
    /// Sentences for the client.
    pub warnings: Vec<String>,
    /// For the audit: name and value.
    pub audit: Vec<(String, String)>,
}

/// Bytes as Go's decoder takes them: base64, or a list of numbers, as serde writes them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Bytes {
    Base64(String),
    Numbers(Vec<u8>),
}

impl Bytes {
    fn is_empty(&self) -> bool {
        match self {
            Self::Base64(text) => text.is_empty(),
            Self::Numbers(bytes) => bytes.is_empty(),
        }
    }
    fn decode(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Base64(text) => STANDARD.decode(text).map_err(|e| format!("response.patch is not base64: {e}")),
            Self::Numbers(bytes) => Ok(bytes),
        }
    }
}

/// An operation of a patch, as far as it is looked at here.
#[derive(Deserialize)]
struct Operation {
    #[serde(default, rename = "op")]
    _op: Option<IgnoredAny>,
}

/// Reads what is said beside the decision, when that isn't more than anybody reads.
fn spoken<T: DeserializeOwned>(raw: Option<Box<RawValue>>) -> Option<T> {
    raw.filter(|raw| raw.get().len() <= SPOKEN_MAX).and_then(|raw| serde_json::from_str(raw.get()).ok())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    allowed: bool,
    #[serde(default)]
    status: Option<Box<RawValue>>,
    #[serde(default)]
    patch: Option<Bytes>,
    #[serde(default)]
    patch_type: Option<String>,
    #[serde(default)]
    audit_annotations: Option<Box<RawValue>>,
    #[serde(default)]
    warnings: Option<Box<RawValue>>,
}

/// Reads an answer to the question `uid`; one that may change the object has a patch.
///
/// # Errors
/// One sentence about what is wrong with the answer, with Kubernetes' words for where that was found.
pub fn answer(version: ReviewVersion, uid: &str, mutating: bool, body: &[u8]) -> Result<Answer, String> {
    let review: Reviewed<Response> = serde_json::from_slice(body).map_err(|e| match e.classify() {
        Category::Data => format!("failed to call webhook: the answer is no AdmissionReview: {e}"),
        _ => format!("failed to call webhook: couldn't get version/kind; json parse error: {e}"),
    })?;
    let answer = response(version, uid, mutating, review).map_err(|e| format!("received invalid webhook response: {e}"))?;
    // looked through without keeping anything of it
    let operations = answer.patch.as_deref().map(serde_json::from_slice::<Vec<Operation>>);
    match operations {
        Some(Err(e)) => Err(format!("received undecodable patch in webhook response: {e}")),
        Some(Ok(operations)) if operations.len() > OPERATIONS_MAX => {
            Err(format!("received a patch of more than {OPERATIONS_MAX} operations in webhook response"))
        }
        _ => Ok(answer),
    }
}

fn response(version: ReviewVersion, uid: &str, mutating: bool, mut review: Reviewed<Response>) -> Result<Answer, String> {
    let response = review.response.take().ok_or("webhook response was absent")?;
    review.check(version, GROUP, "AdmissionReview", uid, &response.uid)?;
    if version == ReviewVersion::V1 {
        check_patch(mutating, &response)?;
    }
    let patch = response.patch.filter(|patch| mutating && !patch.is_empty());
    let patch = patch.map(Bytes::decode).transpose()?;
    let audit: Map<String, Value> = spoken(response.audit_annotations).unwrap_or_default();
    Ok(Answer {
        allowed: response.allowed,
        patch,
        status: spoken(response.status).map(Object),
        warnings: spoken::<Vec<String>>(response.warnings).unwrap_or_default().into_iter().take(WORDS_MAX).collect(),
        audit: audit.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).take(WORDS_MAX).collect(),
    })
}

/// A patch comes with its type, and only from who may change the object.
fn check_patch(mutating: bool, response: &Response) -> Result<(), String> {
    let has_patch = response.patch.as_ref().is_some_and(|patch| !patch.is_empty());
    match (mutating, has_patch, response.patch_type.as_deref()) {
        (true, true, None) => Err("webhook returned response.patch but not response.patchType".to_owned()),
        (true, false, Some(_)) => Err("webhook returned response.patchType but not response.patch".to_owned()),
        (true, true, Some(other)) if other != "JSONPatch" => Err(format!("webhook returned invalid response.patchType of {other:?}")),
        (false, true, _) => Err("validating webhook may not return response.patch".to_owned()),
        (false, _, Some(_)) => Err("validating webhook may not return response.patchType".to_owned()),
        _ => Ok(()),
    }
}

/// The `metav1.Status` of a refusal: in the words of the webhook, as Kubernetes passes them on.
pub fn refusal(webhook: &str, status: Option<Object>) -> Object {
    let mut status = status.unwrap_or_default();
    let denied = format!("admission webhook {webhook:?} denied the request");
    let message = match (status.str_at(&["message"]), status.str_at(&["reason"])) {
        ("", "") => format!("{denied} without explanation"),
        ("", why) | (why, _) => format!("{denied}: {why}"),
    };
    let code = status.int_at(&["code"]).filter(|code| (400..600).contains(code)).unwrap_or(400);
    status.0.retain(|key, _| matches!(key.as_str(), "reason" | "details"));
    for (key, value) in [("apiVersion", json!("v1")), ("kind", json!("Status")), ("metadata", json!({})), ("status", json!("Failure"))] {
        status.set(&[key], value);
    }
    status.set(&["message"], message);
    status.set(&["code"], code);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(mutating: bool, response: Value) -> Result<Answer, String> {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
        answer(ReviewVersion::V1, "u", mutating, review.to_string().as_bytes())
    }

    #[test]
    fn what_is_believed() {
        assert_eq!(of(true, json!({"uid": "u", "allowed": true})), Ok(Answer { allowed: true, ..Answer::default() }));
        let patched = of(true, json!({"uid": "u", "allowed": true, "patch": "W10=", "patchType": "JSONPatch", "warnings": ["w"]})).unwrap();
        assert_eq!((patched.patch.as_deref(), patched.warnings), (Some(&b"[]"[..]), vec!["w".to_owned()]));
        let listed = of(true, json!({"uid": "u", "allowed": true, "patch": [91, 93], "patchType": "JSONPatch"})).unwrap();
        assert_eq!(listed.patch.as_deref(), Some(&b"[]"[..]));
        let refused = [
            (true, json!({"uid": "v", "allowed": true}), "expected response.uid=\"u\", got \"v\""),
            (true, json!({"uid": "u", "patch": "W10="}), "webhook returned response.patch but not response.patchType"),
            (true, json!({"uid": "u", "patchType": "JSONPatch"}), "webhook returned response.patchType but not response.patch"),
            (true, json!({"uid": "u", "patch": "W10=", "patchType": "X"}), "webhook returned invalid response.patchType of \"X\""),
            (false, json!({"uid": "u", "patch": "W10="}), "validating webhook may not return response.patch"),
            (true, Value::Null, "webhook response was absent"),
        ];
        for (mutating, response, why) in refused {
            assert_eq!(of(mutating, response), Err(format!("received invalid webhook response: {why}")));
        }
        let no_patch = of(true, json!({"uid": "u", "patch": STANDARD.encode("no patch"), "patchType": "JSONPatch"})).unwrap_err();
        assert!(no_patch.starts_with("received undecodable patch in webhook response: "), "{no_patch}");
        let wrong = json!({"apiVersion": "v1", "kind": "Pod", "response": {"uid": "u"}}).to_string();
        assert!(answer(ReviewVersion::V1, "u", true, wrong.as_bytes()).unwrap_err().contains("got v1, Kind=Pod"));
        assert!(answer(ReviewVersion::V1Beta1, "u", true, wrong.as_bytes()).is_ok());
    }

    #[test]
    fn refusals_are_failures() {
        let status = |given: Value| Value::Object(refusal("w", serde_json::from_value(given).ok().map(Object)).0);
        let plain = status(Value::Null);
        assert_eq!((&plain["message"], &plain["code"]), (&json!("admission webhook \"w\" denied the request without explanation"), &json!(400)));
        let said = status(json!({"status": "Success", "code": 200, "reason": "Because", "message": "no", "metadata": {"continue": "x"}}));
        let want = json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "reason": "Because", "code": 400,
            "message": "admission webhook \"w\" denied the request: no"});
        assert_eq!(said, want);
        assert_eq!(status(json!({"code": 418}))["code"], json!(418));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200), mutating: bool) {
            let read = answer(ReviewVersion::V1, "u", mutating, &body);
            prop_assert!(read.is_err());
        }
    }
}
