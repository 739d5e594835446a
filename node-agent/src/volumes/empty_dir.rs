//! `emptyDir`: a directory, or a tmpfs with `medium: Memory`.
use super::{Setup, VolumeError};
use k8s_openapi::api::core::v1::EmptyDirVolumeSource;
use nix::mount::{MsFlags, mount};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Makes it, once.
pub fn set_up(setup: &Setup<'_>, source: &EmptyDirVolumeSource, path: &Path) -> Result<(), VolumeError> {
    let io = |e: std::io::Error| VolumeError::at(path, &e);
    let made = !path.exists();
    std::fs::create_dir_all(path).map_err(io)?;
    if source.medium.as_deref() == Some("Memory") && !is_tmpfs(path) {
        let size = source.size_limit.as_ref().and_then(|q| q.0.parse::<model::quantity::Quantity>().ok()).map(|q| format!("size={}", q.value()));
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("tmpfs"), path, Some("tmpfs"), flags, size.as_deref()).map_err(|e| io(e.into()))?;
    } else if !made {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(if setup.fs_group().is_some() { 0o2777 } else { 0o777 })).map_err(io)?;
    std::os::unix::fs::chown(path, None, setup.fs_group()).map_err(io)
}

fn is_tmpfs(path: &Path) -> bool {
    let own = nix::sys::stat::stat(path).map(|s| s.st_dev);
    let parent = path.parent().map(nix::sys::stat::stat).and_then(Result::ok).map(|s| s.st_dev);
    own.is_ok_and(|own| parent.is_some_and(|parent| parent != own))
}
