//! What an autoscaler remembers from plan to plan: what it recommended, and what it did. It is lost when the controllers begin anew, as in Kubernetes.
use super::spec::Rules;
use crate::runtime::later;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A number at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamped {
    pub(super) n: i64,
    pub(super) at: Timestamp,
}

/// A change of the target that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// How many replicas there were.
    pub(super) from: i64,
    /// How many there are to be.
    pub(super) to: i64,
    /// Why.
    pub(super) reason: String,
    /// The conditions as they were decided with it.
    pub(super) conditions: Vec<Value>,
    /// What metrics were then.
    pub(super) metrics: Value,
}

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct History {
    /// When it last decided.
    pub(super) decided: Option<Timestamp>,
    /// What it recommended, the last one of several in a row that were the same.
    pub(super) recommendations: Vec<Stamped>,
    /// How many replicas it added …
    pub(super) ups: Vec<Stamped>,
    /// … and took away.
    pub(super) downs: Vec<Stamped>,
    pub(super) pending: Option<Pending>,
}

/// `at` so many seconds before.
pub(super) fn before(at: Timestamp, seconds: i64) -> Timestamp {
    later(at, SignedDuration::from_secs(-seconds))
}

impl History {
    /// As an earlier plan kept it.
    pub(super) fn read(kept: Option<&Value>) -> Self {
        kept.and_then(|kept| serde_json::from_value(kept.clone()).ok()).unwrap_or_default()
    }

    /// For the next plan.
    pub(super) fn write(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Where it recommended nothing yet, what there is counts as recommended.
    pub(super) fn begin(&mut self, current: i64, now: Timestamp) {
        if self.recommendations.is_empty() {
            self.recommendations.push(Stamped { n: current, at: now });
        }
    }

    /// Adds a recommendation, and forgets those that are older than the longest window, in seconds.
    pub(super) fn recommend(&mut self, n: i64, window: i64, now: Timestamp) {
        match self.recommendations.last_mut() {
            // of several that are the same only the last one matters: it stands for the longest
            Some(last) if last.n == n => last.at = now,
            _ => self.recommendations.push(Stamped { n, at: now }),
        }
        self.recommendations.retain(|r| r.at >= before(now, window));
    }

    /// Notes what was done, and forgets what no policy looks back to.
    pub(super) fn scaled(&mut self, from: i64, to: i64, (up, down): (&Rules, &Rules), now: Timestamp) {
        let changes = if to > from { &mut self.ups } else { &mut self.downs };
        changes.push(Stamped { n: (to - from).abs(), at: now });
        let longest = up.longest().max(down.longest());
        for changes in [&mut self.ups, &mut self.downs] {
            changes.retain(|change| change.at >= before(now, longest));
        }
    }
}

/// How much was changed in so many seconds.
pub(super) fn within(changes: &[Stamped], seconds: i64, now: Timestamp) -> i64 {
    changes.iter().filter(|change| change.at > before(now, seconds)).map(|change| change.n).sum()
}
