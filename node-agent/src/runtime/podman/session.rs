//! Podman's multiplexed stream of exec and attach: eight bytes of header (stream, three zeros, length) before each piece.
use crate::runtime::{Output, Session};
use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::io;
use tokio_util::codec::{BytesCodec, Decoder, FramedRead};

/// The longest piece that is believed; Podman sends 32 KiB at most.
const PIECE_MAX: usize = 1 << 20;

/// Cuts the stream into pieces.
#[derive(Default)]
pub struct Multiplexed {}

impl Decoder for Multiplexed {
    type Item = Output;
    type Error = io::Error;

    fn decode(&mut self, src: &mut BytesMut) -> io::Result<Option<Output>> {
        let Some(header) = src.first_chunk::<8>() else { return Ok(None) };
        let [stream, _, _, _, a, b, c, d] = *header;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > PIECE_MAX || stream > 3 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a header of stream {stream} with {length} bytes")));
        }
        if src.len() < 8 + length {
            return Ok(None);
        }
        src.advance(8);
        let bytes = src.split_to(length).freeze();
        Ok(Some(if stream >= 2 { Output::Stderr(bytes) } else { Output::Stdout(bytes) }))
    }
}

/// A session over an upgraded connection.
pub fn over(id: String, connection: TokioIo<Upgraded>, tty: bool) -> Session {
    let (read, write) = tokio::io::split(connection);
    let output = if tty {
        FramedRead::new(read, BytesCodec::new()).map(|piece| piece.map(|b| Output::Stdout(Bytes::from(b)))).boxed()
    } else {
        FramedRead::new(read, Multiplexed::default()).boxed()
    };
    Session { id, input: Box::new(write), output }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_cut_where_the_header_says() {
        let mut buffer = BytesMut::from(&b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x03er"[..]);
        let mut codec = Multiplexed::default();
        assert_eq!(codec.decode(&mut buffer).unwrap(), Some(Output::Stdout("hi".into())));
        assert_eq!(codec.decode(&mut buffer).unwrap(), None);
        buffer.extend_from_slice(b"r");
        assert_eq!(codec.decode(&mut buffer).unwrap(), Some(Output::Stderr("err".into())));
    }

    #[test]
    fn nonsense_is_an_error() {
        let mut buffer = BytesMut::from(&b"HTTP/1.1 200 OK"[..]);
        assert!(Multiplexed::default().decode(&mut buffer).is_err());
    }
}
