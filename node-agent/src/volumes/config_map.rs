//! `configMap`.
use super::content::{Content, MODE};
use super::setup::{Setup, VolumeError};
use crate::objects::RefKey;
use k8s_openapi::api::core::v1::ConfigMapVolumeSource;

/// Its files.
pub fn content(setup: &Setup<'_>, source: &ConfigMapVolumeSource) -> Result<Content, VolumeError> {
    let mut content = Content::default();
    let data = setup.objects.data(&RefKey::config_map(setup.namespace(), &source.name));
    let what = ("configmap", setup.namespace(), source.name.as_str());
    content.add_data(what, data, source.items.as_deref(), source.optional == Some(true), source.default_mode.unwrap_or(MODE))?;
    Ok(content)
}
