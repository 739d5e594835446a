//! Volumes: one file a type. Each sets itself up in its directory and says which path containers see.
mod atomic;
mod config_map;
mod content;
mod downward_api;
mod empty_dir;
mod host_path;
mod projected;
mod secret;

use crate::downward::View;
use crate::objects::{Objects, RefKey};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Volume};
use state_client::Client;
use std::path::{Path, PathBuf};

/// Why a volume isn't there: the second half of the `FailedMount` event's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VolumeError(pub String);

impl VolumeError {
    fn at(path: &Path, e: &std::io::Error) -> Self {
        Self(format!("{}: {e}", path.display()))
    }
}

/// What a volume may use.
pub struct Setup<'a> {
    /// The pod's fields.
    pub view: View<'a>,
    /// Objects that [`references`] named.
    pub objects: &'a Objects,
    /// For tokens.
    pub client: &'a Client,
    /// The time.
    pub now: Timestamp,
}

impl Setup<'_> {
    fn namespace(&self) -> &str {
        self.view.pod.metadata.namespace.as_deref().unwrap_or_default()
    }
    fn fs_group(&self) -> Option<u32> {
        let context = crate::pod::spec(self.view.pod).security_context.as_ref()?;
        u32::try_from(context.fs_group?).ok()
    }
}

/// A volume that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Where it is on the node.
    pub path: PathBuf,
    /// When its content should be made again.
    pub refresh: Option<Timestamp>,
}

/// Where a volume's content lives.
pub fn path_of(pod_dir: &Path, volume: &Volume) -> PathBuf {
    match &volume.host_path {
        Some(host) => PathBuf::from(&host.path),
        None => pod_dir.join("volumes").join(&volume.name),
    }
}

/// Sets a volume up, or brings it up to date.
///
/// # Errors
/// [`VolumeError`] in the kubelet's words.
pub async fn set_up(setup: &Setup<'_>, pod_dir: &Path, volume: &Volume) -> Result<Ready, VolumeError> {
    let path = path_of(pod_dir, volume);
    let ready = |refresh| Ready { path: path.clone(), refresh };
    if let Some(source) = &volume.empty_dir {
        return empty_dir::set_up(setup, source, &path).map(|()| ready(None));
    }
    if let Some(source) = &volume.host_path {
        return host_path::set_up(source).map(|()| ready(None));
    }
    let content = if let Some(source) = &volume.config_map {
        config_map::content(setup, source)?
    } else if let Some(source) = &volume.secret {
        secret::content(setup, source)?
    } else if let Some(source) = &volume.downward_api {
        downward_api::content(setup, source)?
    } else if let Some(source) = &volume.projected {
        projected::content(setup, source, &path).await?
    } else {
        return Err(VolumeError(format!("no volume plugin matched volume {:?}", volume.name)));
    };
    let refresh = content.refresh;
    atomic::write(&path, &content, setup.fs_group())?;
    Ok(ready(refresh))
}

/// Which objects the pod's volumes need.
pub fn references(pod: &Pod) -> Vec<RefKey> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut keys = Vec::new();
    for volume in crate::pod::spec(pod).volumes.iter().flatten() {
        keys.extend(volume.config_map.as_ref().map(|s| RefKey::config_map(namespace, &s.name)));
        keys.extend(volume.secret.as_ref().map(|s| RefKey::secret(namespace, s.secret_name.as_deref().unwrap_or_default())));
        for source in volume.projected.iter().flat_map(|p| p.sources.iter().flatten()) {
            keys.extend(source.config_map.as_ref().map(|s| RefKey::config_map(namespace, &s.name)));
            keys.extend(source.secret.as_ref().map(|s| RefKey::secret(namespace, &s.name)));
        }
    }
    keys
}

/// Takes all volumes of a pod away: unmounts what is mounted below its directory, then removes it.
///
/// # Errors
/// What could not be unmounted or removed.
pub fn release(pod_dir: &Path) -> Result<(), VolumeError> {
    let io = |e: std::io::Error| VolumeError::at(pod_dir, &e);
    if !pod_dir.exists() {
        return Ok(());
    }
    let dir = pod_dir.canonicalize().map_err(io)?;
    let table = std::fs::read_to_string("/proc/self/mountinfo").map_err(io)?;
    let mut below: Vec<PathBuf> = table.lines().filter_map(|l| l.split(' ').nth(4)).map(PathBuf::from).filter(|p| p.starts_with(&dir) && *p != dir).collect();
    below.reverse();
    for mounted in below {
        nix::mount::umount2(&mounted, nix::mount::MntFlags::MNT_DETACH).map_err(|e| VolumeError::at(&mounted, &e.into()))?;
    }
    std::fs::remove_dir_all(&dir).map_err(io)
}
