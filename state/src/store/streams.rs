//! The JetStream streams of a cluster: their names, their configuration, and the check that the server syncs each write.
use super::error::StoreError;
use super::options::StoreOptions;
use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use bus::subject::{Bucket as KeyValueBucket, Subjects};
use futures::StreamExt;
use model::kind::Bucket;
use serde::Deserialize;
use std::time::Duration;

/// One of the three streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// All that lasts.
    Log,
    /// What goes by itself after a while.
    Events,
    /// What is overwritten often and matters only in its last version.
    Leases,
}

impl Which {
    /// Where a kind's objects are.
    pub(crate) fn of(bucket: Bucket) -> Self {
        match bucket {
            Bucket::Log => Self::Log,
            Bucket::Ephemeral { ttl: Some(_) } => Self::Events,
            Bucket::Ephemeral { ttl: None } => Self::Leases,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Log => "objects",
            Self::Events => "events",
            Self::Leases => "leases",
        }
    }

    /// The key-value bucket that it is, which any client of NATS can read.
    pub(crate) fn bucket(self, cluster: &str) -> KeyValueBucket {
        Subjects::new(cluster).bucket(self.name())
    }

    /// The stream that it was in before it was a bucket, and what its subjects started with.
    pub(crate) fn before(self, cluster: &str) -> (String, String) {
        let name = if self == Self::Log { "log" } else { self.name() };
        (format!("WS_{cluster}_{}", name.to_ascii_uppercase()), format!("ws.{cluster}.{name}"))
    }

    /// What the stream is configured as.
    pub(crate) fn config(self, options: &StoreOptions) -> Config {
        let (lasting, bucket) = (self == Self::Log, self.bucket(&options.cluster));
        Config {
            name: bucket.stream(),
            subjects: vec![bucket.all()],
            description: Some(format!("whalesong cluster {}: {}", options.cluster, self.name())),
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            max_messages_per_subject: 1,
            num_replicas: options.replicas,
            allow_direct: true,
            allow_message_ttl: true,
            deny_delete: lasting,
            deny_purge: lasting,
            // A deletion by time must reach the caches, too; only what goes by itself needs the server's markers.
            subject_delete_marker_ttl: (self == Self::Events).then_some(options.marker_ttl),
            allow_rollup: self == Self::Events,
            allow_atomic_publish: lasting && options.group_commit,
            // Heartbeats and events need no sync each; one server alone can be told so.
            persist_mode: (!lasting && options.replicas <= 1).then_some(PersistenceMode::Async),
            duplicate_window: Duration::from_secs(2),
            ..Config::default()
        }
    }
}

pub(super) fn is_not_found(error: &jetstream::context::GetStreamError) -> bool {
    matches!(error.kind(), jetstream::context::GetStreamErrorKind::JetStream(e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// What a server says about itself to the system account.
#[derive(Deserialize)]
struct ServerReply {
    data: Option<ServerJetStream>,
}

#[derive(Deserialize)]
struct ServerJetStream {
    config: Option<JetStreamConfig>,
}

#[derive(Deserialize)]
struct JetStreamConfig {
    #[serde(default)]
    sync_always: bool,
}

/// Refuses servers that acknowledge before their disks have the data. Servers tell that only to their system account, so it takes a connection of
/// that account; where none answers, nothing is known.
pub(crate) async fn check_durability(system: &async_nats::Client) -> Result<(), StoreError> {
    let replies = match ask_servers(system, "$SYS.REQ.SERVER.PING.JSZ").await {
        Ok(replies) if !replies.is_empty() => replies,
        _ => {
            tracing::warn!("whether the NATS server syncs each write can't be told: its system account does not answer");
            return Ok(());
        }
    };
    let config = |m: &async_nats::Message| serde_json::from_slice::<ServerReply>(&m.payload).ok().and_then(|r| r.data?.config);
    let lazy = replies.iter().filter_map(config).any(|config| !config.sync_always);
    if lazy { Err(StoreError::UnsafeSync) } else { Ok(()) }
}

/// What all servers answer: the first has a second for it, the others a moment more.
async fn ask_servers(system: &async_nats::Client, subject: &'static str) -> Result<Vec<async_nats::Message>, String> {
    const FIRST: Duration = Duration::from_secs(1);
    const OTHERS: Duration = Duration::from_millis(150);
    let inbox = system.new_inbox();
    let mut replies = system.subscribe(inbox.clone()).await.map_err(|e| e.to_string())?;
    system.publish_with_reply(subject, inbox, bytes::Bytes::new()).await.map_err(|e| e.to_string())?;
    let (mut all, mut patience) = (Vec::new(), FIRST);
    while let Ok(Some(reply)) = tokio::time::timeout(patience, replies.next()).await {
        if reply.status.is_none() {
            all.push(reply);
        }
        patience = OTHERS;
    }
    Ok(all)
}
