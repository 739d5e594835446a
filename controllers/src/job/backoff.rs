//! How long a Job waits before it makes a pod in place of one that failed: 10 s, doubled with each failure in a row, up to 10 min, from when the pod ended.
use super::pods::JobPod;
use super::spec::Spec;
use crate::runtime::later;
use jiff::{SignedDuration, Timestamp};

const FIRST: i64 = 10;
const MOST: i64 = 600;

/// When a pod may be made after so many failures in a row, the last of them at `last`.
pub fn until(failures: i64, last: Timestamp) -> Option<Timestamp> {
    let doublings = u32::try_from(failures - 1).ok()?.min(16);
    Some(later(last, SignedDuration::from_secs((FIRST << doublings).min(MOST))))
}

/// When a Job may make pods, by how its pods ended: those that are there, and those that went at these times. `counted` is how many failures its status has: a
/// pod that goes or went and isn't tracked any more has failed only if these aren't explained by others, since the Job deletes pods of its own, too.
pub fn of_job(pods: &[JobPod<'_>], spec: &Spec<'_>, counted: i64, gone: impl Iterator<Item = Timestamp>) -> Option<Timestamp> {
    let certain = |pod: &&JobPod<'_>| pod.counts(spec) && (pod.pod.phase() == "Failed" || (pod.tracked && pod.failed(spec)));
    let mut failures: Vec<Timestamp> = pods.iter().filter(certain).map(JobPod::ended_at).collect();
    let unexplained = usize::try_from(counted).unwrap_or_default().saturating_sub(failures.len());
    let goes = pods.iter().filter(|pod| pod.counts(spec) && pod.failed(spec) && !certain(pod)).map(JobPod::ended_at);
    failures.extend(goes.chain(gone).take(unexplained));
    let succeeded = pods.iter().filter(|pod| pod.counts(spec) && pod.succeeded()).map(JobPod::ended_at).max();
    failures.retain(|at| succeeded.is_none_or(|success| *at > success));
    let last = failures.iter().max().copied()?;
    until(i64::try_from(failures.len()).unwrap_or(i64::MAX), last)
}

/// When a pod may be made for an index whose last pod failed.
pub fn of_index(last: &JobPod<'_>) -> Option<Timestamp> {
    let (counted, ignored) = last.failures_before();
    until(counted + ignored + 1, last.ended_at())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_ten_minutes() {
        let wait = |failures| until(failures, Timestamp::UNIX_EPOCH).map(|at| at.as_second());
        assert_eq!([0, 1, 2, 3, 6, 7, 8, 100].map(wait), [None, Some(10), Some(20), Some(40), Some(320), Some(600), Some(600), Some(600)]);
    }
}
