//! Opens the streams of a cluster: makes them, or brings them up to date.
use super::error::StoreError;
use super::migrate;
use super::nats::NatsStream;
use super::options::StoreOptions;
use super::server::{OpenStream, OpenStreams};
use super::streams::{Which, is_not_found};
use async_nats::jetstream;
use async_nats::jetstream::stream::Config;
use std::sync::Arc;

/// Opens the streams of a cluster.
pub(crate) async fn open(js: &jetstream::Context, options: &StoreOptions) -> Result<OpenStreams, StoreError> {
    let (objects, events, leases) = tokio::try_join!(stream(js, Which::Log, options), stream(js, Which::Events, options), stream(js, Which::Leases, options))?;
    Ok(OpenStreams { objects, events, leases })
}

/// Opens a stream, creating it or bringing its configuration up to date.
async fn stream(js: &jetstream::Context, which: Which, options: &StoreOptions) -> Result<OpenStream, StoreError> {
    let config = which.config(options);
    let failed = |e: String| StoreError::Stream { stream: which.bucket(&options.cluster).stream(), why: e };
    let existing = match js.get_stream(&config.name).await {
        Ok(stream) => Some(stream.cached_info().config.clone()),
        Err(e) if is_not_found(&e) => None,
        Err(e) => return Err(failed(e.to_string())),
    };
    let actual = match existing {
        None => match migrate::bring_over(js, which, options, &config).await.map_err(&failed)? {
            Some(brought) => brought,
            None => js.create_stream(&config).await.map(|s| s.cached_info().config.clone()).map_err(|e| failed(e.to_string()))?,
        },
        Some(existing) if migrate::is_unfinished(&existing) => migrate::finish(js, which, options, &config).await.map_err(&failed)?,
        Some(existing) if differs(&existing, &config) => {
            // What was decided when the stream was made and can't be changed stays as it is.
            let merged = Config { storage: existing.storage, persist_mode: existing.persist_mode, first_sequence: existing.first_sequence, ..config };
            js.update_stream(&merged).await.map(|info| info.config).map_err(|e| failed(e.to_string()))?
        }
        Some(existing) => existing,
    };
    let server = Arc::new(NatsStream::new(js, &actual.name).await.map_err(failed)?);
    Ok(OpenStream { server, batches: actual.allow_atomic_publish && options.group_commit })
}

fn differs(existing: &Config, wanted: &Config) -> bool {
    let key =
        |c: &Config| (c.num_replicas, c.allow_message_ttl, c.allow_direct, c.allow_atomic_publish, c.max_messages_per_subject, c.subject_delete_marker_ttl);
    key(existing) != key(wanted) || existing.subjects != wanted.subjects
}
