//! SPDY/3.1 frames, as much as Kubernetes' clients use of it. Pure: bytes in, frames out, and back.
//!
//! Source: the SPDY Protocol draft 3.1. Whatever breaks it ends the session; nothing grows without bound.
use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use std::sync::LazyLock;

/// The largest frame taken, in bytes; clients send at most 32 KiB at once.
const FRAME: usize = 4 * 1024 * 1024;
/// The largest block of headers taken, in bytes, when inflated.
const HEADERS: usize = 64 * 1024;
const VERSION: u16 = 3;
const FIN: u8 = 1;
/// Bit that tells control frames from data.
const CONTROL: u32 = 0x8000_0000;

/// Header names and values that both sides' compression starts with: each word preceded by its length, then a tail of plain text.
const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status 200|OK version HTTP/1.1 url public set-cookie keep-alive origin";
const TAIL: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut all = Vec::with_capacity(1423);
    for word in WORDS.split(' ') {
        let word = word.replace('|', " ");
        all.put_u32(u32::try_from(word.len()).unwrap_or_default());
        all.put_slice(word.as_bytes());
    }
    all.put_slice(TAIL.as_bytes());
    all
});

/// What breaks the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpdyError {
    /// Another version.
    #[error("SPDY version {0} instead of 3")]
    Version(u16),
    /// Larger than allowed.
    #[error("a {0} is too large")]
    TooLarge(&'static str),
    /// A frame whose length doesn't fit its type.
    #[error("a frame of type {0} is malformed")]
    Malformed(u16),
    /// Headers that don't inflate or decode.
    #[error("a block of headers is malformed")]
    Headers,
}

/// Names and values, as they came.
pub type Headers = Vec<(String, String)>;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream.
    SynStream {
        /// The stream.
        id: u32,
        /// Whether the opener sends nothing more.
        fin: bool,
        /// What it is for.
        headers: Headers,
    },
    /// Accepts a stream.
    SynReply {
        /// The stream.
        id: u32,
        /// Whether the acceptor sends nothing.
        fin: bool,
        /// What is said to it.
        headers: Headers,
    },
    /// Ends a stream at once.
    RstStream {
        /// The stream.
        id: u32,
        /// Why.
        status: u32,
    },
    /// Settings, which are not used here.
    Settings,
    /// Asks for the same frame back.
    Ping(u32),
    /// No new streams.
    GoAway {
        /// The last stream that was taken.
        last: u32,
        /// Why.
        status: u32,
    },
    /// More headers.
    Headers {
        /// The stream.
        id: u32,
        /// Whether the sender sends nothing more.
        fin: bool,
        /// What is added.
        headers: Headers,
    },
    /// More may be sent; the connection's own flow control is what counts here.
    WindowUpdate,
    /// Bytes of a stream.
    Data {
        /// The stream.
        id: u32,
        /// Whether the sender sends nothing more.
        fin: bool,
        /// The bytes.
        data: Bytes,
    },
}

/// Bytes to frames.
pub struct Decoder {
    buffer: BytesMut,
    inflate: Decompress,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), inflate: Decompress::new(true) }
    }
}

impl Decoder {
    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// The next whole frame; `None` until more comes.
    ///
    /// # Errors
    /// [`SpdyError`]; the session can't go on then.
    pub fn frame(&mut self) -> Result<Option<Frame>, SpdyError> {
        while let Some((mut head, payload)) = self.split()? {
            let (word, rest) = (head.get_u32(), head.get_u32());
            let flags = u8::try_from(rest >> 24).unwrap_or_default();
            if word & CONTROL == 0 {
                return Ok(Some(Frame::Data { id: word, fin: flags & FIN != 0, data: payload }));
            }
            let version = u16::try_from((word & !CONTROL) >> 16).unwrap_or_default();
            if version != VERSION {
                return Err(SpdyError::Version(version));
            }
            // A control frame of an unknown type is passed over, as the protocol asks.
            if let Some(frame) = self.control(u16::try_from(word & 0xffff).unwrap_or_default(), flags & FIN != 0, payload)? {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// A whole frame's eight bytes of head, and its payload.
    fn split(&mut self) -> Result<Option<(Bytes, Bytes)>, SpdyError> {
        let Some([_, a, b, c]) = self.buffer.get(4..8).and_then(|l| <[u8; 4]>::try_from(l).ok()) else { return Ok(None) };
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if length > FRAME {
            return Err(SpdyError::TooLarge("frame"));
        }
        if self.buffer.len() < 8 + length {
            return Ok(None);
        }
        let head = self.buffer.split_to(8).freeze();
        Ok(Some((head, self.buffer.split_to(length).freeze())))
    }

    fn control(&mut self, kind: u16, fin: bool, mut payload: Bytes) -> Result<Option<Frame>, SpdyError> {
        let mut word = || payload.try_get_u32().map_err(|_| SpdyError::Malformed(kind));
        let id = |word: u32| word & !CONTROL;
        Ok(Some(match kind {
            1 => {
                let stream = id(word()?);
                word()?;
                payload.try_get_u16().map_err(|_| SpdyError::Malformed(kind))?;
                Frame::SynStream { id: stream, fin, headers: self.headers(&payload)? }
            }
            2 => Frame::SynReply { id: id(word()?), fin, headers: self.headers(&payload)? },
            3 => Frame::RstStream { id: id(word()?), status: word()? },
            4 => Frame::Settings,
            6 => Frame::Ping(word()?),
            7 => Frame::GoAway { last: id(word()?), status: word()? },
            8 => Frame::Headers { id: id(word()?), fin, headers: self.headers(&payload)? },
            9 => Frame::WindowUpdate,
            _ => return Ok(None),
        }))
    }

    fn headers(&mut self, compressed: &[u8]) -> Result<Headers, SpdyError> {
        let mut plain = Bytes::from(self.inflate(compressed)?);
        let word = |plain: &mut Bytes| plain.try_get_u32().map_err(|_| SpdyError::Headers);
        let text = |plain: &mut Bytes| {
            let length = usize::try_from(word(plain)?).map_err(|_| SpdyError::Headers)?;
            if plain.len() < length {
                return Err(SpdyError::Headers);
            }
            String::from_utf8(plain.split_to(length).to_vec()).map_err(|_| SpdyError::Headers)
        };
        let count = word(&mut plain)?;
        let mut headers = Vec::new();
        for _ in 0..count {
            headers.push((text(&mut plain)?, text(&mut plain)?));
        }
        Ok(headers)
    }

    /// One block of the headers' common compression stream.
    fn inflate(&mut self, mut compressed: &[u8]) -> Result<Vec<u8>, SpdyError> {
        let mut plain = Vec::new();
        loop {
            let mut chunk = [0; 4096];
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let result = self.inflate.decompress(compressed, &mut chunk, FlushDecompress::Sync);
            let advanced = |from: u64, to: u64| usize::try_from(to - from).unwrap_or_default();
            let (taken, made) = (advanced(before_in, self.inflate.total_in()), advanced(before_out, self.inflate.total_out()));
            compressed = compressed.get(taken..).unwrap_or_default();
            plain.extend_from_slice(chunk.get(..made).unwrap_or_default());
            if plain.len() > HEADERS {
                return Err(SpdyError::TooLarge("block of headers"));
            }
            match result {
                Err(e) if e.needs_dictionary().is_some() => _ = self.inflate.set_dictionary(&DICTIONARY).map_err(|_| SpdyError::Headers)?,
                Err(_) => return Err(SpdyError::Headers),
                Ok(_) if taken == 0 && made == 0 => break,
                Ok(_) if compressed.is_empty() && made < chunk.len() => break,
                Ok(_) => {}
            }
        }
        if compressed.is_empty() { Ok(plain) } else { Err(SpdyError::Headers) }
    }
}

/// Frames to bytes.
pub struct Encoder {
    deflate: Compress,
}

impl Encoder {
    /// An encoder for one session.
    ///
    /// # Errors
    /// When the compression can't be set up.
    pub fn new() -> Result<Self, SpdyError> {
        let mut deflate = Compress::new(Compression::fast(), true);
        deflate.set_dictionary(&DICTIONARY).map_err(|_| SpdyError::Headers)?;
        Ok(Self { deflate })
    }

    /// A frame as bytes.
    ///
    /// # Errors
    /// When it is too large.
    pub fn encode(&mut self, frame: &Frame) -> Result<Bytes, SpdyError> {
        let mut payload = BytesMut::new();
        let (kind, fin) = match frame {
            Frame::Data { id, fin, data: bytes } => return data(*id, *fin, bytes),
            Frame::SynStream { id, fin, headers } => {
                payload.put_u32(*id);
                payload.put_u32(0);
                payload.put_u16(0);
                payload.put_slice(&self.deflate(headers)?);
                (1, *fin)
            }
            Frame::SynReply { id, fin, headers } => {
                payload.put_u32(*id);
                payload.put_slice(&self.deflate(headers)?);
                (2, *fin)
            }
            Frame::Headers { id, fin, headers } => {
                payload.put_u32(*id);
                payload.put_slice(&self.deflate(headers)?);
                (8, *fin)
            }
            Frame::RstStream { id, status } => {
                payload.put_u32(*id);
                payload.put_u32(*status);
                (3, false)
            }
            Frame::Settings => {
                payload.put_u32(0);
                (4, false)
            }
            Frame::Ping(id) => {
                payload.put_u32(*id);
                (6, false)
            }
            Frame::GoAway { last, status } => {
                payload.put_u32(*last);
                payload.put_u32(*status);
                (7, false)
            }
            Frame::WindowUpdate => {
                payload.put_u64(0);
                (9, false)
            }
        };
        raw(CONTROL | u32::from(VERSION) << 16 | kind, fin, &payload)
    }

    fn deflate(&mut self, headers: &Headers) -> Result<Vec<u8>, SpdyError> {
        let size = |n: usize| u32::try_from(n).map_err(|_| SpdyError::TooLarge("block of headers"));
        let mut plain = Vec::new();
        plain.put_u32(size(headers.len())?);
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.put_u32(size(text.len())?);
            plain.put_slice(text.as_bytes());
        }
        let mut out = Vec::new();
        let start = self.deflate.total_in();
        loop {
            let taken = usize::try_from(self.deflate.total_in() - start).unwrap_or(plain.len());
            out.reserve(plain.len() + 64);
            self.deflate.compress_vec(plain.get(taken..).unwrap_or_default(), &mut out, FlushCompress::Sync).map_err(|_| SpdyError::Headers)?;
            // With room left there is nothing more to flush.
            if out.len() < out.capacity() {
                return Ok(out);
            }
        }
    }
}

/// A frame of a stream's bytes: it needs no encoder, because only headers are compressed.
///
/// # Errors
/// When it is too large.
pub fn data(id: u32, fin: bool, data: &[u8]) -> Result<Bytes, SpdyError> {
    raw(id & !CONTROL, fin, data)
}

fn raw(word: u32, fin: bool, payload: &[u8]) -> Result<Bytes, SpdyError> {
    if payload.len() > FRAME {
        return Err(SpdyError::TooLarge("frame"));
    }
    let length = u32::try_from(payload.len()).map_err(|_| SpdyError::TooLarge("frame"))?;
    let mut out = BytesMut::with_capacity(payload.len() + 8);
    out.put_u32(word);
    out.put_u32(u32::from(if fin { FIN } else { 0 }) << 24 | length);
    out.put_slice(payload);
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_dictionary_is_the_protocols() {
        assert_eq!(DICTIONARY.len(), 1423);
        assert_eq!(Compress::new(Compression::fast(), true).set_dictionary(&DICTIONARY).unwrap(), 0xe3c6_a7c2);
    }

    fn headers() -> impl Strategy<Value = Headers> {
        proptest::collection::vec(("[a-z]{1,9}", "[ -~]{0,30}"), 0..5)
    }

    fn frames() -> impl Strategy<Value = Frame> {
        let id = 0u32..0x7fff_ffff;
        prop_oneof![
            (id.clone(), any::<bool>(), headers()).prop_map(|(id, fin, headers)| Frame::SynStream { id, fin, headers }),
            (id.clone(), any::<bool>(), headers()).prop_map(|(id, fin, headers)| Frame::SynReply { id, fin, headers }),
            (id.clone(), any::<bool>(), headers()).prop_map(|(id, fin, headers)| Frame::Headers { id, fin, headers }),
            (id.clone(), any::<u32>()).prop_map(|(id, status)| Frame::RstStream { id, status }),
            (id.clone(), any::<u32>()).prop_map(|(last, status)| Frame::GoAway { last, status }),
            any::<u32>().prop_map(Frame::Ping),
            Just(Frame::Settings),
            Just(Frame::WindowUpdate),
            (id, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)).prop_map(|(id, fin, data)| Frame::Data { id, fin, data: data.into() }),
        ]
    }

    fn decode_all(decoder: &mut Decoder) -> Result<Vec<Frame>, SpdyError> {
        let mut all = Vec::new();
        while let Some(frame) = decoder.frame()? {
            all.push(frame);
        }
        Ok(all)
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(frames in proptest::collection::vec(frames(), 0..12), cut in 1usize..40) {
            let mut encoder = Encoder::new().unwrap();
            let bytes: Vec<u8> = frames.iter().flat_map(|f| encoder.encode(f).unwrap().to_vec()).collect();
            let mut decoder = Decoder::default();
            let mut got = Vec::new();
            for piece in bytes.chunks(cut) {
                decoder.push(piece);
                got.extend(decode_all(&mut decoder).unwrap());
            }
            prop_assert_eq!(got, frames);
        }
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            decode_all(&mut decoder).ok();
        }
        #[test]
        fn never_panics_on_control_frames(kind in 0u8..12, payload in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut decoder = Decoder::default();
            decoder.push(&[0x80, 3, 0, kind, 0, 0, 0, u8::try_from(payload.len()).unwrap()]);
            decoder.push(&payload);
            decode_all(&mut decoder).ok();
        }
    }

    #[test]
    fn a_bomb_of_headers_is_refused() {
        let mut encoder = Encoder::new().unwrap();
        let bytes = encoder.encode(&Frame::SynStream { id: 1, fin: false, headers: vec![("a".into(), "x".repeat(HEADERS))] }).unwrap();
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        assert_eq!(decoder.frame(), Err(SpdyError::TooLarge("block of headers")));
    }
}
