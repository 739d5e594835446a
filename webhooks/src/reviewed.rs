//! What every answered review has around its response.
use crate::review_version::ReviewVersion;
use serde::Deserialize;

/// A review as a webhook answers it.
#[derive(Deserialize)]
pub struct Reviewed<R> {
    #[serde(default)]
    kind: String,
    #[serde(default, rename = "apiVersion")]
    api_version: String,
    /// What the webhook says.
    pub response: Option<R>,
}

impl<R> Reviewed<R> {
    /// Whether it answers the question `asked` of this kind and version. The older version asks nobody to repeat anything.
    ///
    /// # Errors
    /// One sentence, with what was expected.
    pub fn check(&self, version: ReviewVersion, group: &str, kind: &str, asked: &str, answered: &str) -> Result<(), String> {
        if version == ReviewVersion::V1Beta1 {
            return Ok(());
        }
        if answered != asked {
            return Err(format!("expected response.uid={asked:?}, got {answered:?}"));
        }
        let wanted = version.api_version(group);
        if self.kind != kind || self.api_version != wanted {
            return Err(format!("expected webhook response of {wanted}, Kind={kind}, got {}, Kind={}", self.api_version, self.kind));
        }
        Ok(())
    }
}
