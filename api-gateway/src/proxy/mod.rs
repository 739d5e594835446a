//! Requests that are passed on to pods: `pods/NAME/proxy/PATH` and `services/NAME/proxy/PATH`. `state` says whether, and to which port of which pod; that
//! pod's node connects to it. What is spoken with the pod is HTTP/1.1, over TLS where that is asked for.
mod headers;
mod html;
mod location;
mod relay;

use crate::metrics::Open;
use crate::request::{ApiRequest, Context, Resolved};
use crate::respond::{self, Body};
use crate::stream::NodeDialer;
use crate::upload::Upload;
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use location::Place;
use model::ApiError;
use serde_json::json;
use state_client::connect::ProxyTarget;
use state_client::node::NodeAction;
use state_client::{Reply, api};
use std::io;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;

/// The most of a response's head.
const HEAD: usize = 256 << 10;
/// How long the end of a broken connection is waited for, which says why.
const REASON: Duration = Duration::from_secs(1);

type PodBody = UnsyncBoxBody<Bytes, io::Error>;

/// Passes a request on.
///
/// # Errors
/// What `state` or the node refuses it with; 503 where the pod doesn't answer.
pub(crate) async fn respond(context: &Context, mut asked: ApiRequest, resolved: Resolved) -> Result<Response<Body>, ApiError> {
    let options = json!({"path": resolved.path.rest}).to_string();
    let request = resolved.request(asked.user.clone(), api::Options::default()).body(state_client::Body::Json(options.into()));
    let target = match context.client.call(request).await? {
        Reply::Json { json, .. } => serde_json::from_slice::<ProxyTarget>(&json).map_err(|e| ApiError::internal(e.to_string()))?,
        _ => return Err(ApiError::internal("the reply is no address")),
    };
    let place = Place::new(asked.request.uri(), &resolved.path.rest, asked.request.headers(), &target);
    if resolved.path.rest.is_empty() && matches!(*asked.request.method(), Method::GET | Method::HEAD) {
        return Ok(below(asked.request.uri()));
    }
    let counted = context.metrics.open(&resolved.path.group, &format!("{}/proxy", resolved.path.resource));
    let client = headers::upgrade(asked.request.headers()).then(|| hyper::upgrade::on(&mut asked.request));
    let answer = send(context, &target, outward(asked.request, &place)?).await?;
    Ok(inward(context, answer, &place, client, counted))
}

/// Sends a client to the root of what it asked for, below which the pod's relative links lead.
fn below(uri: &Uri) -> Response<Body> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = Response::new(respond::full(""));
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::from_str(&format!("{}/{query}", uri.path())) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The request as the pod gets it.
fn outward(request: Request<Upload>, place: &Place) -> Result<Request<PodBody>, ApiError> {
    let (head, upload) = request.into_parts();
    let mut out = Request::new(body_of(upload));
    *out.method_mut() = head.method;
    *out.uri_mut() = place.path.parse().map_err(|_| ApiError::bad_request("the path is not one of a request"))?;
    *out.headers_mut() = headers::outward(&head.headers, place);
    Ok(out)
}

fn body_of(upload: Upload) -> PodBody {
    if upload.is_over() {
        return respond::full("");
    }
    let frames = stream::unfold(Some(upload), |upload| async move {
        let mut upload = upload?;
        let piece = upload.next().await.transpose()?;
        let rest = piece.is_ok().then_some(upload);
        Some((piece.map(Frame::data).map_err(io::Error::other), rest))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// Sends the request to the pod, and gives what it answers.
async fn send(context: &Context, target: &ProxyTarget, request: Request<PodBody>) -> Result<Response<Incoming>, ApiError> {
    let node = NodeDialer::to(context, target).open(NodeAction::Dial { port: target.port, tls: target.tls }).await?;
    let (pipe, mut ended) = relay::pipe(context, node);
    let unreached = |why: String| ApiError::unavailable(format!("error trying to reach service: {why}"));
    match exchange(context.stop.clone(), pipe, request).await {
        Ok(answer) => Ok(answer),
        // what the node says of the connection is the reason
        Err(why) => Err(unreached(tokio::time::timeout(REASON, &mut ended).await.ok().and_then(Result::ok).flatten().unwrap_or(why))),
    }
}

async fn exchange(stop: CancellationToken, pipe: DuplexStream, request: Request<PodBody>) -> Result<Response<Incoming>, String> {
    let (mut sender, connection) = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(pipe)).await.map_err(|e| e.to_string())?;
    tokio::spawn(async move {
        tokio::select! {
            ended = connection.with_upgrades() => if let Err(error) = ended { tracing::debug!(%error, "a connection to a pod ended") },
            () = stop.cancelled() => {}
        }
    });
    sender.send_request(request).await.map_err(|e| e.to_string())
}

/// The response as the client gets it.
fn inward(context: &Context, mut answer: Response<Incoming>, place: &Place, client: Option<OnUpgrade>, counted: Open) -> Response<Body> {
    let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    let mut headers = headers::inward(answer.headers(), place, switched);
    let rewrites = html::is(&headers);
    if rewrites {
        headers.remove(header::CONTENT_LENGTH);
    }
    let status = answer.status();
    let body = match client.filter(|_| switched) {
        Some(client) => {
            relay::join(context, client, hyper::upgrade::on(&mut answer), counted);
            respond::full("")
        }
        None => body(answer.into_body(), rewrites.then(|| html::Links::new(place.prefix.clone())), counted),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// What has come of a response, and what is to be done with the rest.
struct Arriving {
    body: Incoming,
    links: Option<html::Links>,
    _open: Open,
}

impl Arriving {
    async fn next(mut self) -> Option<(io::Result<Frame<Bytes>>, Option<Self>)> {
        loop {
            let data = match self.body.frame().await {
                Some(Ok(frame)) => frame.into_data().ok(),
                Some(Err(error)) => return Some((Err(io::Error::other(error)), None)),
                None => {
                    let rest = self.links.take().map(html::Links::end).filter(|rest| !rest.is_empty())?;
                    return Some((Ok(Frame::data(rest.into())), None));
                }
            };
            let Some(data) = data else { continue };
            let data = self.links.as_mut().map_or(data.clone(), |links| links.pass(&data).into());
            if !data.is_empty() {
                return Some((Ok(Frame::data(data)), Some(self)));
            }
        }
    }
}

fn body(body: Incoming, links: Option<html::Links>, counted: Open) -> Body {
    let arriving = Arriving { body, links, _open: counted };
    let frames = stream::unfold(Some(arriving), |arriving| async move { arriving?.next().await });
    StreamBody::new(frames).boxed_unsync()
}
