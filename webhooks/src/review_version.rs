//! The versions of reviews: what a webhook is sent and answers.
use serde_json::Value;

/// A version of AdmissionReview or ConversionReview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewVersion {
    /// `v1`.
    V1,
    /// `v1beta1`.
    V1Beta1,
}

impl ReviewVersion {
    /// The first known one of a list: webhooks name the version they like best first.
    pub fn first_of(versions: &Value) -> Option<Self> {
        versions.as_array()?.iter().find_map(|version| match version.as_str() {
            Some("v1") => Some(Self::V1),
            Some("v1beta1") => Some(Self::V1Beta1),
            _ => None,
        })
    }

    /// As reviews of a group name it.
    pub fn api_version(self, group: &str) -> String {
        match self {
            Self::V1 => format!("{group}/v1"),
            Self::V1Beta1 => format!("{group}/v1beta1"),
        }
    }
}
