//! The messages of `state`'s two services: `state.api` (one request, one reply) and `state.watch` (a stream of events).
use bus::{Call, Open};
use bytes::Bytes;
use model::{ApiError, Stored};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Who an API request is made for, as authenticated: Kubernetes' `UserInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// `system:serviceaccount:ns:name`, `system:node:n1`, a certificate's common name.
    pub name: String,
    /// UID, where there is one.
    pub uid: String,
    /// Groups, `system:authenticated` included.
    pub groups: Vec<String>,
    /// Extra attributes, such as the pod that a token is bound to.
    pub extra: std::collections::BTreeMap<String, Vec<String>>,
}

/// What is asked for. `Connect` is a stream subresource (log, exec, attach, portforward): it is authorised and
/// checked here, answered with the pod, and then opened at the pod's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Read one.
    Get,
    /// Read many.
    List,
    /// Follow changes; see [`WatchRequest`].
    Watch,
    /// Create.
    Create,
    /// Replace.
    Update,
    /// Change in part.
    Patch,
    /// Delete one.
    Delete,
    /// Delete all that match.
    DeleteCollection,
    /// Open a stream.
    Connect,
}

impl Verb {
    /// As RBAC rules write it. `Connect` is authorised by what it does: `get` for a log, `create` for the rest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Connect => "connect",
        }
    }
}

/// The kind of a patch, as its content type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PatchKind {
    /// RFC 6902, `application/json-patch+json`.
    Json,
    /// RFC 7386, `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`.
    Strategic,
    /// Server-side apply, `application/apply-patch+yaml`.
    Apply,
}

/// What a request carries. JSON travels as it came, unparsed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// Nothing.
    None,
    /// A JSON document: an object, `DeleteOptions`, `Binding`, `Eviction`, `Scale`, `TokenRequest`.
    Json(Bytes),
    /// An object of a caller in the same process or of ours: never serialised when the receiver is local.
    Object(Box<model::Object>),
    /// A patch.
    Patch(PatchKind, Bytes),
}

/// How dependents of a deleted object are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// Dependents stay.
    Orphan,
    /// Dependents go afterwards.
    Background,
    /// Dependents go first.
    Foreground,
}

/// What Kubernetes passes as query parameters and in `DeleteOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// `labelSelector`, as written.
    pub label_selector: String,
    /// `fieldSelector`, as written.
    pub field_selector: String,
    /// `limit`; 0: all.
    pub limit: u64,
    /// `continue`.
    pub continue_token: String,
    /// `resourceVersion`.
    pub resource_version: String,
    /// `resourceVersionMatch`: `""`, `Exact`, `NotOlderThan`.
    pub resource_version_match: String,
    /// `sendInitialEvents` of what isn't a watch, which it is refused for.
    pub send_initial_events: Option<bool>,
    /// `dryRun=All`.
    pub dry_run: bool,
    /// `fieldValidation`: `""` (Warn), `Ignore`, `Warn`, `Strict`.
    pub field_validation: String,
    /// `fieldManager`.
    pub field_manager: String,
    /// `force`, for apply.
    pub force: bool,
    /// `gracePeriodSeconds`; a `DeleteOptions` body overrides it.
    pub grace_period_seconds: Option<i64>,
    /// `propagationPolicy`; a `DeleteOptions` body overrides it.
    pub propagation: Option<Propagation>,
    /// `preconditions.uid`.
    pub precondition_uid: String,
    /// `preconditions.resourceVersion`.
    pub precondition_resource_version: String,
}

/// One API request, the same for HTTP and bus callers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// For whom; only the gateway may say so, of all others `state` takes the bus caller's own identity.
    pub user: Option<User>,
    /// What.
    pub verb: Verb,
    /// API group; `""` for the core group.
    pub group: Arc<str>,
    /// Version asked for; `""`: the preferred one.
    pub version: Arc<str>,
    /// Plural resource name.
    pub resource: Arc<str>,
    /// Subresource; `""` for none.
    pub subresource: Arc<str>,
    /// Namespace; `""`: cluster-scoped, or all namespaces in a list.
    pub namespace: Arc<str>,
    /// Name; `""` in lists and creates.
    pub name: Arc<str>,
    /// Parameters.
    pub options: Options,
    /// What it carries.
    pub body: Body,
    /// Of the lease under which it is asked: once that is another's, a write is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<Arc<bus::FencingToken>>,
}

impl Request {
    /// A request without parameters and body.
    pub fn new(verb: Verb, group: &str, resource: &str, namespace: &str, name: &str) -> Self {
        Self {
            user: None,
            verb,
            group: group.into(),
            version: "".into(),
            resource: resource.into(),
            subresource: "".into(),
            namespace: namespace.into(),
            name: name.into(),
            options: Options::default(),
            body: Body::None,
            fence: None,
        }
    }
    /// The same, of a subresource.
    #[must_use]
    pub fn subresource(mut self, name: &str) -> Self {
        self.subresource = name.into();
        self
    }
    /// The same, carrying `body`.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}

/// Objects of a list, at one revision.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ListReply {
    /// The objects, ordered by namespace and name.
    pub items: Vec<Arc<Stored>>,
    /// The list's `resourceVersion`.
    pub revision: u64,
    /// `metadata.continue`; `""` at the end.
    pub continue_token: String,
    /// `metadata.remainingItemCount`, where known.
    pub remaining: Option<u64>,
}

/// What a request brings back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// One object; `created` tells 201 from 200.
    Object {
        /// The object as it is now.
        object: Arc<Stored>,
        /// Whether the request created it.
        created: bool,
        /// Sentences for `Warning` headers.
        warnings: Vec<String>,
    },
    /// Many.
    List(ListReply),
    /// A JSON document that isn't stored: a Scale, a TokenRequest, a `Status` of success, a review's answer.
    Json {
        /// The document.
        json: Bytes,
        /// HTTP status: 200, 201 or 202.
        code: u16,
        /// Sentences for `Warning` headers.
        warnings: Vec<String>,
    },
}

/// On the heap, since on its way it is moved from one future into the next.
impl Call for Box<Request> {
    type Reply = Result<Reply, ApiError>;
    const SERVICE: &'static str = "state.api";
}

/// Many writes in one message, each on its own: replies come in the same order. Their commits share a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Batch(pub Vec<Request>);

impl Call for Batch {
    type Reply = Vec<Result<Reply, ApiError>>;
    const SERVICE: &'static str = "state.batch";
}

/// Opens a watch. The request's verb is `Watch`; its `resourceVersion` is where to start (`""` or `0`: begin with the current objects as
/// ADDED events), `bookmarks` asks for BOOKMARK events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WatchRequest {
    /// Of what, for whom, with which selectors.
    pub request: Request,
    /// `allowWatchBookmarks`.
    pub bookmarks: bool,
    /// `sendInitialEvents`: begin with the current objects, then a bookmark that says so; it goes with the `resourceVersionMatch` `NotOlderThan`.
    pub initial_events: Option<bool>,
    /// How long the watch is going to be open, where its client says that: shortly before, a bookmark tells how far it has come.
    #[serde(default)]
    pub lifetime: Option<Duration>,
}

impl WatchRequest {
    /// A watch with bookmarks, with the options that belong together.
    pub fn new(mut request: Request, initial_events: Option<bool>) -> Self {
        if initial_events.is_some() {
            "NotOlderThan".clone_into(&mut request.options.resource_version_match);
        }
        Self { request, bookmarks: true, initial_events, lifetime: None }
    }
}

/// One event of a watch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// New, or newly matching the selectors.
    Added(Arc<Stored>),
    /// Changed.
    Modified(Arc<Stored>),
    /// Gone, or no longer matching; the last object, at the revision of the deletion.
    Deleted(Arc<Stored>),
    /// Nothing that matches happened up to this revision.
    Bookmark {
        /// Up to where.
        revision: u64,
        /// Whether this ends the initial events (annotation `k8s.io/initial-events-end`).
        initial_events_end: bool,
    },
    /// The watch can't go on; `410 Expired` when its revision is no longer held.
    Error(ApiError),
}

impl Open for WatchRequest {
    type Up = ();
    type Down = Vec<Event>;
    type Refusal = ApiError;
    const SERVICE: &'static str = "state.watch";
}
