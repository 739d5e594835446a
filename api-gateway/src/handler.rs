//! From an HTTP request to a response: who asks, what the path means, and one way through for every kind.
use crate::auth::{self, impersonate, tokens::Tokens};
use crate::body::text as header_text;
use crate::encoding::Encoding;
use crate::forms::{Encoder, Include};
use crate::metrics::{Metrics, RequestLabels};
use crate::negotiate::Offer;
use crate::openapi::OpenApi;
use crate::path::{self, Path, ResourcePath};
use crate::query::{self, Query};
use crate::request::{ApiRequest, Context, Resolved};
use crate::respond::{self, Body};
use crate::upload::Upload;
use crate::{body, discovery, health, negotiate, proxy, stream, watch};
use arc_swap::ArcSwap;
use bus::Bus;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use jiff::Timestamp;
use model::subresource::Effect;
use model::{ApiError, Kinds, Subresource};
use state_client::{Client, PatchKind, Reply, User, Verb, WatchRequest};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const AUDIT_ID: &str = "audit-id";

/// The other end of a connection.
pub struct Peer {
    /// Whom its certificate names.
    pub user: Option<User>,
}

/// All that answers requests.
pub struct Api {
    pub(crate) context: Context,
    kinds: Arc<ArcSwap<Kinds>>,
    tokens: Tokens,
    openapi: OpenApi,
}

impl Api {
    /// An API over the bus.
    pub fn new(bus: Bus, kinds: Arc<ArcSwap<Kinds>>, tokens: Tokens, stop: CancellationToken, tasks: TaskTracker) -> Self {
        let context = Context { client: Client::new(bus).for_users(), metrics: Metrics::default(), stop, tasks };
        Self { context, kinds, tokens, openapi: OpenApi::default() }
    }

    /// Answers a request, whatever it is.
    pub async fn answer(&self, peer: &Peer, request: Request<Upload>) -> Response<Body> {
        let started = Instant::now();
        let audit = audit_id(request.headers());
        let accept = request.headers().get(header::ACCEPT).cloned();
        let mut labels = RequestLabels { verb: "", group: String::new(), resource: String::new(), code: 0 };
        let mut response = match self.identified(peer, request, &mut labels).await {
            Ok(response) => response,
            Err(error) => respond::error(&error, negotiate::of_status(accept.as_ref().and_then(|a| a.to_str().ok()))),
        };
        response.headers_mut().insert(AUDIT_ID, audit);
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
        labels.code = response.status().as_u16();
        self.context.metrics.request(labels, started.elapsed());
        response
    }

    async fn identified(&self, peer: &Peer, request: Request<Upload>, labels: &mut RequestLabels) -> Result<Response<Body>, ApiError> {
        let sender = auth::identify(&self.tokens, peer.user.as_ref(), request.headers()).await?;
        let user = impersonate::apply(&self.context.client, sender, request.headers()).await?;
        let query = Query::parse(request.uri().query().unwrap_or_default());
        let path = request.uri().path().to_owned();
        let asked = ApiRequest { request, user, query };
        match path::parse(&path) {
            Some(Path::Resource(path)) => self.resource(asked, path, labels).await,
            Some(root) => self.discovery(&asked, &path, &root),
            None => self.other(&asked, &path).await,
        }
    }

    /// Answers a request that names its resource otherwise than by a path.
    pub(crate) async fn answer_about(&self, asked: ApiRequest, path: ResourcePath) -> Response<Body> {
        let started = Instant::now();
        let encoding = negotiate::of_status(header_text(asked.request.headers(), header::ACCEPT));
        let mut labels = RequestLabels { verb: "", group: String::new(), resource: String::new(), code: 0 };
        let response = self.impersonated(asked, path, &mut labels).await.unwrap_or_else(|error| respond::error(&error, encoding));
        labels.code = response.status().as_u16();
        self.context.metrics.request(labels, started.elapsed());
        response
    }

    async fn impersonated(&self, mut asked: ApiRequest, path: ResourcePath, labels: &mut RequestLabels) -> Result<Response<Body>, ApiError> {
        asked.user = impersonate::apply(&self.context.client, asked.user, asked.request.headers()).await?;
        self.resource(asked, path, labels).await
    }

    /// The version of a resource that is meant where none is named: the one that is stored, or another one that is served.
    pub(crate) fn version_of(&self, group: &str, resource: &str) -> Option<String> {
        let kinds = self.kinds.load();
        let stored = kinds.resource(group, resource)?;
        kinds.forms(stored).first().map(|kind| kind.version.to_string())
    }

    /// Discovery is for everybody who is known.
    fn discovery(&self, asked: &ApiRequest, path: &str, root: &Path) -> Result<Response<Body>, ApiError> {
        read_only(&asked.request)?;
        known(&asked.user, path)?;
        let headers = asked.request.headers();
        let accept = header_text(headers, header::ACCEPT);
        let kinds = self.kinds.load();
        let aggregated = matches!(root, Path::Core | Path::Groups) && negotiate::aggregated(accept)?;
        let encoding = if aggregated { Encoding::Json } else { negotiate::wanted(accept, Offer::default())?.1 };
        let document = match root {
            Path::Core if aggregated => Some(discovery::aggregated(&kinds, true)),
            Path::Groups if aggregated => Some(discovery::aggregated(&kinds, false)),
            Path::Core => Some(discovery::core_versions(&kinds, &address(&asked.request))),
            Path::Groups => Some(discovery::group_list(&kinds)),
            Path::Group(group) => discovery::group(&kinds, group),
            Path::Version { group, version } => discovery::resources(&kinds, group, version),
            Path::Resource(_) => None,
        };
        let document = document.ok_or_else(ApiError::not_served)?;
        let document = respond::text_of(&document);
        if aggregated {
            return Ok(respond::large(200, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", document, headers));
        }
        respond::document(200, &document, encoding, headers)
    }

    async fn other(&self, asked: &ApiRequest, path: &str) -> Result<Response<Body>, ApiError> {
        let (first, rest) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
        match first {
            "healthz" | "livez" | "readyz" if rest.is_empty() => {
                read_only(&asked.request)?;
                Ok(health::respond(&self.context.client, first, asked.query.flag("verbose").unwrap_or_default()).await)
            }
            "version" if rest.is_empty() => {
                read_only(&asked.request)?;
                Ok(respond::json(200, &discovery::version()))
            }
            "openapi" => {
                read_only(&asked.request)?;
                known(&asked.user, path)?;
                let headers = asked.request.headers();
                let document = self.openapi.document(self.kinds.load_full(), rest, header_text(headers, header::ACCEPT)).await?;
                Ok(document.respond(asked.query.text("hash"), headers))
            }
            "metrics" if rest.is_empty() => {
                impersonate::path_allowed(&self.context.client, &asked.user, path).await?;
                let text = self.context.metrics.render().map_err(|e| ApiError::internal(e.to_string()))?;
                Ok(respond::bytes(200, "application/openmetrics-text; version=1.0.0; charset=utf-8", text))
            }
            _ => {
                known(&asked.user, path)?;
                Ok(respond::text(404, "404 page not found\n"))
            }
        }
    }

    /// Every verb of every kind.
    async fn resource(&self, mut asked: ApiRequest, mut path: ResourcePath, labels: &mut RequestLabels) -> Result<Response<Body>, ApiError> {
        if path.watch {
            read_only(&asked.request)?;
            asked.query.watch(&std::mem::take(&mut path.name));
        }
        let (kind, sub) = path::resolve(&self.kinds.load(), &path)?;
        let watching = asked.query.flag("watch").unwrap_or_default();
        let verb = path::verb(asked.request.method().as_str(), &kind, &path, sub, watching)?;
        labels.verb = verb.name();
        labels.group.clone_from(&path.group);
        labels.resource = if sub.is_some() { format!("{}/{}", path.resource, path.subresource) } else { path.resource.clone() };
        let resolved = Resolved { kind: kind.clone(), sub, verb, path };
        let response = match verb {
            _ if sub.is_some_and(Subresource::is_proxy) => Box::pin(proxy::respond(&self.context, asked, resolved)).await,
            // on the heap, so that they aren't part of what every request takes while it waits
            Verb::Connect => Box::pin(stream::respond(&self.context, asked, resolved)).await,
            Verb::Watch => Box::pin(self.watch(asked, resolved)).await,
            _ if asked.query.timeout()?.is_some() => Box::pin(self.timed(asked, resolved)).await,
            _ => self.call(asked, resolved).await,
        }?;
        match kind.schema.custom().and_then(|schema| schema.deprecation.as_deref()) {
            Some(warning) => Ok(respond::warned(response, &[warning.to_owned()])),
            None => Ok(response),
        }
    }

    /// The answer, if it comes within what the client allows.
    async fn timed(&self, asked: ApiRequest, resolved: Resolved) -> Result<Response<Body>, ApiError> {
        let limit = asked.query.timeout()?.unwrap_or(Duration::MAX);
        let late = |_| Err(ApiError::timeout("Timeout: request did not complete within requested timeout - context deadline exceeded"));
        tokio::time::timeout(limit, self.call(asked, resolved)).await.unwrap_or_else(late)
    }

    async fn watch(&self, asked: ApiRequest, resolved: Resolved) -> Result<Response<Body>, ApiError> {
        let encoder = encoder(&asked, &resolved)?;
        let timeout = asked.query.int("timeoutSeconds")?;
        let options = asked.query.options(Verb::Watch)?;
        let request = WatchRequest {
            request: resolved.request(asked.user, options),
            bookmarks: asked.query.flag("allowWatchBookmarks").unwrap_or_default(),
            initial_events: asked.query.flag("sendInitialEvents"),
            lifetime: Some(watch::lifetime(timeout)),
        };
        let open = self.context.metrics.open(&resolved.path.group, &resolved.path.resource);
        watch::respond(&self.context.client, request, encoder, open, self.context.stop.clone()).await
    }

    async fn call(&self, asked: ApiRequest, resolved: Resolved) -> Result<Response<Body>, ApiError> {
        let encoder = encoder(&asked, &resolved)?;
        let mut options = asked.query.options(resolved.verb)?;
        let (head, incoming) = asked.request.into_parts();
        let body = body::request(resolved.verb, &head.headers, incoming, &mut options).await?;
        if options.field_manager.is_empty() && !matches!(body, state_client::Body::Patch(PatchKind::Apply, _)) {
            options.field_manager = query::manager(header_text(&head.headers, header::USER_AGENT));
        }
        let reply = self.context.client.call(resolved.request(asked.user, options).body(body)).await?;
        reply_response(reply, &encoder, &head.headers)
    }
}

fn encoder(asked: &ApiRequest, resolved: &Resolved) -> Result<Encoder, ApiError> {
    let api_version = discovery::group_version(&resolved.path.group, &resolved.path.version);
    let exchanged = resolved.sub.and_then(|sub| sub.exchanged());
    let version_of = |(group, version): (&str, &str)| discovery::group_version(group, version);
    let answered = exchanged.map(|e| (e.group_version.map_or_else(|| api_version.clone(), version_of), e.kind));
    let kind = answered.as_ref().map_or((&*api_version, &*resolved.kind.kind), |(version, kind)| (&**version, *kind));
    let offer = Offer {
        kind: Some(kind),
        forms: true,
        tables: has_table(resolved),
        watch: resolved.verb == Verb::Watch,
        list: matches!(resolved.verb, Verb::List | Verb::DeleteCollection),
    };
    let (form, encoding) = negotiate::wanted(header_text(asked.request.headers(), header::ACCEPT), offer)?;
    let include = Include::parse(asked.query.text("includeObject"))?;
    Ok(Encoder { kind: resolved.kind.clone(), api_version, form, encoding, include })
}

/// Whether what is answered can be shown as a table: what is only created, such as a review or a binding, can't.
fn has_table(resolved: &Resolved) -> bool {
    resolved.kind.verbs.iter().any(|verb| *verb != "create") && resolved.sub.is_none_or(|sub| *sub.effect() != Effect::Action)
}

fn reply_response(reply: Reply, encoder: &Encoder, headers: &HeaderMap) -> Result<Response<Body>, ApiError> {
    let now = Timestamp::now();
    let encoding = encoder.encoding;
    Ok(match reply {
        Reply::Object { object, created, warnings } => {
            let code = if created { 201 } else { 200 };
            respond::warned(respond::document(code, &encoder.object(&object, now)?, encoding, headers)?, &warnings)
        }
        Reply::List(list) if encoding == Encoding::Json => respond::large(200, respond::JSON, respond::ended(&encoder.list(&list, now)?), headers),
        Reply::List(list) => respond::large(200, encoding.media_type(), encoder.list(&list, now)?, headers),
        Reply::Json { json, code, warnings } => respond::warned(respond::document(code, &json, encoding, headers)?, &warnings),
    })
}

/// A request's own audit ID where it is a sensible one, otherwise a new one.
fn audit_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(AUDIT_ID).filter(|v| !v.is_empty() && v.len() <= 64);
    given.cloned().or_else(|| HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok()).unwrap_or(HeaderValue::from_static(""))
}

fn read_only(request: &Request<Upload>) -> Result<(), ApiError> {
    if matches!(*request.method(), Method::GET | Method::HEAD) { Ok(()) } else { Err(ApiError::not_allowed()) }
}

/// Refuses those who aren't known.
fn known(user: &User, path: &str) -> Result<(), ApiError> {
    if user.groups.iter().any(|g| g == auth::AUTHENTICATED) { Ok(()) } else { Err(impersonate::path_forbidden(user, path)) }
}

/// `host:port` that the client reached.
fn address(request: &Request<Upload>) -> String {
    let host = header_text(request.headers(), header::HOST).map(str::to_owned);
    host.or_else(|| request.uri().authority().map(ToString::to_string)).unwrap_or_default()
}
