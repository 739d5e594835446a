//! A SPDY session as its server sees it. Pure: bytes in, events out. What it says itself, to pings and to what breaks the protocol, is among them.
//!
//! There is no flow control by windows: Kubernetes' clients (`spdystream`) open none, ignore those of the other side, and would wait for nothing.
//! A session that isn't read from is what a client feels instead.
use super::spdy::{Decoder, Encoder, Frame, Headers, SpdyError};
use bytes::Bytes;
use std::collections::{HashSet, VecDeque};

const PROTOCOL_ERROR: u32 = 1;
const INVALID_STREAM: u32 = 2;
const REFUSED_STREAM: u32 = 3;
const CANCEL: u32 = 5;

/// What a client did, or what is to be answered to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It opens a stream, which is to be accepted or refused.
    Open {
        /// The stream.
        id: u32,
        /// Whether nothing comes on it.
        fin: bool,
        /// What it is for.
        headers: Headers,
    },
    /// It sends bytes on an open stream.
    Data {
        /// The stream.
        id: u32,
        /// Whether these are the last ones.
        fin: bool,
        /// The bytes.
        data: Bytes,
    },
    /// It ended a stream at once.
    Reset(u32),
    /// These bytes are to be sent to it.
    Reply(Bytes),
    /// It broke the protocol; these bytes are the last to be sent to it.
    Broken(Bytes),
}

/// The session's state: which streams are open, and the compression of both directions.
pub struct Session {
    decoder: Decoder,
    encoder: Encoder,
    open: HashSet<u32>,
    /// Most streams at once.
    limit: usize,
    /// The newest stream.
    last: u32,
    broken: bool,
}

impl Session {
    /// A session of at most `limit` streams at once.
    ///
    /// # Errors
    /// When the compression can't be set up.
    pub fn new(limit: usize) -> Result<Self, SpdyError> {
        Ok(Self { decoder: Decoder::default(), encoder: Encoder::new()?, open: HashSet::new(), limit, last: 0, broken: false })
    }

    /// What the bytes that came complete. Streams are open from their `Open` on, until [`Session::forget`] or [`Session::refuse`].
    pub fn take(&mut self, bytes: &[u8]) -> VecDeque<Event> {
        self.decoder.push(bytes);
        let mut events = VecDeque::new();
        while !self.broken {
            match self.decoder.frame() {
                Ok(Some(frame)) => events.extend(self.event(frame)),
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(%error, "a client broke SPDY");
                    events.push_back(self.broken());
                }
            }
        }
        events
    }

    fn event(&mut self, frame: Frame) -> Option<Event> {
        match frame {
            Frame::SynStream { id, fin, headers } => Some(self.opened(id, fin, headers)),
            Frame::Data { id, fin, data } if self.open.contains(&id) => Some(Event::Data { id, fin, data }),
            // Bytes may cross a stream's end; only for streams that never were is this an error.
            Frame::Data { id, .. } if id > self.last => Some(Event::Reply(self.reset(id, INVALID_STREAM))),
            Frame::RstStream { id, .. } => self.open.remove(&id).then_some(Event::Reset(id)),
            // A client's pings are odd; an even one would be the answer to one of ours.
            Frame::Ping(id) if !id.is_multiple_of(2) => Some(Event::Reply(self.encoded(&Frame::Ping(id)))),
            _ => None,
        }
    }

    fn opened(&mut self, id: u32, fin: bool, headers: Headers) -> Event {
        if id <= self.last || id.is_multiple_of(2) {
            return self.broken();
        }
        self.last = id;
        if self.open.len() >= self.limit {
            return Event::Reply(self.reset(id, REFUSED_STREAM));
        }
        self.open.insert(id);
        Event::Open { id, fin, headers }
    }

    fn broken(&mut self) -> Event {
        self.broken = true;
        Event::Broken(self.encoded(&Frame::GoAway { last: self.last, status: PROTOCOL_ERROR }))
    }

    /// The bytes that accept a stream.
    pub fn accept(&mut self, id: u32) -> Bytes {
        self.encoded(&Frame::SynReply { id, fin: false, headers: Headers::new() })
    }

    /// The bytes that refuse a stream, or end it at once, which is forgotten then.
    pub fn refuse(&mut self, id: u32) -> Bytes {
        self.open.remove(&id);
        self.reset(id, CANCEL)
    }

    /// Makes room for another stream: this one has ended in both directions.
    pub fn forget(&mut self, id: u32) {
        self.open.remove(&id);
    }

    fn reset(&mut self, id: u32, status: u32) -> Bytes {
        self.encoded(&Frame::RstStream { id, status })
    }

    /// None of the frames sent here can be too large; were one, its absence would be noticed by the client.
    fn encoded(&mut self, frame: &Frame) -> Bytes {
        self.encoder.encode(frame).unwrap_or_else(|error| {
            tracing::error!(%error, "a SPDY frame did not encode");
            Bytes::new()
        })
    }
}

/// The value of a stream's header, empty without.
pub fn header<'a>(headers: &'a Headers, name: &str) -> &'a str {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A client that encodes frames; the compression of headers makes it one state.
    pub struct Client(Encoder);

    impl Client {
        pub fn new() -> Self {
            Self(Encoder::new().unwrap())
        }
        pub fn bytes(&mut self, frames: &[Frame]) -> Vec<u8> {
            frames.iter().flat_map(|f| self.0.encode(f).unwrap().to_vec()).collect()
        }
    }

    pub fn syn(id: u32, headers: &[(&str, &str)]) -> Frame {
        Frame::SynStream { id, fin: false, headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect() }
    }

    pub fn data(id: u32, fin: bool, data: &'static [u8]) -> Frame {
        Frame::Data { id, fin, data: Bytes::from_static(data) }
    }

    pub fn decoded(bytes: &[u8]) -> Vec<Frame> {
        decoded_by(&mut Decoder::default(), bytes)
    }

    pub fn decoded_by(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Frame> {
        decoder.push(bytes);
        std::iter::from_fn(|| decoder.frame().unwrap()).collect()
    }

    fn shown(event: Event) -> String {
        match event {
            Event::Open { id, fin, .. } => format!("open {id} {fin}"),
            Event::Data { id, fin, data } => format!("data {id} {fin} {}", data.len()),
            Event::Reset(id) => format!("reset {id}"),
            Event::Reply(bytes) => format!("reply {:?}", decoded(&bytes)),
            Event::Broken(bytes) => format!("broken {:?}", decoded(&bytes)),
        }
    }

    #[test]
    fn what_frames_mean() {
        for (frames, expected) in [
            (vec![syn(1, &[]), data(1, true, b"abc")], vec!["open 1 false", "data 1 true 3"]),
            (vec![syn(1, &[]), syn(3, &[]), syn(5, &[])], vec!["open 1 false", "open 3 false", "reply [RstStream { id: 5, status: 3 }]"]),
            (vec![syn(2, &[])], vec!["broken [GoAway { last: 0, status: 1 }]"]),
            (vec![syn(3, &[]), syn(1, &[]), syn(5, &[])], vec!["open 3 false", "broken [GoAway { last: 3, status: 1 }]"]),
            (vec![data(7, false, b"x")], vec!["reply [RstStream { id: 7, status: 2 }]"]),
            (vec![syn(1, &[]), Frame::RstStream { id: 1, status: 5 }, data(1, false, b"x")], vec!["open 1 false", "reset 1"]),
            (vec![Frame::Ping(1), Frame::Ping(2), Frame::WindowUpdate, Frame::Settings], vec!["reply [Ping(1)]"]),
            (vec![Frame::RstStream { id: 9, status: 5 }, Frame::GoAway { last: 0, status: 0 }], vec![]),
        ] {
            let bytes = Client::new().bytes(&frames);
            let got: Vec<String> = Session::new(2).unwrap().take(&bytes).into_iter().map(shown).collect();
            assert_eq!(got, expected, "{frames:?}");
        }
    }

    #[test]
    fn ended_streams_make_room() {
        let (mut client, mut session) = (Client::new(), Session::new(1).unwrap());
        let mut open = |session: &mut Session, id| matches!(session.take(&client.bytes(&[syn(id, &[])]))[0], Event::Open { .. });
        assert!(open(&mut session, 1) && !open(&mut session, 3));
        session.forget(1);
        assert!(open(&mut session, 5));
        session.refuse(5);
        assert!(open(&mut session, 7));
    }

    proptest! {
        #[test]
        fn never_panics_and_says_once_that_it_is_over(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 1usize..50) {
            let mut session = Session::new(2).unwrap();
            let events: Vec<Event> = bytes.chunks(cut).flat_map(|piece| session.take(piece)).collect();
            prop_assert!(events.iter().rev().skip(1).all(|e| !matches!(e, Event::Broken(_))));
        }
    }
}
