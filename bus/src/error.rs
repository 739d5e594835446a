//! What can go wrong with requests and streams.
use std::time::Duration;

/// Why a request got no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// Nobody serves it.
    #[error("no {service} answers on the bus")]
    NoResponder {
        /// The service asked for.
        service: &'static str,
    },
    /// No answer in time. Whether it was carried out isn't known.
    #[error("{service} did not answer within {after:?}")]
    Timeout {
        /// The service asked for.
        service: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// It has more to do than it can take, and has not begun.
    #[error("{service} has too many requests waiting: try again later")]
    Busy {
        /// The service asked for.
        service: &'static str,
    },
    /// NATS can't be reached now.
    #[error("the connection to NATS is down: {0}")]
    Disconnected(String),
    /// A message that doesn't encode or decode.
    #[error("a message of {service} did not {what}: {why}")]
    Codec {
        /// The service.
        service: &'static str,
        /// `encode` or `decode`.
        what: &'static str,
        /// The codec's words.
        why: String,
    },
    /// The service got the request and broke on it. Whether it was carried out isn't known.
    #[error("{service} failed: {why}")]
    Failed {
        /// The service asked for.
        service: &'static str,
        /// What is known about it.
        why: String,
    },
}

/// Why a request that left the process got no reply, before it is said of which service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestError {
    NoResponder,
    /// The one that was asked is stopping and hasn't begun.
    Gone,
    /// It hasn't begun either, and isn't going to.
    Busy,
    Disconnected(String),
    /// The service's own words, or the server's.
    Failed(String),
}

impl RequestError {
    pub(crate) fn of(self, service: &'static str) -> BusError {
        match self {
            Self::NoResponder | Self::Gone => BusError::NoResponder { service },
            Self::Busy => BusError::Busy { service },
            Self::Disconnected(why) => BusError::Disconnected(why),
            Self::Failed(why) => BusError::Failed { service, why },
        }
    }
}

/// Why a stream ended other than by its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The other side is gone, or the bus between was lost for too long.
    #[error("the stream was cut: {0}")]
    Cut(String),
    /// A frame that can't be sent as it is. The stream goes on.
    #[error("a frame did not encode: {0}")]
    Encode(String),
    /// A frame that doesn't decode. The stream goes on.
    #[error("a frame did not decode: {0}")]
    Decode(String),
}
