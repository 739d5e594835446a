//! The structured API error. It renders as a Kubernetes `Status`; nothing is ever parsed back out of its message.
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// Machine-readable reason of a failure: `metav1.StatusReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// 400: the request can't be understood.
    BadRequest,
    /// 401: who is asking isn't known.
    Unauthorized,
    /// 403: known, but may not.
    Forbidden,
    /// 404.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 406.
    NotAcceptable,
    /// 409: create of what exists.
    AlreadyExists,
    /// 409: somebody else wrote first, or a precondition fails.
    Conflict,
    /// 410: the revision asked for isn't held any more.
    Gone,
    /// 410: the same, as watches and continue tokens say it.
    Expired,
    /// 413.
    RequestEntityTooLarge,
    /// 415.
    UnsupportedMediaType,
    /// 422: understood, and refused field by field.
    Invalid,
    /// 429.
    TooManyRequests,
    /// 500.
    InternalError,
    /// 500 with a hint to try again: name generation failed, server timeout.
    ServerTimeout,
    /// 503.
    ServiceUnavailable,
    /// 504.
    Timeout,
}

impl Reason {
    /// The HTTP status that goes with this reason.
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Gone | Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::InternalError | Self::ServerTimeout => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
        }
    }
}

/// Why one field is refused: `metav1.CauseType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CauseReason {
    /// A value that isn't allowed.
    FieldValueInvalid,
    /// A value that must be given.
    FieldValueRequired,
    /// A value that occurs twice.
    FieldValueDuplicate,
    /// A reference to what doesn't exist.
    FieldValueNotFound,
    /// A value outside of the listed ones.
    FieldValueNotSupported,
    /// A value that is forbidden here.
    FieldValueForbidden,
    /// Too long.
    FieldValueTooLong,
    /// Too many.
    FieldValueTooMany,
    /// Wrong type.
    FieldValueTypeInvalid,
    /// A field that another manager owns.
    FieldManagerConflict,
    /// The namespace of new content is being deleted.
    NamespaceTerminating,
    /// A revision that the server hasn't reached.
    ResourceVersionTooLarge,
    /// An eviction that a disruption budget doesn't allow.
    DisruptionBudget,
    /// The server's own fault.
    InternalError,
}

/// One refused field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Why.
    pub reason: CauseReason,
    /// The path, as Kubernetes writes it: `spec.containers[0].name`; empty where it is of none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The sentence without the path: `Invalid value: "A": must be lower case`.
    pub message: String,
}

impl Cause {
    /// `Invalid value: …: detail`; `value` is rendered as JSON.
    pub fn invalid(field: impl fmt::Display, value: &Value, detail: impl fmt::Display) -> Self {
        Self { reason: CauseReason::FieldValueInvalid, field: field.to_string(), message: format!("Invalid value: {value}: {detail}") }
    }
    /// `Invalid value: detail`, where the value is left out.
    pub fn wrong(field: impl fmt::Display, detail: impl fmt::Display) -> Self {
        Self { reason: CauseReason::FieldValueInvalid, field: field.to_string(), message: format!("Invalid value: {detail}") }
    }
    /// `Required value`, with `detail` when it isn't empty.
    pub fn required(field: impl fmt::Display, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string();
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self { reason: CauseReason::FieldValueRequired, field: field.to_string(), message }
    }
    /// `Forbidden: detail`.
    pub fn forbidden(field: impl fmt::Display, detail: impl fmt::Display) -> Self {
        Self { reason: CauseReason::FieldValueForbidden, field: field.to_string(), message: format!("Forbidden: {detail}") }
    }
    /// `Duplicate value: …`.
    pub fn duplicate(field: impl fmt::Display, value: &Value) -> Self {
        Self { reason: CauseReason::FieldValueDuplicate, field: field.to_string(), message: format!("Duplicate value: {value}") }
    }
    /// `Not found: …`.
    pub fn not_found(field: impl fmt::Display, value: &Value) -> Self {
        Self { reason: CauseReason::FieldValueNotFound, field: field.to_string(), message: format!("Not found: {value}") }
    }
    /// `Unsupported value: …: supported values: "a", "b"`.
    pub fn not_supported(field: impl fmt::Display, value: &Value, supported: &[&str]) -> Self {
        let list = supported.iter().map(|s| format!("\"{s}\"")).collect::<Vec<_>>().join(", ");
        Self { reason: CauseReason::FieldValueNotSupported, field: field.to_string(), message: format!("Unsupported value: {value}: supported values: {list}") }
    }
    /// `Too long: may not be more than max bytes`.
    pub fn too_long(field: impl fmt::Display, max: usize) -> Self {
        Self { reason: CauseReason::FieldValueTooLong, field: field.to_string(), message: format!("Too long: may not be more than {max} bytes") }
    }
    /// `Too long: may not be more than max characters`.
    pub fn too_many_characters(field: impl fmt::Display, max: usize) -> Self {
        let message = format!("Too long: may not be more than {max} characters");
        Self { reason: CauseReason::FieldValueTooLong, field: field.to_string(), message }
    }
    /// `Too many: n: must have at most max items`.
    pub fn too_many(field: impl fmt::Display, n: usize, max: usize) -> Self {
        Self { reason: CauseReason::FieldValueTooMany, field: field.to_string(), message: format!("Too many: {n}: must have at most {max} items") }
    }
}

/// What an error is about: `metav1.StatusDetails`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Its kind, or its resource where Kubernetes puts that here.
    pub kind: String,
    /// Its UID.
    pub uid: String,
    /// The refused fields.
    pub causes: Vec<Cause>,
    /// When to try again.
    pub retry_after_seconds: u32,
    /// With an expired `continue` token: one that goes on with the present. It is rendered as the Status's `metadata.continue`.
    #[serde(default)]
    pub continue_token: String,
    /// Sentences for the client's `Warning` headers, of those who were asked before it was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The `Status` of somebody who was asked, which the client is shown as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
}

/// A failure of an API request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// Why.
    pub reason: Reason,
    /// One sentence for a person.
    pub message: String,
    /// What it is about.
    pub details: Option<Box<Details>>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

impl ApiError {
    /// An error without details.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), details: None }
    }
    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }
    /// 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Reason::InternalError, format!("Internal error occurred: {}", message.into()))
    }
    /// 503: a part of the cluster can't be reached now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Reason::ServiceUnavailable, message)
    }
    /// 504.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(Reason::Timeout, message)
    }
    /// 410 as watches say it.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(Reason::Expired, message)
    }
    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(Reason::Unauthorized, "Unauthorized")
    }
    /// 404 for a path that nothing is served at. It has details, which are empty: some clients look into them unasked.
    pub fn not_served() -> Self {
        Self { details: Some(Box::default()), ..Self::new(Reason::NotFound, "the server could not find the requested resource") }
    }
    /// 405 for a method that a path doesn't have, with empty details as well.
    pub fn not_allowed() -> Self {
        Self { details: Some(Box::default()), ..Self::new(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource") }
    }
    /// 404: `pods "x" not found`. `resource` is the plural.
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        Self::about(Reason::NotFound, group, resource, name, format!("{} \"{name}\" not found", qualified(group, resource)))
    }
    /// 409: `pods "x" already exists`.
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        Self::about(Reason::AlreadyExists, group, resource, name, format!("{} \"{name}\" already exists", qualified(group, resource)))
    }
    /// 409: `Operation cannot be fulfilled on pods "x": why`.
    pub fn conflict(group: &str, resource: &str, name: &str, why: impl fmt::Display) -> Self {
        Self::about(Reason::Conflict, group, resource, name, format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified(group, resource)))
    }
    /// The conflict that clients retry on.
    pub fn modified(group: &str, resource: &str, name: &str) -> Self {
        Self::conflict(group, resource, name, "the object has been modified; please apply your changes to the latest version and try again")
    }
    /// 403: `pods "x" is forbidden: why`.
    pub fn forbidden(group: &str, resource: &str, name: &str, why: impl fmt::Display) -> Self {
        let what = qualified(group, resource);
        let message = if name.is_empty() { format!("{what} is forbidden: {why}") } else { format!("{what} \"{name}\" is forbidden: {why}") };
        Self::about(Reason::Forbidden, group, resource, name, message)
    }
    /// 422 with one cause a refused field. `kind` is the kind's name: `Pod`.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let list: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let why = match list.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut e = Self::about(Reason::Invalid, group, kind, name, format!("{} \"{name}\" is invalid: {why}", qualified(group, kind)));
        if let Some(d) = e.details.as_mut() {
            d.causes = causes;
        }
        e
    }
    /// 429: try again after so many seconds.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let details = Details { retry_after_seconds, ..Details::default() };
        Self { reason: Reason::TooManyRequests, message: message.into(), details: Some(Box::new(details)) }
    }
    /// The refusal of somebody who was asked, a webhook: the client is shown his `Status`, with a code from 400 on. Whatever that says, here it is a refusal
    /// and nothing else: nobody acts on a "not found" of a stranger.
    pub fn passed_on(status: Value) -> Self {
        let message = status["message"].as_str().unwrap_or_default().to_owned();
        Self { reason: Reason::Forbidden, message, details: Some(Box::new(Details { status: Some(status), ..Details::default() })) }
    }
    /// The same with what the client is warned of besides.
    #[must_use]
    pub fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        if !warnings.is_empty() {
            self.details.get_or_insert_default().warnings = warnings;
        }
        self
    }
    fn about(reason: Reason, group: &str, kind: &str, name: &str, message: String) -> Self {
        let details = Details { name: name.to_owned(), group: group.to_owned(), kind: kind.to_owned(), ..Details::default() };
        Self { reason, message, details: Some(Box::new(details)) }
    }

    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        let passed_on = self.details.as_ref().and_then(|details| details.status.as_ref()?["code"].as_u64());
        passed_on.and_then(|code| u16::try_from(code).ok()).unwrap_or_else(|| self.reason.code())
    }

    /// Whether the object named doesn't exist.
    pub fn is_not_found(&self) -> bool {
        self.reason == Reason::NotFound
    }
    /// Whether somebody else wrote first.
    pub fn is_conflict(&self) -> bool {
        self.reason == Reason::Conflict
    }
    /// Whether the object exists already.
    pub fn is_already_exists(&self) -> bool {
        self.reason == Reason::AlreadyExists
    }
    /// Whether the same request may succeed later without a change.
    pub fn is_transient(&self) -> bool {
        matches!(self.reason, Reason::ServiceUnavailable | Reason::Timeout | Reason::ServerTimeout | Reason::TooManyRequests | Reason::InternalError)
    }

    /// As a `metav1.Status` of status `Failure`.
    pub fn to_status(&self) -> Value {
        if let Some(status) = self.details.as_ref().and_then(|details| details.status.clone()) {
            return status;
        }
        let mut status = json!({
            "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code(),
        });
        if let Some(d) = &self.details {
            let mut details = json!({});
            for (key, text) in [("name", &d.name), ("group", &d.group), ("kind", &d.kind), ("uid", &d.uid)] {
                if !text.is_empty() {
                    details[key] = json!(text);
                }
            }
            if !d.causes.is_empty() {
                details["causes"] = json!(d.causes);
            }
            if d.retry_after_seconds > 0 {
                details["retryAfterSeconds"] = json!(d.retry_after_seconds);
            }
            if d.continue_token.is_empty() {
                status["details"] = details;
            }
            if !d.continue_token.is_empty() {
                status["metadata"]["continue"] = json!(d.continue_token);
            }
        }
        status
    }
}
