//! What exec and attach send to a client: messages of a WebSocket, or frames of SPDY's streams. Pure.
use super::messages;
use super::protocols::Protocol;
use super::spdy;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;

/// One of a process's streams, by its number in WebSocket messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Bytes for the process.
    Stdin = 0,
    /// Bytes from it.
    Stdout = 1,
    /// Bytes from it.
    Stderr = 2,
    /// How it ended.
    Error = 3,
    /// Sizes of the terminal.
    Resize = 4,
}

/// Every channel, and what SPDY's streams call it in `streamType`.
pub(super) const CHANNELS: [(Channel, &str); 5] =
    [(Channel::Stdin, "stdin"), (Channel::Stdout, "stdout"), (Channel::Stderr, "stderr"), (Channel::Error, "error"), (Channel::Resize, "resize")];

/// Which channels a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Bytes for the process.
    pub stdin: bool,
    /// Bytes from it.
    pub stdout: bool,
    /// Bytes from it.
    pub stderr: bool,
    /// Sizes of the terminal.
    pub resize: bool,
}

impl Wanted {
    /// Whether a channel is among them; how the process ended always is.
    pub fn has(self, channel: Channel) -> bool {
        match channel {
            Channel::Stdin => self.stdin,
            Channel::Stdout => self.stdout,
            Channel::Stderr => self.stderr,
            Channel::Error => true,
            Channel::Resize => self.resize,
        }
    }
}

/// The writing side: outputs to bytes for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outputs {
    protocol: Protocol,
    wanted: Wanted,
    /// The streams of SPDY; a WebSocket's channels have numbers of their own.
    streams: Option<BTreeMap<Channel, u32>>,
}

impl Outputs {
    /// For a client with these channels, which are SPDY streams where they are given.
    pub fn new(protocol: Protocol, wanted: Wanted, streams: Option<BTreeMap<Channel, u32>>) -> Self {
        Self { protocol, wanted, streams }
    }

    /// The numbers of the SPDY streams, in the order of their channels.
    #[cfg(test)]
    pub(super) fn ids(&self) -> Vec<u32> {
        self.streams.iter().flat_map(|streams| streams.values().copied()).collect()
    }

    /// What is sent first: an empty message tells a WebSocket's client that the stream is there.
    pub fn first(&self) -> Option<Bytes> {
        let channel = [Channel::Stdout, Channel::Stderr].into_iter().find(|c| self.wanted.has(*c)).unwrap_or(Channel::Error);
        self.streams.is_none().then(|| messages::encode(self.protocol, channel as u8, &[]))
    }

    /// Bytes of a channel; `None` when the client asked for none of them.
    pub fn data(&self, channel: Channel, data: &[u8]) -> Option<Bytes> {
        self.wanted.has(channel).then(|| self.framed(channel, false, data)).flatten()
    }

    fn framed(&self, channel: Channel, fin: bool, data: &[u8]) -> Option<Bytes> {
        match &self.streams {
            None => Some(messages::encode(self.protocol, channel as u8, data)),
            Some(streams) => spdy::data(*streams.get(&channel)?, fin, data).ok(),
        }
    }

    /// The end: how it went, and the end of every stream. `status` is a `Status`.
    pub fn end(&self, status: &Value) -> Vec<Bytes> {
        let text = match self.protocol.status {
            true => status.to_string(),
            false if status["status"] == "Success" => String::new(),
            false => status["message"].as_str().unwrap_or_default().to_owned(),
        };
        if self.streams.is_none() {
            return (!text.is_empty()).then(|| self.framed(Channel::Error, true, text.as_bytes())).flatten().into_iter().collect();
        }
        // The outputs end first: a client that has read the status may leave.
        let order = [Channel::Stdout, Channel::Stderr, Channel::Error, Channel::Stdin, Channel::Resize];
        let frame = |channel| self.framed(channel, true, if channel == Channel::Error { text.as_bytes() } else { &[] });
        order.into_iter().filter_map(frame).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocols::REMOTE_COMMAND;
    use super::super::session::tests::{data, decoded};
    use super::super::spdy::Frame;
    use super::*;
    use serde_json::json;

    fn websocket(name: &str) -> Protocol {
        *REMOTE_COMMAND.websocket.iter().find(|p| p.name == name).unwrap()
    }

    fn spdy(name: &str) -> Protocol {
        *REMOTE_COMMAND.spdy.iter().find(|p| p.name == name).unwrap()
    }

    /// With the channels whose letters are given.
    fn outputs(asked: &str, protocol: Protocol, spdy: bool) -> Outputs {
        let has = |c| asked.contains(c);
        let wanted = Wanted { stdin: has('i'), stdout: has('o'), stderr: has('e'), resize: false };
        let ids = [(Channel::Error, 1), (Channel::Stdin, 3), (Channel::Stdout, 5), (Channel::Stderr, 7)];
        Outputs::new(protocol, wanted, spdy.then(|| ids.into_iter().filter(|(c, _)| wanted.has(*c)).collect()))
    }

    #[test]
    fn how_websockets_begin_and_end() {
        let failed = json!({"status": "Failure", "message": "it failed"});
        for (asked, name, first, end) in [
            ("ioe", "v4.channel.k8s.io", &b"\x01"[..], format!("\x03{failed}")),
            ("e", "v5.channel.k8s.io", b"\x02", format!("\x03{failed}")),
            ("i", "channel.k8s.io", b"\x03", "\x03it failed".to_owned()),
            ("o", "base64.channel.k8s.io", b"1", "3aXQgZmFpbGVk".to_owned()),
        ] {
            let outputs = outputs(asked, websocket(name), false);
            assert_eq!((outputs.first().unwrap().as_ref(), outputs.end(&failed)), (first, vec![Bytes::from(end)]), "{name}");
        }
        let success = json!({"status": "Success"});
        assert!(outputs("o", websocket(""), false).end(&success).is_empty());
        assert_eq!(outputs("o", websocket("v4.channel.k8s.io"), false).end(&success).len(), 1);
        let outputs = outputs("o", websocket(""), false);
        assert_eq!((outputs.data(Channel::Stdout, b"x"), outputs.data(Channel::Stderr, b"x")), (Some(Bytes::from_static(b"\x01x")), None));
    }

    #[test]
    fn how_spdy_ends() {
        let failed = json!({"status": "Failure", "message": "it failed"});
        let ends = |asked, name, status: &Value| {
            let frames = outputs(asked, spdy(name), true).end(status);
            frames.iter().flat_map(|f| decoded(f)).collect::<Vec<_>>()
        };
        let text = Frame::Data { id: 1, fin: true, data: failed.to_string().into() };
        assert_eq!(ends("ioe", "v4.channel.k8s.io", &failed), [data(5, true, b""), data(7, true, b""), text, data(3, true, b"")]);
        assert_eq!(ends("o", "v3.channel.k8s.io", &failed)[1..2], [data(1, true, b"it failed")]);
        assert_eq!(ends("i", "v2.channel.k8s.io", &json!({"status": "Success"})), [data(1, true, b""), data(3, true, b"")]);
    }
}
