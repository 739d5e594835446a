//! What comes over the bus: messages, packets of streams, parts of bodies, subjects.
use crate::input::{text, two};
use crate::store;
use async_nats::HeaderMap;
use bus::subject::{self, Port, Subjects};
use bus::wire::{PART, Packet, Parts, decode, encode};
use bus::{Caller, Role, micro};
use bytes::Bytes;
use model::{ApiError, Key};
use state_client::api::{Batch, Body, Event, Reply, Request, WatchRequest};
use state_client::metrics::{MetricAnswer, MetricQuery};
use state_client::node::{FromNode, NodeRequest, ToNode};
use state_client::usage::NodeUsage;

type Codec = fn(&[u8]);

/// Every type that travels.
const TYPES: &[Codec] = &[
    both_ways::<Request>,
    both_ways::<Batch>,
    both_ways::<WatchRequest>,
    both_ways::<NodeRequest>,
    both_ways::<Result<Reply, ApiError>>,
    both_ways::<Vec<Result<Reply, ApiError>>>,
    both_ways::<Vec<Event>>,
    both_ways::<ToNode>,
    both_ways::<FromNode>,
    both_ways::<ApiError>,
    both_ways::<NodeUsage>,
    both_ways::<MetricQuery>,
    both_ways::<MetricAnswer>,
];

/// What was decoded and is encoded again says the same.
fn both_ways<T: bus::Message>(bytes: &[u8]) {
    let Ok(message) = decode::<T>("fuzz", bytes) else { return };
    let Ok(once) = encode("fuzz", &message) else { return };
    let again = decode::<T>("fuzz", &once).ok().and_then(|m| encode("fuzz", &m).ok());
    assert_eq!(again, Some(once), "a message comes back");
}

/// The first byte chooses the type.
pub fn message(bytes: &[u8]) {
    if let Some((choice, body)) = bytes.split_first()
        && let Some(codec) = TYPES.get(usize::from(*choice) % TYPES.len())
    {
        codec(body);
        if let Ok(Body::Object(object)) = decode::<Request>("fuzz", body).map(|r| r.body)
            && !object.nests_too_deep()
        {
            store::comes_back(Key::new("", "pods", "a", "x"), &object);
        }
    }
}

/// A packet of a stream.
pub fn packet(bytes: &[u8]) {
    if let Some(packet) = Packet::decode(&Bytes::copy_from_slice(bytes)) {
        assert_eq!(Packet::decode(&packet.encode()), Some(packet));
    }
}

/// Parts of a body, one a line, each with its number before a space: never longer together than they were apart.
pub fn parts(bytes: &[u8]) {
    let mut whole = Parts::default();
    for line in bytes.split(|b| *b == b'\n') {
        let at = line.iter().position(|b| *b == b' ').unwrap_or_default();
        let (number, body) = line.split_at(at);
        let mut headers = HeaderMap::new();
        if let Some(number) = text(number).filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_graphic())) {
            headers.insert(PART, number);
        }
        match whole.take(Some(&headers), Bytes::copy_from_slice(body), bytes.len()) {
            Ok(Some(body)) => assert!(body.len() <= bytes.len()),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// A subject, a token, a port.
pub fn subject(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let subjects = Subjects::new("c");
    if let Some(name) = subject::unescape(text).filter(|_| !text.is_empty()) {
        assert_eq!(subject::escape(&name), text, "a name has one token");
    }
    assert_eq!(subject::unescape(&subject::escape(text)).as_deref(), Some(text), "a token gives its name back");
    if let Some(port) = Port::parse(text) {
        assert_eq!(Port::parse(&port.to_string()), Some(port.clone()));
        assert_eq!(subjects.packet(&subjects.packets(&port, &port.owner)), Some((port.id, port.owner)));
    }
    subjects.requester(text);
    subjects.packet(text);
    subject::answered(text, "");
    let (asker, from) = (Caller::new(Role::Agent, "n1"), Caller::new(Role::State, "s"));
    if let Some(reply) = subjects.reply(text, Some(&asker), &from) {
        assert!(reply.starts_with("ws.c.inbox.agent.n1.") && !reply.contains(['*', '>']), "a reply goes to an inbox of who asks");
    }
}

/// What a service says of itself: the cluster's name, and the answer.
pub fn service_info(bytes: &[u8]) {
    let (cluster, answer) = two(bytes);
    if let Some(cluster) = text(cluster) {
        micro::parse(cluster, answer);
    }
}
