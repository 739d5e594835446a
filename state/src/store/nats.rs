//! A stream of JetStream, as the store asks for it ([`StreamServer`]).
use super::server::{ConsumerOptions, DeliveredMessage, Delivery, LastMessage, Outgoing, PushConsumer, RequestError, StreamServer, StreamState};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, ReplayPolicy, push};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{HeaderMap, HeaderName, RequestErrorKind, StatusCode, client::Request, header};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use std::time::{Duration, SystemTime};

/// A stream of JetStream.
pub(crate) struct NatsStream {
    js: Context,
    stream: Stream<()>,
    name: String,
}

impl NatsStream {
    /// The stream `name`, which exists.
    ///
    /// # Errors
    /// When its name is none.
    pub(crate) async fn new(js: &Context, name: &str) -> Result<Self, String> {
        let stream = js.get_stream_no_info(name).await.map_err(|e| e.to_string())?;
        Ok(Self { js: js.clone(), stream, name: name.to_owned() })
    }

    async fn push_consumer(&self, options: ConsumerOptions) -> Result<PushConsumer, String> {
        let client = self.js.client();
        let inbox = client.new_inbox();
        let received = client.subscribe(inbox.clone()).await.map_err(|e| e.to_string())?;
        let deliver_policy = match options.from {
            0 | 1 => DeliverPolicy::All,
            start_sequence => DeliverPolicy::ByStartSequence { start_sequence },
        };
        let config = push::Config {
            deliver_subject: inbox,
            deliver_policy,
            ack_policy: AckPolicy::None,
            replay_policy: ReplayPolicy::Instant,
            idle_heartbeat: options.heartbeat,
            flow_control: true,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: options.inactive,
            ..push::Config::default()
        };
        let consumer = self.js.create_consumer_on_stream(config, &self.name).await.map_err(|e| e.to_string())?;
        let js = self.js.clone();
        Ok(PushConsumer { pending: consumer.cached_info().num_pending, deliveries: received.map(move |message| delivery(message, &js)).boxed() })
    }
}

impl StreamServer for NatsStream {
    fn stream(&self) -> &str {
        &self.name
    }

    fn max_payload(&self) -> usize {
        self.js.client().max_payload()
    }

    fn publish(&self, message: Outgoing) -> BoxFuture<'_, Result<(), String>> {
        async move { self.js.client().publish_with_headers(message.subject, message.headers, message.payload).await.map_err(|e| e.to_string()) }.boxed()
    }

    fn request(&self, message: Outgoing, timeout: Duration) -> BoxFuture<'_, Result<Bytes, RequestError>> {
        async move {
            let request = Request::new().headers(message.headers).payload(message.payload).timeout(Some(timeout));
            match self.js.client().send_request(message.subject, request).await {
                Ok(reply) => Ok(reply.payload),
                Err(error) if error.kind() == RequestErrorKind::MaxPayloadExceeded => Err(RequestError::TooLarge(error.to_string())),
                Err(error) => Err(RequestError::NoReply(error.to_string())),
            }
        }
        .boxed()
    }

    fn state(&self) -> BoxFuture<'_, Result<StreamState, String>> {
        async move {
            let info = self.stream.get_info().await.map_err(|e| e.to_string())?;
            Ok(StreamState { created: SystemTime::from(info.created), last_sequence: info.state.last_sequence })
        }
        .boxed()
    }

    fn last<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<Option<LastMessage>, String>> {
        async move {
            match self.stream.get_last_raw_message_by_subject(subject).await {
                Ok(message) => Ok(Some(LastMessage { sequence: message.sequence, headers: message.headers })),
                Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(e) => Err(e.to_string()),
            }
        }
        .boxed()
    }

    fn holds_after(&self, sequence: u64) -> BoxFuture<'_, Result<bool, String>> {
        async move {
            match self.stream.get_first_raw_message_by_subject(">", sequence + 1).await {
                Ok(_) => Ok(true),
                Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(false),
                Err(e) => Err(e.to_string()),
            }
        }
        .boxed()
    }

    fn consume(&self, options: ConsumerOptions) -> BoxFuture<'_, Result<PushConsumer, String>> {
        self.push_consumer(options).boxed()
    }

    fn answer(&self, to: String) -> BoxFuture<'_, Result<(), String>> {
        async move { self.js.client().publish(to, Bytes::new()).await.map_err(|e| e.to_string()) }.boxed()
    }
}

/// What a consumer's message says.
fn delivery(message: async_nats::Message, js: &Context) -> Delivery {
    if message.status.is_some() {
        return control(&message);
    }
    let message = jetstream::Message { message, context: js.clone() };
    let (sequence, consumer_sequence, pending) = match message.info() {
        Ok(info) => (info.stream_sequence, info.consumer_sequence, info.pending),
        Err(error) => return Delivery::Failed(format!("a message of the stream is not understood: {error}")),
    };
    let async_nats::Message { subject, headers, payload, .. } = message.message;
    Delivery::Message(DeliveredMessage { subject, headers, payload, sequence, consumer_sequence, pending })
}

/// Heartbeats, flow control, and the consumer's end.
fn control(message: &async_nats::Message) -> Delivery {
    if message.status != Some(StatusCode::IDLE_HEARTBEAT) {
        return Delivery::Failed(message.description.clone().unwrap_or_default().to_string());
    }
    let header = |name: HeaderName| message.headers.as_ref().and_then(|h: &HeaderMap| h.get(name)).map(ToString::to_string);
    let reply = message.reply.as_ref().map(ToString::to_string);
    let idle = reply.is_none();
    Delivery::Heartbeat {
        delivered: header(header::NATS_LAST_CONSUMER).and_then(|n| n.parse().ok()),
        answer_to: reply.or_else(|| header(HeaderName::from_static("Nats-Consumer-Stalled"))),
        idle,
    }
}
