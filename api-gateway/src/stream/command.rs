//! What a client's bytes mean for exec and attach, over messages of a WebSocket and over streams of SPDY. Pure: bytes in, steps out.
use super::messages;
use super::outputs::{CHANNELS, Channel, Outputs, Wanted};
use super::protocols::{Protocol, Upgrade};
use super::session::{Event, Session, header};
use super::spdy::{self, Headers, SpdyError};
use bytes::Bytes;
use serde::Deserialize;
use state_client::node::ExecOptions;
use std::collections::BTreeMap;

/// Most SPDY streams of one client at once: each channel has one.
const STREAMS: usize = 8;
/// The largest terminal size taken that doesn't come in one piece, in bytes.
const SIZE: usize = 1024;
/// The channel of version 5 that closes the one which its byte names.
const CLOSE: u8 = 255;

/// What a client says to the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient {
    /// Bytes for the process.
    Stdin(Bytes),
    /// No more of them.
    StdinEnd,
    /// The terminal has another size: width and height.
    Resize(u16, u16),
    /// An unknown channel, an empty message, or one that doesn't decode: Kubernetes ignores them.
    Nothing,
}

/// What follows from a client's bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The process gets this.
    Input(FromClient),
    /// The client gets this.
    Reply(Bytes),
    /// The channels are there that the client asked for, and outputs can go out on them. Happens once.
    Ready(Outputs),
    /// The client broke the protocol: the stream is over.
    Over,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct TerminalSize {
    width: u16,
    height: u16,
}

/// What a message of a subprotocol means.
pub fn decode(message: Bytes, protocol: Protocol) -> FromClient {
    match messages::decode(protocol, message) {
        Some((0, data)) => FromClient::Stdin(data),
        Some((4, json)) => match serde_json::from_slice::<TerminalSize>(&json) {
            Ok(size) => FromClient::Resize(size.width, size.height),
            Err(_) => FromClient::Nothing,
        },
        Some((CLOSE, named)) if protocol.close && named.as_ref() == [Channel::Stdin as u8] => FromClient::StdinEnd,
        _ => FromClient::Nothing,
    }
}

/// The reading side: a client's bytes to steps.
pub struct Inputs {
    protocol: Protocol,
    wanted: Wanted,
    form: Form,
}

enum Form {
    Messages,
    Streams(Box<Streams>),
}

struct Streams {
    session: Session,
    ids: BTreeMap<Channel, u32>,
    /// Whether all streams that are waited for have come.
    ready: bool,
    /// The beginning of a terminal size.
    size: Vec<u8>,
}

impl Inputs {
    /// For a client with these options, over this protocol.
    ///
    /// # Errors
    /// When the compression of SPDY can't be set up.
    pub fn new(upgrade: Upgrade, protocol: Protocol, options: &ExecOptions) -> Result<Self, SpdyError> {
        let resize = options.tty && (upgrade == Upgrade::WebSocket || protocol.resize);
        let wanted = Wanted { stdin: options.stdin, stdout: options.stdout, stderr: options.stderr, resize };
        let form = match upgrade {
            Upgrade::WebSocket => Form::Messages,
            Upgrade::Spdy => Form::Streams(Box::new(Streams { session: Session::new(STREAMS)?, ids: BTreeMap::new(), ready: false, size: Vec::new() })),
        };
        Ok(Self { protocol, wanted, form })
    }

    /// What is there before the client sends anything: a WebSocket's channels.
    pub fn begin(&self) -> Vec<Step> {
        match &self.form {
            Form::Messages => vec![Step::Ready(Outputs::new(self.protocol, self.wanted, None))],
            Form::Streams(_) => Vec::new(),
        }
    }

    /// What bytes of the client's, a message or a piece of a connection, mean.
    pub fn take(&mut self, bytes: Bytes) -> Vec<Step> {
        match &mut self.form {
            Form::Messages => match decode(bytes, self.protocol) {
                FromClient::Stdin(_) if !self.wanted.stdin => Vec::new(),
                input => vec![Step::Input(input)],
            },
            Form::Streams(streams) => {
                let events = streams.session.take(&bytes);
                events.into_iter().flat_map(|event| streams.step(event, self.protocol, self.wanted)).collect()
            }
        }
    }
}

impl Streams {
    fn step(&mut self, event: Event, protocol: Protocol, wanted: Wanted) -> Vec<Step> {
        match event {
            Event::Open { id, fin, headers } => self.open(id, fin, &headers, protocol, wanted),
            Event::Data { id, fin, data } => self.data(id, fin, data),
            Event::Reset(id) if self.ids.get(&Channel::Stdin) == Some(&id) => vec![Step::Input(FromClient::StdinEnd)],
            Event::Reset(_) => Vec::new(),
            Event::Reply(bytes) => vec![Step::Reply(bytes)],
            Event::Broken(bytes) => vec![Step::Reply(bytes), Step::Over],
        }
    }

    fn open(&mut self, id: u32, fin: bool, headers: &Headers, protocol: Protocol, wanted: Wanted) -> Vec<Step> {
        let named = header(headers, "streamType");
        let channel = CHANNELS.iter().find(|(c, name)| *name == named && !self.ids.contains_key(c)).map(|(c, _)| *c);
        let Some(channel) = channel else { return vec![Step::Reply(self.session.refuse(id))] };
        let mut steps = vec![Step::Reply(self.session.accept(id))];
        self.ids.insert(channel, id);
        if self.ready {
            // Nobody waits for it, so nothing will come on it.
            steps.extend(spdy::data(id, true, &[]).ok().map(Step::Reply));
        } else if CHANNELS.iter().all(|(c, _)| !wanted.has(*c) || self.ids.contains_key(c)) {
            self.ready = true;
            steps.push(Step::Ready(Outputs::new(protocol, wanted, Some(self.ids.clone()))));
        }
        if fin {
            steps.extend(self.data(id, true, Bytes::new()));
        }
        steps
    }

    fn data(&mut self, id: u32, fin: bool, data: Bytes) -> Vec<Step> {
        let channel = self.ids.iter().find(|(_, i)| **i == id).map(|(c, _)| *c);
        match channel {
            Some(Channel::Stdin) => {
                let bytes = (!data.is_empty()).then_some(FromClient::Stdin(data));
                bytes.into_iter().chain(fin.then_some(FromClient::StdinEnd)).map(Step::Input).collect()
            }
            Some(Channel::Resize) => self.sizes(&data),
            _ => Vec::new(),
        }
    }

    /// The sizes that are whole: the stream is one JSON document after the other, cut anywhere.
    fn sizes(&mut self, data: &[u8]) -> Vec<Step> {
        self.size.extend_from_slice(data);
        let mut documents = serde_json::Deserializer::from_slice(&self.size).into_iter::<TerminalSize>();
        let (mut steps, mut whole) = (Vec::new(), 0);
        while let Some(Ok(size)) = documents.next() {
            whole = documents.byte_offset();
            steps.push(Step::Input(FromClient::Resize(size.width, size.height)));
        }
        self.size.drain(..whole.min(self.size.len()));
        if self.size.len() > SIZE {
            self.size.clear();
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocols::REMOTE_COMMAND;
    use super::super::session::tests::{Client, data, decoded_by, syn};
    use super::super::spdy::{Decoder, Frame};
    use super::*;
    use proptest::prelude::*;

    fn websocket(name: &str) -> Protocol {
        *REMOTE_COMMAND.websocket.iter().find(|p| p.name == name).unwrap()
    }

    fn spdy(name: &str) -> Protocol {
        *REMOTE_COMMAND.spdy.iter().find(|p| p.name == name).unwrap()
    }

    fn options(asked: &str) -> ExecOptions {
        let has = |c| asked.contains(c);
        ExecOptions { stdin: has('i'), stdout: has('o'), stderr: has('e'), tty: has('t'), ..ExecOptions::default() }
    }

    #[test]
    fn messages_of_websockets() {
        let of = |bytes: &'static [u8], name| decode(Bytes::from_static(bytes), websocket(name));
        let (v4, v5, base64) = ("v4.channel.k8s.io", "v5.channel.k8s.io", "base64.channel.k8s.io");
        for (message, name, meaning) in [
            (&b"\0hello"[..], v4, FromClient::Stdin(Bytes::from_static(b"hello"))),
            (b"\0hello", "", FromClient::Stdin(Bytes::from_static(b"hello"))),
            (b"0Zm9v", base64, FromClient::Stdin(Bytes::from_static(b"foo"))),
            (b"\x04{\"Width\":80,\"Height\":24}", v4, FromClient::Resize(80, 24)),
            (b"\xff\0", v5, FromClient::StdinEnd),
            (b"\xff\0", v4, FromClient::Nothing),
            (b"\xff\x01", v5, FromClient::Nothing),
            (b"\x04nonsense", v5, FromClient::Nothing),
            (b"\x01x", v4, FromClient::Nothing),
            (b"0***", base64, FromClient::Nothing),
            (b"", v5, FromClient::Nothing),
        ] {
            assert_eq!(of(message, name), meaning, "{message:?} {name}");
        }
    }

    fn shown(decoder: &mut Decoder, steps: Vec<Step>) -> Vec<String> {
        let one = |step| match step {
            Step::Input(input) => format!("{input:?}"),
            Step::Reply(bytes) => {
                decoded_by(decoder, &bytes).iter().map(|f| format!("{f:?}").split(", headers").next().unwrap_or_default().to_owned()).collect()
            }
            Step::Ready(outputs) => format!("ready {:?}", outputs.ids()),
            Step::Over => "over".to_owned(),
        };
        steps.into_iter().map(one).collect()
    }

    fn accepted(id: u32) -> String {
        format!("SynReply {{ id: {id}, fin: false")
    }

    #[test]
    fn streams_that_are_waited_for() {
        let kind = |id, kind| syn(id, &[("streamType", kind)]);
        for (asked, name, kinds, ready) in [
            ("o", "v4.channel.k8s.io", &["error", "stdout"][..], true),
            ("o", "v4.channel.k8s.io", &["stdout", "error"], true),
            ("io", "v4.channel.k8s.io", &["error", "stdout"], false),
            ("ot", "v4.channel.k8s.io", &["error", "stdout"], false),
            ("ot", "v3.channel.k8s.io", &["error", "stdout", "resize"], true),
            ("ot", "v2.channel.k8s.io", &["error", "stdout"], true),
            ("oe", "channel.k8s.io", &["error", "stderr", "stdout"], true),
            ("oe", "channel.k8s.io", &["error", "stderr", "stderr"], false),
        ] {
            let frames: Vec<Frame> = kinds.iter().zip([1, 3, 5]).map(|(k, id)| kind(id, k)).collect();
            let mut inputs = Inputs::new(Upgrade::Spdy, spdy(name), &options(asked)).unwrap();
            assert!(inputs.begin().is_empty());
            let steps = inputs.take(Client::new().bytes(&frames).into());
            assert_eq!(steps.iter().any(|s| matches!(s, Step::Ready(_))), ready, "{asked} {name} {kinds:?}");
        }
    }

    #[test]
    fn a_session_over_spdy() {
        let (mut client, mut inputs) = (Client::new(), Inputs::new(Upgrade::Spdy, spdy("v4.channel.k8s.io"), &options("iot")).unwrap());
        let kinds = ["error", "stdin", "nonsense", "stdout", "resize", "stderr"].into_iter().zip([1, 3, 5, 7, 9, 11]);
        let opened: Vec<Frame> = kinds.map(|(kind, id)| syn(id, &[("streamType", kind)])).collect();
        let refused = "RstStream { id: 5, status: 5 }".to_owned();
        let late = "Data { id: 11, fin: true, data: b\"\" }".to_owned();
        let expected = [accepted(1), accepted(3), refused, accepted(7), accepted(9), "ready [3, 7, 1, 9]".to_owned(), accepted(11), late];
        let mut decoder = Decoder::default();
        assert_eq!(shown(&mut decoder, inputs.take(client.bytes(&opened).into())), expected);
        let mut take = |frames: &[Frame]| shown(&mut decoder, inputs.take(client.bytes(frames).into()));
        assert_eq!(take(&[data(3, false, b"ab"), data(7, false, b"x"), data(1, true, b"")]), ["Stdin(b\"ab\")"]);
        let sizes = [data(9, false, b"{\"Width\":80,\"Hei"), data(9, false, b"ght\":24}\n{\"Width\":1,\"Height\":2}\n")];
        assert_eq!(take(&sizes), ["Resize(80, 24)", "Resize(1, 2)"]);
        assert_eq!(take(&[data(3, true, b"c")]), ["Stdin(b\"c\")", "StdinEnd"]);
        assert_eq!(take(&[syn(13, &[("streamType", "stdin")])]), ["RstStream { id: 13, status: 5 }"]);
        assert_eq!(take(&[syn(13, &[])]), ["GoAway { last: 13, status: 1 }", "over"]);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40), row in 0usize..6) {
            decode(Bytes::from(bytes), REMOTE_COMMAND.websocket[row]);
        }
        #[test]
        fn sizes_that_are_none_are_not_kept(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 0..8)) {
            let mut streams = Streams { session: Session::new(STREAMS).unwrap(), ids: BTreeMap::new(), ready: false, size: Vec::new() };
            for piece in pieces {
                streams.sizes(&piece);
                prop_assert!(streams.size.len() <= SIZE);
            }
        }
    }
}
