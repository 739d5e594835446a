//! `downwardAPI`.
use super::content::{Content, MODE};
use super::setup::{Setup, VolumeError};
use crate::downward;
use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, DownwardAPIVolumeSource};

/// Its files.
pub fn content(setup: &Setup<'_>, source: &DownwardAPIVolumeSource) -> Result<Content, VolumeError> {
    let mut content = Content::default();
    add(setup, &mut content, source.items.as_deref(), source.default_mode.unwrap_or(MODE))?;
    Ok(content)
}

/// Adds such files; projected volumes have them too.
pub fn add(setup: &Setup<'_>, content: &mut Content, items: Option<&[DownwardAPIVolumeFile]>, mode: i32) -> Result<(), VolumeError> {
    for item in items.unwrap_or_default() {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => downward::field(setup.view, field),
            (_, Some(resource)) => downward::resource(setup.view, resource, ""),
            _ => Err(format!("file {:?} has no source", item.path)),
        };
        content.add(&item.path, text.map_err(VolumeError)?.into_bytes(), item.mode.unwrap_or(mode))?;
    }
    Ok(())
}
