//! What HTTP clients send besides bodies: paths, queries, headers, WebSocket messages, SPDY frames.
use crate::bodies::KINDS;
use crate::input::text;
use api_gateway::encoding::Encoding;
use api_gateway::forms::Include;
use api_gateway::negotiate::{Form, Offer};
use api_gateway::path::{self, Path};
use api_gateway::query::Query;
use api_gateway::stream::spdy::{Decoder, Encoder, Frame, SpdyError};
use api_gateway::stream::{command, ports, protocols};
use api_gateway::{negotiate, path::verb};
use bytes::Bytes;
use state_client::Verb;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A path names nothing empty, and what it means depends on nothing but itself.
pub fn path(bytes: &[u8]) {
    let Some(Path::Resource(resource)) = text(bytes).and_then(path::parse) else { return };
    assert!(!resource.resource.is_empty() && (resource.subresource.is_empty() || !resource.name.is_empty()));
    if let Ok((kind, sub)) = path::resolve(&KINDS, &resource) {
        for method in METHODS {
            if let Ok(verb) = verb(method, &kind, &resource, sub, false) {
                assert!(sub.is_some() || kind.verbs.contains(&verb.name()));
            }
        }
    }
}

/// A query string, read for each purpose.
pub fn query(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let query = Query::parse(text);
    for verb in [Verb::Create, Verb::List, Verb::Delete] {
        if let Ok(options) = query.options(verb) {
            assert!(options.limit <= i64::MAX as u64);
        }
    }
    if let Ok(options) = query.log_options() {
        assert!(options.tail_lines.is_none_or(|n| n >= 0) && options.since_seconds.is_none_or(|n| n > 0));
    }
    if let Ok(ports) = ports::ports(&query) {
        assert!(!ports.is_empty() && !ports.contains(&0));
    }
    query.exec_options();
    _ = Include::parse(query.text("includeObject")).is_ok();
}

/// `Accept`, `Accept-Encoding` and `Content-Type`.
pub fn media_types(bytes: &[u8]) {
    let header = text(bytes);
    let pods = Offer { kind: Some(("v1", "Pod")), forms: true, tables: true, watch: false, list: false };
    for offer in [pods, Offer { watch: true, ..pods }, Offer { kind: Some(("example.com/v1", "Pod")), ..pods }] {
        if let Ok((form, encoding)) = negotiate::wanted(header, offer) {
            assert!(!offer.watch || encoding.stream_type().is_some(), "a watch is a stream");
            assert!(!matches!(form, Form::Table(_)) || matches!(encoding, Encoding::Json | Encoding::Yaml), "tables are text");
        }
    }
    negotiate::of_status(header);
    negotiate::takes_gzip(header);
    _ = (negotiate::aggregated(header).is_ok(), negotiate::written(header).is_ok(), negotiate::patch(header).is_ok());
}

/// A message of exec and attach; the first byte chooses the subprotocol.
pub fn channel_message(bytes: &[u8]) {
    let rows = protocols::REMOTE_COMMAND.websocket;
    let first = bytes.first().copied().map_or(0, usize::from);
    let Some(protocol) = rows.get(first % rows.len()).copied() else { return };
    let message = Bytes::copy_from_slice(bytes.get(1..).unwrap_or_default());
    let sent = message.len();
    if let command::FromClient::Stdin(data) = command::decode(message, protocol) {
        assert!(data.len() < sent && (protocol.base64 || data.len() + 1 == sent));
    }
}

fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, Option<SpdyError>) {
    let (mut decoder, mut all) = (Decoder::default(), Vec::new());
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.frame() {
                Ok(Some(frame)) => all.push(frame),
                Ok(None) => break,
                Err(error) => return (all, Some(error)),
            }
        }
    }
    (all, None)
}

/// SPDY frames are the same however they were cut, and survive being sent again.
pub fn spdy(bytes: &[u8]) {
    let (whole, error) = frames(&[bytes]);
    let pieces: Vec<&[u8]> = bytes.chunks(7).collect();
    assert_eq!(frames(&pieces), (whole.clone(), error), "cutting changes nothing");
    let Ok(mut encoder) = Encoder::new() else { return };
    let sent: Option<Vec<Bytes>> = whole.iter().map(|frame| encoder.encode(frame).ok()).collect();
    let sent = sent.unwrap_or_default().concat();
    assert_eq!(frames(&[&sent]), (whole, None), "frames come back");
}
