//! Probes as state machines: when the next try is due, and what a row of results means.
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container as Spec, Probe};

/// Which of a container's probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// Until it passes, the others wait; its failure restarts the container.
    Startup,
    /// Its failure restarts the container.
    Liveness,
    /// Decides whether the container is ready.
    Readiness,
}

impl ProbeKind {
    /// In the order in which they matter.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Liveness, Self::Readiness];

    /// As events name it: `Liveness`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }

    /// A container's probe of this kind.
    pub fn of(self, container: &Spec) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
        }
    }
}

/// One probe of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeState {
    /// The run's id.
    pub run: String,
    /// Successes in a row.
    pub successes: i32,
    /// Failures in a row.
    pub failures: i32,
    /// What the thresholds make of it.
    pub passing: bool,
    /// Whether the failure threshold was crossed: the container is to be restarted.
    pub failed: bool,
    /// When to try next.
    pub due: Timestamp,
}

fn seconds(value: Option<i32>, default: i32) -> SignedDuration {
    SignedDuration::from_secs(value.filter(|v| *v > 0).unwrap_or(default).into())
}

/// How long one try may take: `timeoutSeconds`, 1 s where not given.
pub fn timeout(probe: &Probe) -> SignedDuration {
    seconds(probe.timeout_seconds, 1)
}

impl ProbeState {
    /// For a run that began at `started`.
    pub fn new(run: &str, kind: ProbeKind, probe: &Probe, started: Timestamp) -> Self {
        let delay = SignedDuration::from_secs(probe.initial_delay_seconds.unwrap_or_default().max(0).into());
        let due = started.saturating_add(delay).unwrap_or(started);
        Self { run: run.to_owned(), successes: 0, failures: 0, passing: kind == ProbeKind::Liveness, failed: false, due }
    }

    /// After a try that ended at `now`.
    #[must_use]
    pub fn after(&self, probe: &Probe, success: bool, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.due = now.saturating_add(seconds(probe.period_seconds, 10)).unwrap_or(now);
        if success {
            next.failures = 0;
            next.successes = self.successes.saturating_add(1);
            next.passing |= next.successes >= probe.success_threshold.unwrap_or(1);
        } else {
            next.successes = 0;
            next.failures = self.failures.saturating_add(1);
            if next.failures >= probe.failure_threshold.unwrap_or(3) {
                next.passing = false;
                next.failed = true;
            }
        }
        next.failed &= !success;
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: ProbeKind, results: &str) -> String {
        let probe = Probe { failure_threshold: Some(2), success_threshold: Some(2), period_seconds: Some(5), ..Probe::default() };
        let mut state = ProbeState::new("x", kind, &probe, Timestamp::UNIX_EPOCH);
        let mut out = String::new();
        for r in results.chars() {
            state = state.after(&probe, r == '+', state.due);
            out.push(if state.failed {
                'X'
            } else if state.passing {
                'P'
            } else {
                '-'
            });
        }
        out
    }

    #[test]
    fn thresholds_count_in_a_row() {
        assert_eq!(row(ProbeKind::Readiness, "+++-+--+-++"), "-PPPPPX---P");
        assert_eq!(row(ProbeKind::Liveness, "+-+--"), "PPPPX");
        assert_eq!(row(ProbeKind::Startup, "-+-++"), "----P");
    }

    #[test]
    fn due_by_delay_and_period() {
        let probe = Probe { initial_delay_seconds: Some(7), ..Probe::default() };
        let state = ProbeState::new("x", ProbeKind::Liveness, &probe, Timestamp::UNIX_EPOCH);
        assert_eq!(state.due.as_second(), 7);
        assert_eq!(state.after(&probe, true, state.due).due.as_second(), 17);
    }
}
