//! At which revision a read or a watch is, and the wait for one that the cache has not reached.
use super::log::Log;
use super::table::Data;
use model::error::Details;
use model::{ApiError, Cause, CauseReason, Reason};
use std::time::Duration;

/// How long a watch from a revision that isn't there yet waits for it; as Kubernetes' API server does.
pub(crate) const FUTURE: Duration = Duration::from_secs(3);

/// The 504 of reads and watches at a revision that the cluster has not reached.
pub(crate) fn too_large(revision: u64, current: u64) -> ApiError {
    // clients list anew because of this cause
    let cause = Cause { reason: CauseReason::ResourceVersionTooLarge, field: String::new(), message: "Too large resource version".to_owned() };
    let details = Details { retry_after_seconds: 1, causes: vec![cause], ..Details::default() };
    let message = format!("Timeout: Too large resource version: {revision}, current: {current}");
    ApiError { reason: Reason::Timeout, message, details: Some(Box::new(details)) }
}

/// The revision at which a read of `data` is exact, when `applied` was read before it was locked.
pub(crate) fn revision_of(data: &Data, applied: u64) -> u64 {
    data.revision().max(applied)
}

/// Waits until the tables have reached `revision`.
pub(crate) async fn reach(log: &Log, revision: u64, within: Duration) -> Result<(), ApiError> {
    tokio::time::timeout(within, log.reach(revision)).await.map_err(|_| too_large(revision, log.applied()))
}
