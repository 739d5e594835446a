//! What a check finds wrong with a pod, and how several such findings are told.

/// What one check finds wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// In a word: `hostPort`.
    pub reason: String,
    /// What of the pod it is; it may be empty.
    pub detail: String,
}

impl Violation {
    pub(super) fn new(reason: impl Into<String>, detail: impl Into<String>) -> Option<Self> {
        Some(Self { reason: reason.into(), detail: detail.into() })
    }
}

/// All reasons with their details: `hostPort (container "a" uses hostPort 80), privileged (…)`.
pub fn details(violations: &[Violation]) -> String {
    let told = |v: &Violation| if v.detail.is_empty() { v.reason.clone() } else { format!("{} ({})", v.reason, v.detail) };
    violations.iter().map(told).collect::<Vec<_>>().join(", ")
}

/// All reasons.
pub fn reasons(violations: &[Violation]) -> String {
    violations.iter().map(|v| v.reason.as_str()).collect::<Vec<_>>().join(", ")
}
