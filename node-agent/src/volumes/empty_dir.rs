//! `emptyDir`: a directory, or a tmpfs with `medium: Memory`.
use super::setup::VolumeError;
use crate::beneath::{self, Dir};
use k8s_openapi::api::core::v1::EmptyDirVolumeSource;
use nix::mount::{MsFlags, mount};
use rustix::fs::{Gid, Mode};
use std::path::Path;

/// Makes it, once.
pub fn set_up(source: &EmptyDirVolumeSource, group: Option<u32>, path: &Path) -> Result<(), VolumeError> {
    let io = |e: std::io::Error| VolumeError::at(path, &e);
    let made = path.symlink_metadata().is_err();
    std::fs::create_dir_all(path).map_err(io)?;
    if source.medium.as_deref() == Some("Memory") && !is_tmpfs(path) {
        let size = source.size_limit.as_ref().and_then(|q| q.0.parse::<model::quantity::Quantity>().ok()).map(|q| format!("size={}", q.value()));
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let place = Dir::open(path).map_err(io)?;
        mount(Some("tmpfs"), &beneath::path_of(&place), Some("tmpfs"), flags, size.as_deref()).map_err(|e| io(e.into()))?;
    } else if !made {
        return Ok(());
    }
    let dir = Dir::open(path).map_err(io)?;
    rustix::fs::fchown(&dir, None, group.map(Gid::from_raw)).map_err(|e| io(e.into()))?;
    rustix::fs::fchmod(&dir, Mode::from_raw_mode(if group.is_some() { 0o2777 } else { 0o777 })).map_err(|e| io(e.into()))
}

fn is_tmpfs(path: &Path) -> bool {
    let own = nix::sys::stat::lstat(path).map(|s| s.st_dev);
    let parent = path.parent().map(nix::sys::stat::lstat).and_then(Result::ok).map(|s| s.st_dev);
    own.is_ok_and(|own| parent.is_some_and(|parent| parent != own))
}
