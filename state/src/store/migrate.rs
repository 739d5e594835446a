//! Brings over what a cluster had stored before its streams were key-value buckets.
//!
//! Each message of the old stream is published to the bucket, unless its key is there already. So several processes may do it at once, and one that was
//! stopped halfway is continued by the next: until all is there, the bucket's metadata says that it is being filled. Its sequences begin behind the old
//! stream's, because clients hold these as revisions that never go back.
use super::nats::NatsStream;
use super::options::StoreOptions;
use super::streams::{Which, is_not_found};
use super::subject;
use super::wire::{MAX_BATCH, Message, PublishReply, Publisher, is_ended};
use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::stream::{Config, Stream};
use async_nats::jetstream::{self, context::GetStreamErrorKind};
use futures::TryStreamExt;
use model::Key;
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use std::time::Duration;

/// In a bucket's metadata: it is being filled.
const FILLING: &str = "whalesong.filling";
/// What said that a message is a deletion marker.
const OPERATION: &str = "Whalesong-Op";
/// Bytes that are published together, about.
const CHUNK_BYTES: usize = 8 << 20;

/// Whether the bucket of this configuration is still being filled.
pub(crate) fn is_unfinished(config: &Config) -> bool {
    config.metadata.contains_key(FILLING)
}

/// Makes the bucket `config` and fills it from the stream of before; `None` where there is none.
///
/// # Errors
/// What the server says.
pub(crate) async fn bring_over(js: &jetstream::Context, which: Which, options: &StoreOptions, config: &Config) -> Result<Option<Config>, String> {
    let (name, _) = which.before(&options.cluster);
    let Some(old) = existing(js, &name).await? else { return Ok(None) };
    let first_sequence = Some(old.cached_info().state.last_sequence + 1);
    let metadata = [(FILLING.to_owned(), name)].into();
    js.create_stream(Config { first_sequence, metadata, ..config.clone() }).await.map_err(|e| e.to_string())?;
    finish(js, which, options, config).await.map(Some)
}

/// Fills the bucket with what is missing, and removes the stream of before.
///
/// # Errors
/// What the server says.
pub(crate) async fn finish(js: &jetstream::Context, which: Which, options: &StoreOptions, config: &Config) -> Result<Config, String> {
    let (name, prefix) = which.before(&options.cluster);
    if let Some(old) = existing(js, &name).await? {
        let to = Target {
            publisher: Publisher {
                server: Arc::new(NatsStream::new(js, &config.name).await?),
                session: uuid::Uuid::new_v4().simple().to_string(),
                timeout: options.ack_timeout,
            },
            prefix: which.bucket(&options.cluster).prefix(),
            batches: config.allow_atomic_publish,
        };
        let copied = copy(&old, &prefix, &to).await?;
        tracing::info!(from = name, to = config.name, copied, "what was stored before is in a key-value bucket now");
    }
    let filled = js.get_stream(&config.name).await.map_err(|e| e.to_string())?;
    let Config { first_sequence, persist_mode, .. } = filled.cached_info().config.clone();
    let info = js.update_stream(Config { first_sequence, persist_mode, ..config.clone() }).await.map_err(|e| e.to_string())?;
    if which == Which::Log {
        // the bus kept its leases in a stream of their own, which holds nothing that outlives its processes
        remove(js, &format!("WS_{}_LOCKS", options.cluster)).await?;
    }
    remove(js, &name).await?;
    Ok(info.config)
}

/// Removes a stream, if it is there.
async fn remove(js: &jetstream::Context, name: &str) -> Result<(), String> {
    match js.delete_stream(name).await {
        Ok(_) => Ok(()),
        Err(_) if existing(js, name).await?.is_none() => Ok(()),
        Err(e) => Err(e.to_string()),
    }
}

async fn existing(js: &jetstream::Context, name: &str) -> Result<Option<Stream>, String> {
    match js.get_stream(name).await {
        Ok(stream) => Ok(Some(stream)),
        Err(e) if is_not_found(&e) => Ok(None),
        Err(e) if matches!(e.kind(), GetStreamErrorKind::InvalidStreamName) => Ok(None),
        Err(e) => Err(e.to_string()),
    }
}

/// The bucket.
struct Target {
    publisher: Publisher,
    prefix: String,
    batches: bool,
}

/// Publishes all that `old` holds; how many messages.
async fn copy(old: &Stream, prefix: &str, to: &Target) -> Result<usize, String> {
    let failed = |e: &dyn std::fmt::Display| e.to_string();
    let mut left = old.cached_info().state.messages;
    if left == 0 {
        return Ok(0);
    }
    let config = pull::OrderedConfig { deliver_policy: DeliverPolicy::All, ..pull::OrderedConfig::default() };
    let consumer = old.create_consumer(config).await.map_err(|e| failed(&e))?;
    let mut messages = consumer.messages().await.map_err(|e| failed(&e))?;
    let (mut chunk, mut bytes, mut copied) = (Vec::new(), 0, 0);
    while left > 0 {
        let Some(message) = messages.try_next().await.map_err(|e| failed(&e))? else { break };
        left = message.info().map_err(|e| failed(&e))?.pending;
        if let Some(message) = translated(&message, prefix, &to.prefix) {
            bytes += message.payload.len();
            chunk.push(message);
        }
        if left == 0 || chunk.len() >= MAX_BATCH || bytes >= CHUNK_BYTES {
            copied += chunk.len();
            bytes = 0;
            to.publish(std::mem::take(&mut chunk)).await?;
        }
    }
    Ok(copied)
}

/// A message of before as one of the bucket; `None` for what isn't an object's.
fn translated(message: &async_nats::Message, prefix: &str, bucket: &str) -> Option<Message> {
    let empty = HeaderMap::new();
    let headers = message.headers.as_ref().unwrap_or(&empty);
    if is_ended(headers) {
        return None;
    }
    let Some(key) = key(prefix, &message.subject) else {
        tracing::warn!(subject = %message.subject, "a message on a subject that no object has is left behind");
        return None;
    };
    let ttl = headers.get(async_nats::header::NATS_MESSAGE_TTL).and_then(|ttl| ttl.as_str().strip_suffix('s')?.parse().ok());
    Some(Message {
        subject: subject::of(bucket, &key).into(),
        base: 0,
        id: 0,
        delete: headers.get(OPERATION).is_some(),
        ttl: ttl.map(Duration::from_secs),
        payload: message.payload.clone(),
    })
}

/// The key of a subject of before: tokens had `%` and two digits for what NATS gives meaning to, and `_` for nothing.
fn key(prefix: &str, subject: &str) -> Option<Key> {
    let mut tokens = subject.strip_prefix(prefix)?.strip_prefix('.')?.split('.');
    let mut next = || match tokens.next()? {
        "_" => Some(String::new()),
        token => percent_decode_str(token).decode_utf8().ok().map(|text| text.into_owned()),
    };
    let (group, resource, namespace, name) = (next()?, next()?, next()?, next()?);
    tokens.next().is_none().then(|| Key::new(group, resource, namespace, name))
}

impl Target {
    /// Publishes what isn't there yet.
    async fn publish(&self, messages: Vec<Message>) -> Result<(), String> {
        if self.batches && messages.len() > 1 {
            match self.publisher.batch(&messages).await {
                PublishReply::Stored(_) => return Ok(()),
                // somebody has published some of them: each by itself then
                PublishReply::WrongSequence | PublishReply::Refused { .. } => {}
                PublishReply::NoReply(why) => return Err(why),
            }
        }
        for message in &messages {
            match self.publisher.one(message).await {
                PublishReply::Stored(_) | PublishReply::WrongSequence => {}
                PublishReply::Refused { why, .. } | PublishReply::NoReply(why) => return Err(why),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_before() {
        let back = |subject: &str| key("ws.c.log", subject);
        assert_eq!(back("ws.c.log._.pods.default.web-0"), Some(Key::new("", "pods", "default", "web-0")));
        assert_eq!(
            back("ws.c.log.rbac%2Eauthorization%2Ek8s%2Eio.clusterroles._.system:node"),
            Some(Key::new("rbac.authorization.k8s.io", "clusterroles", "", "system:node"))
        );
        assert_eq!(back("ws.c.log._.x.%5F.%2A"), Some(Key::new("", "x", "_", "*")));
        for none in ["ws.c.log", "ws.c.log.a.b.c", "ws.c.log.a.b.c.d.e", "ws.c.events.a.b.c.d", "ws.c.log.a.b.c.%FF"] {
            assert_eq!(back(none), None, "{none}");
        }
    }
}
