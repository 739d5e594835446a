//! Messages of a WebSocket with channels: each begins with the number of its channel, as a byte or, in base64, as a digit. Pure.
use super::protocols::Protocol;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{BufMut, Bytes, BytesMut};

/// The message that carries `data` on a channel.
pub fn encode(protocol: Protocol, channel: u8, data: &[u8]) -> Bytes {
    if protocol.base64 {
        return format!("{}{}", char::from(b'0'.wrapping_add(channel)), BASE64_STANDARD.encode(data)).into();
    }
    let mut bytes = BytesMut::with_capacity(data.len() + 1);
    bytes.put_u8(channel);
    bytes.put_slice(data);
    bytes.freeze()
}

/// A message's channel and data; `None` when it is empty or isn't in base64 where it has to be.
pub fn decode(protocol: Protocol, mut message: Bytes) -> Option<(u8, Bytes)> {
    let first = *message.first()?;
    let data = message.split_off(1);
    if !protocol.base64 {
        return Some((first, data));
    }
    Some((first.wrapping_sub(b'0'), BASE64_STANDARD.decode(&data).ok()?.into()))
}

#[cfg(test)]
mod tests {
    use super::super::protocols::PORT_FORWARD;
    use super::*;
    use proptest::prelude::*;

    fn protocol(name: &str) -> Protocol {
        *PORT_FORWARD.websocket.iter().find(|p| p.name == name).unwrap()
    }

    #[test]
    fn forms() {
        let (binary, base64) = (protocol("v4.channel.k8s.io"), protocol("v4.base64.channel.k8s.io"));
        assert_eq!(encode(binary, 1, b"\n"), b"\x01\n"[..]);
        assert_eq!(encode(base64, 1, b"\n"), b"1Cg=="[..]);
        assert_eq!(encode(base64, 3, b""), b"3"[..]);
        assert_eq!(decode(base64, Bytes::from_static(b"0Zm9v")), Some((0, Bytes::from_static(b"foo"))));
        assert_eq!(decode(base64, Bytes::from_static(b"0Zm9")), None);
        assert_eq!(decode(base64, Bytes::from_static(b"\0Zm9v")).unwrap().0, 208);
        assert_eq!(decode(binary, Bytes::new()), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(channel in 0u8..200, data in proptest::collection::vec(any::<u8>(), 0..60), text: bool) {
            let protocol = protocol(if text { "v4.base64.channel.k8s.io" } else { "" });
            let message = encode(Protocol { base64: text, ..protocol }, channel, &data);
            if !text || channel < 79 {
                prop_assert_eq!(decode(protocol, message), Some((channel, data.into())));
            }
        }
    }
}
