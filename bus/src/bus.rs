//! The bus: requests, services and streams, in process or over NATS.
use crate::address::{Caller, To};
use crate::message::{Call, Open};
use crate::stream::Duplex;
use std::future::Future;
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
}

/// A request with who sent it.
#[derive(Debug)]
pub struct Incoming<Q> {
    /// The request.
    pub message: Q,
    /// Who sent it, vouched for.
    pub caller: Caller,
}

/// A stream that somebody wants to open.
pub struct Opening<O: Open> {
    /// The request.
    pub message: O,
    /// Who sent it, vouched for.
    pub caller: Caller,
}

impl<O: Open> Opening<O> {
    /// Opens the stream.
    ///
    /// # Errors
    /// When the opener is gone.
    pub async fn accept(self) -> Result<Duplex<O::Down, O::Up>, BusError> {
        unimplemented!()
    }
    /// Says no.
    pub async fn refuse(self, _why: O::Refusal) {
        unimplemented!()
    }
}

/// A running service; dropping it stops it.
pub struct Service {}

/// A handle on the bus, speaking as one caller. Cheap to clone.
#[derive(Clone)]
pub struct Bus {}

impl Bus {
    /// A bus without NATS: everybody is in this process. For tests and simulation.
    pub fn local(_cluster: &str, _caller: Caller) -> Self {
        unimplemented!()
    }
    /// The same bus, speaking as another caller (a process that plays several roles).
    pub fn speaking_as(&self, _caller: Caller) -> Self {
        unimplemented!()
    }
    /// Who speaks.
    pub fn caller(&self) -> &Caller {
        unimplemented!()
    }
    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// [`BusError`] when there is no reply.
    pub async fn call<Q: Call>(&self, _to: &To, _message: Q, _timeout: Duration) -> Result<Q::Reply, BusError> {
        unimplemented!()
    }
    /// Opens a stream. The inner result is the acceptor's answer.
    ///
    /// # Errors
    /// [`BusError`] when nobody answers.
    pub async fn open<O: Open>(&self, _to: &To, _message: O, _timeout: Duration) -> Result<Result<Duplex<O::Up, O::Down>, O::Refusal>, BusError> {
        unimplemented!()
    }
    /// Answers requests of type `Q` under `instance` (and as any instance), at most `concurrency` at once.
    ///
    /// # Errors
    /// When NATS refuses the subscription.
    pub async fn serve<Q, F, R>(&self, _instance: &str, _concurrency: usize, _handler: F) -> Result<Service, BusError>
    where
        Q: Call,
        F: Fn(Incoming<Q>) -> R + Send + Sync + 'static,
        R: Future<Output = Q::Reply> + Send + 'static,
    {
        unimplemented!()
    }
    /// Accepts streams of type `O` under `instance` (and as any instance).
    ///
    /// # Errors
    /// When NATS refuses the subscription.
    pub async fn accept<O, F, R>(&self, _instance: &str, _handler: F) -> Result<Service, BusError>
    where
        O: Open,
        F: Fn(Opening<O>) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        unimplemented!()
    }
}
