//! Volumes: one file a type. Each sets itself up in its directory and says which path containers see.
mod atomic;
pub mod claim;
mod config_map;
mod content;
mod downward_api;
mod empty_dir;
mod group;
mod host_path;
pub mod links;
mod nfs;
mod owner;
mod projected;
mod secret;
mod setup;

pub use setup::{Place, Setup, VolumeError};

use setup::on_disk;

use crate::beneath::{self, Dir};
use crate::component::Component;
use crate::objects::RefKey;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Volume};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where a volume's content lives.
pub fn path_of(pod_dir: &Path, volume: &Volume) -> PathBuf {
    match &volume.host_path {
        Some(host) => PathBuf::from(&host.path),
        None => pod_dir.join("volumes").join(Component::of(&volume.name)),
    }
}

/// Sets a volume up, or brings it up to date. When its content should be made again comes back.
///
/// # Errors
/// [`VolumeError`] in the kubelet's words.
pub async fn set_up(setup: &Setup<'_>, pod_dir: &Path, volume: &Volume) -> Result<Option<Timestamp>, VolumeError> {
    let path = path_of(pod_dir, volume);
    let group = setup.fs_group();
    if let Some(source) = volume.empty_dir.clone() {
        return on_disk(move || empty_dir::set_up(&source, group, &path)).await.map(|()| None);
    }
    if let Some(source) = volume.host_path.clone() {
        return on_disk(move || host_path::set_up(&source)).await.map(|()| None);
    }
    if volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some() {
        return claim::set_up(setup, volume, &path).await.map(|()| None);
    }
    if let Some(source) = &volume.nfs {
        let options = if source.read_only == Some(true) { vec!["ro"] } else { Vec::new() };
        return nfs::mount(&nfs::Export { server: &source.server, path: &source.path, options }, &path).await.map(|()| None);
    }
    if volume.image.is_some() {
        // the runtime mounts it in each container
        return Ok(None);
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
    on_disk(move || atomic::write(&path, &content, group)).await.map(|()| refresh)
}

/// Whether each volume has a name of its own: two of one name would be one directory.
///
/// # Errors
/// The name that two of them have.
pub fn distinct(volumes: &[Volume]) -> Result<(), VolumeError> {
    let mut names = BTreeSet::new();
    match volumes.iter().find(|v| !names.insert(&v.name)) {
        Some(twice) => Err(VolumeError(format!("two volumes are named {:?}", twice.name))),
        None => Ok(()),
    }
}

/// Whether a volume shows labels or annotations of the pod, which may change while it runs.
pub fn show_metadata(pod: &Pod) -> bool {
    let projected = |v: &Volume| v.projected.iter().flat_map(|p| p.sources.iter().flatten()).any(|source| source.downward_api.is_some());
    crate::pod::spec(pod).volumes.iter().flatten().any(|v| v.downward_api.is_some() || projected(v))
}

/// Which objects the pod's volumes need.
pub fn references(pod: &Pod) -> Vec<RefKey> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut keys = Vec::new();
    for volume in crate::pod::spec(pod).volumes.iter().flatten() {
        keys.extend(claim::key(pod, volume).map(|(key, _)| key));
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
pub async fn release(pod_dir: PathBuf) -> Result<(), VolumeError> {
    on_disk(move || take_away(&pod_dir).map_err(|e| VolumeError::at(&pod_dir, &e))).await
}

fn take_away(pod_dir: &Path) -> std::io::Result<()> {
    let (Some(parent), Some(name)) = (pod_dir.parent(), pod_dir.file_name()) else { return Ok(()) };
    if pod_dir.symlink_metadata().is_ok() {
        crate::mounts::unmount_below(pod_dir, false)?;
    }
    beneath::remove(&Dir::open(parent)?, name)
}
