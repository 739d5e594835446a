//! The encoding of messages on NATS: MessagePack with named fields, so that components of different versions understand each other. Headers carry what isn't
//! part of the message. Errors use the headers of NATS' micro protocol.
use crate::error::BusError;
use crate::message::Message;
use async_nats::HeaderMap;
use bytes::{Bytes, BytesMut};
use std::time::Duration;

/// `<number from 0>/<of how many>`: the body is cut in parts that come in order.
pub const PART: &str = "Ws-Part";
/// Where packets for the sender's end of a stream go.
pub(crate) const PORT: &str = "Ws-Port";
/// For how long the sender waits, in milliseconds.
pub(crate) const TIMEOUT: &str = "Ws-Timeout";
/// What went wrong.
pub(crate) const ERROR: &str = "Nats-Service-Error";
/// Its kind, as an HTTP status code.
pub(crate) const ERROR_CODE: &str = "Nats-Service-Error-Code";
/// The code of a service that stops: as if nobody were there.
pub(crate) const GONE: u16 = 503;

/// The code of a service that has too much to do.
pub(crate) const BUSY: u16 = 429;

/// A message as MessagePack.
///
/// # Errors
/// [`BusError::Codec`] when it can't be written.
pub fn encode<T: Message>(service: &'static str, message: &T) -> Result<Vec<u8>, BusError> {
    rmp_serde::to_vec_named(message).map_err(|e| BusError::Codec { service, what: "encode", why: e.to_string() })
}

/// A message from MessagePack.
///
/// # Errors
/// [`BusError::Codec`] for what is no such message.
pub fn decode<T: Message>(service: &'static str, body: &[u8]) -> Result<T, BusError> {
    rmp_serde::from_slice(body).map_err(|e| BusError::Codec { service, what: "decode", why: e.to_string() })
}

/// The largest body that goes in one message where the server takes messages of `max_payload` bytes, headers included.
pub(crate) fn part_size(max_payload: usize) -> usize {
    max_payload.saturating_sub(2048).clamp(256, 1 << 20)
}

pub(crate) fn header<'a>(headers: Option<&'a HeaderMap>, name: &str) -> Option<&'a str> {
    headers?.get(name).map(async_nats::HeaderValue::as_str)
}

/// For how long the sender waits.
pub(crate) fn patience(headers: Option<&HeaderMap>) -> Option<Duration> {
    header(headers, TIMEOUT)?.parse().ok().map(Duration::from_millis)
}

pub(crate) fn error(code: u16, why: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ERROR_CODE, code.to_string().as_str());
    headers.insert(ERROR, why.replace(['\r', '\n'], " ").as_str());
    headers
}

/// Bodies with the headers that they need, so that each fits into a message.
pub(crate) fn parts(body: Bytes, size: usize) -> Vec<(Option<HeaderMap>, Bytes)> {
    if body.len() <= size {
        return vec![(None, body)];
    }
    let of = body.len().div_ceil(size);
    let part = |n: usize| {
        let mut headers = HeaderMap::new();
        headers.insert(PART, format!("{n}/{of}").as_str());
        (Some(headers), body.slice(n * size..((n + 1) * size).min(body.len())))
    };
    (0..of).map(part).collect()
}

/// A body that is being put together.
#[derive(Debug, Default)]
pub struct Parts {
    have: usize,
    body: BytesMut,
}

impl Parts {
    /// Takes a message's body; gives the whole one, of `limit` bytes at most, when this was the last part.
    ///
    /// # Errors
    /// When parts are missing, come twice or come to too much.
    pub fn take(&mut self, headers: Option<&HeaderMap>, body: Bytes, limit: usize) -> Result<Option<Bytes>, &'static str> {
        let Some(part) = header(headers, PART) else { return Ok(Some(body)) };
        let numbers = part.split_once('/').and_then(|(n, of)| Some((n.parse::<usize>().ok()?, of.parse::<usize>().ok()?)));
        let (n, of) = numbers.ok_or("a part without its number")?;
        if n != self.have || n >= of {
            return Err("parts of it were lost");
        }
        if self.body.len() + body.len() > limit {
            return Err("it is too large");
        }
        self.have += 1;
        self.body.extend_from_slice(&body);
        Ok((self.have == of).then(|| std::mem::take(&mut self.body).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    #[test]
    fn versions_may_differ() {
        #[derive(Serialize, Deserialize)]
        struct New {
            name: String,
            added: Vec<u8>,
            count: u32,
        }
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Old {
            count: u32,
            name: String,
            #[serde(default)]
            removed: Option<String>,
        }
        let bytes = encode("t.t", &New { name: "n".to_owned(), added: vec![1], count: 2 }).unwrap();
        assert_eq!(decode::<Old>("t.t", &bytes), Ok(Old { count: 2, name: "n".to_owned(), removed: None }));
        assert!(matches!(decode::<Old>("t.t", b"\x93\x01"), Err(BusError::Codec { what: "decode", .. })));
    }

    #[test]
    fn lost_and_repeated_parts_are_noticed() {
        let sent = parts(Bytes::from_static(b"abcdef"), 2);
        for order in [vec![1], vec![0, 2], vec![0, 0]] {
            let mut parts = Parts::default();
            let last = order.into_iter().map(|n: usize| parts.take(sent[n].0.as_ref(), sent[n].1.clone(), 100)).last().unwrap();
            assert_eq!(last, Err("parts of it were lost"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(PART, "x/y");
        assert!(Parts::default().take(Some(&headers), Bytes::new(), 100).is_err());
        let mut parts = Parts::default();
        assert_eq!(parts.take(sent[0].0.as_ref(), sent[0].1.clone(), 3), Ok(None));
        assert_eq!(parts.take(sent[1].0.as_ref(), sent[1].1.clone(), 3), Err("it is too large"));
    }

    proptest! {
        #[test]
        fn bodies_come_back(body: Vec<u8>, size in 1usize..40) {
            let mut whole = Parts::default();
            let sent = parts(Bytes::from(body.clone()), size);
            let count = sent.len();
            for (n, (headers, part)) in sent.into_iter().enumerate() {
                prop_assert!(part.len() <= size);
                let got = whole.take(headers.as_ref(), part, body.len()).unwrap();
                prop_assert_eq!(got.as_deref(), (n + 1 == count).then_some(&body[..]));
            }
        }

        #[test]
        fn whatever_comes_is_decoded_or_refused(bytes: Vec<u8>) {
            _ = decode::<(String, Vec<Option<u64>>)>("t.t", &bytes).is_ok();
        }
    }
}
