//! Sends requests over NATS and waits for their replies.
use super::multiplexer::{Multiplexer, ReceivedReply, RequestTarget};
use super::pipe::{Pipe, PipeReceiver, PipeSender};
use super::wire::{self, PORT, TIMEOUT};
use crate::address::To;
use crate::error::{BusError, RequestError, StreamError};
use crate::message::{Call, Open};
use crate::stream::Duplex;
use crate::subject::{Port, Verb};
use async_nats::HeaderMap;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// First byte of the frame that answers a request which came as a stream.
pub(super) const WELL: u8 = 0;

/// How often another is asked when the one that was asked is stopping, and the first pause before that. The pauses double: until
/// the server knows that it stops, it goes on choosing it.
const OTHERS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(2);

fn headers(timeout: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(TIMEOUT, timeout.as_millis().to_string().as_str());
    headers
}

/// Sends a request and waits for its reply. `timeout` is told to the service; whoever calls keeps it.
pub(crate) async fn call<Q: Call>(mux: &Arc<Multiplexer>, to: &To, message: Q, timeout: Duration) -> Result<Q::Reply, BusError> {
    let body = Bytes::from(wire::encode(Q::SERVICE, &message)?);
    drop(message);
    let reply = exchange(mux, Q::SERVICE, to, body, timeout).await?;
    wire::decode(Q::SERVICE, &reply)
}

async fn exchange(mux: &Arc<Multiplexer>, service: &'static str, to: &To, body: Bytes, timeout: Duration) -> Result<Bytes, BusError> {
    mux.connected().await.map_err(|fault| fault.of(service))?;
    let subject = mux.subjects.request(Verb::Call, service, to, &mux.owner);
    if body.len() <= mux.part_size() {
        let asked = RequestTarget { service, to };
        let mut answer = mux.request(asked, subject.clone(), headers(timeout), body.clone()).await;
        for attempt in 0..OTHERS {
            let Err(RequestError::Gone) = answer else { break };
            tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
            answer = mux.request(asked, subject.clone(), headers(timeout), body.clone()).await;
        }
        return answer.map(|a| a.body).map_err(|fault| fault.of(service));
    }
    let (mut sender, mut receiver, _) = connect(mux, RequestTarget { service, to }, subject, Bytes::new(), timeout).await.map_err(|fault| fault.of(service))?;
    let failed = |why: String| BusError::Failed { service, why };
    let cut = |e: StreamError| failed(e.to_string());
    sender.send(body).await.map_err(cut)?;
    let reply = receiver.recv().await.map_err(cut)?.ok_or_else(|| failed("it gave no reply".to_owned()))?;
    match reply.first() {
        Some(&WELL) => Ok(reply.slice(1..)),
        _ => Err(failed(String::from_utf8_lossy(reply.get(1..).unwrap_or_default()).into_owned())),
    }
}

/// Both halves of a stream when it was accepted, and the answer's body.
async fn connect(
    mux: &Arc<Multiplexer>,
    asked: RequestTarget<'_>,
    subject: String,
    body: Bytes,
    timeout: Duration,
) -> Result<(PipeSender, PipeReceiver, Bytes), RequestError> {
    let (sender, receiver, ours) = Pipe::ends(mux, Some(asked));
    let mut headers = headers(timeout);
    headers.insert(PORT, ours.to_string().as_str());
    let ReceivedReply { from, headers, body } = mux.request(asked, subject, headers, body).await?;
    if let Some(port) = wire::header(headers.as_ref(), PORT) {
        // whoever answers has the stream come to itself, not to somebody else
        let port = Port::parse(port).filter(|port| port.owner == from);
        sender.join(&port.ok_or_else(|| RequestError::Failed("its answer can't be read".to_owned()))?);
    }
    Ok((sender, receiver, body))
}

/// Opens a stream. `timeout` as for [`call`].
pub(crate) async fn open<O: Open>(
    mux: &Arc<Multiplexer>,
    to: &To,
    message: O,
    timeout: Duration,
) -> Result<Result<Duplex<O::Up, O::Down>, O::Refusal>, BusError> {
    let body = Bytes::from(wire::encode(O::SERVICE, &message)?);
    drop(message);
    if body.len() > mux.part_size() {
        return Err(BusError::Codec { service: O::SERVICE, what: "encode", why: format!("{} bytes are too many to open a stream with", body.len()) });
    }
    let connecting = async {
        mux.connected().await?;
        let asked = RequestTarget { service: O::SERVICE, to };
        connect(mux, asked, mux.subjects.request(Verb::Open, O::SERVICE, to, &mux.owner), body, timeout).await
    };
    let (sender, receiver, answer) = connecting.await.map_err(|fault| fault.of(O::SERVICE))?;
    if answer.is_empty() { Ok(Ok(Duplex::remote(sender, receiver))) } else { wire::decode(O::SERVICE, &answer).map(Err) }
}
