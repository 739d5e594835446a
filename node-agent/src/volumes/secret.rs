//! `secret`.
use super::content::{Content, MODE};
use super::setup::{Setup, VolumeError};
use crate::objects::RefKey;
use k8s_openapi::api::core::v1::SecretVolumeSource;

/// Its files.
pub fn content(setup: &Setup<'_>, source: &SecretVolumeSource) -> Result<Content, VolumeError> {
    let mut content = Content::default();
    let name = source.secret_name.as_deref().unwrap_or_default();
    let data = setup.objects.data(&RefKey::secret(setup.namespace(), name));
    let what = ("secret", setup.namespace(), name);
    content.add_data(what, data, source.items.as_deref(), source.optional == Some(true), source.default_mode.unwrap_or(MODE))?;
    Ok(content)
}
