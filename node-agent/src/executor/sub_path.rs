//! `subPath`: a part of a volume, found below the volume whatever links a container planted there, and bound by descriptor to a place of the agent's own.
//! Containers are made from that place, which nobody else can change.
use super::mounts::SubPath;
use crate::beneath::{self, Dir};
use nix::mount::{MsFlags, mount};
use rustix::fs::FileType;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Places that are bound, until this is dropped: a running container has mounts of its own.
#[derive(Debug, Default)]
pub struct Bound(Vec<PathBuf>);

impl Drop for Bound {
    fn drop(&mut self) {
        for place in &self.0 {
            if let Err(error) = crate::mounts::unmount(place) {
                tracing::warn!(place = %place.display(), %error, "a part of a volume stays bound until the pod ends");
            }
        }
    }
}

/// Binds the parts of volumes that a container mounts.
///
/// # Errors
/// In the kubelet's words, which don't tell what is on the node.
pub fn bind(parts: &[SubPath]) -> Result<Bound, String> {
    let mut bound = Bound::default();
    for part in parts {
        let (volume, container) = &part.names;
        let failed = |what: &str, error: &io::Error| {
            tracing::info!(volume, container, path = %part.path.display(), %error, "a subPath was refused");
            format!("failed to {what} for volumeMount \"{volume}\" of container \"{container}\"")
        };
        let found = match find(part) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => make(part).map_err(|e| failed("create subPath directory", &e))?,
            other => other.map_err(|e| failed("prepare subPath", &e))?,
        };
        bound.0.push(part.place.clone());
        bind_to(&found, &part.place).map_err(|e| failed("prepare subPath", &e))?;
    }
    Ok(bound)
}

fn root(part: &SubPath) -> io::Result<Dir> {
    if part.ours { Dir::open(&part.volume) } else { Dir::open_following(&part.volume) }
}

fn find(part: &SubPath) -> io::Result<OwnedFd> {
    root(part)?.resolve(&part.path)
}

/// Missing directories have the permissions of the volume, as the kubelet makes them.
fn make(part: &SubPath) -> io::Result<OwnedFd> {
    let root = root(part)?;
    let mode = root.mode()? & 0o6777;
    root.resolve_or_make(&part.path, mode)
}

fn bind_to(found: &OwnedFd, place: &Path) -> io::Result<()> {
    let (Some(dir), Some(name)) = (place.parent(), place.file_name()) else { return Err(io::ErrorKind::InvalidInput.into()) };
    std::fs::create_dir_all(dir)?;
    // An agent that was killed may have left it bound.
    crate::mounts::unmount(place)?;
    let dir = Dir::open(dir)?;
    beneath::remove(&dir, name)?;
    if FileType::from_raw_mode(rustix::fs::fstat(found)?.st_mode) == FileType::Directory {
        drop(dir.make(name, 0o700)?);
    } else {
        drop(dir.create(name, 0o600)?);
    }
    let nothing: Option<&Path> = None;
    Ok(mount(Some(&beneath::path_of(found)), place, nothing, MsFlags::MS_BIND, nothing)?)
}
