//! `persistentVolumeClaim` and `ephemeral`: the volume that a claim is bound to, if it is of a kind that nodes can mount.
use super::nfs::Export;
use super::setup::{Place, Setup, VolumeError, on_disk};
use super::{group, host_path, links, nfs};
use crate::beneath::Dir;
use crate::component::Component;
use crate::objects::{Objects, RefKey};
use k8s_openapi::api::core::v1::{NodeSelector, PersistentVolume, PersistentVolumeSpec, Pod, Volume};
use model::placement::labels::NodeTerm;
use model::storage::{CLAIM_PROTECTION, DIRECTORY_NODE, is_directory, own_claim};
use model::{Object, Stored};
use std::path::{Component as Step, Path, PathBuf};
use std::sync::Arc;

/// The claim that a volume means, and whether it is made for the pod.
pub fn key(pod: &Pod, volume: &Volume) -> Option<(RefKey, bool)> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(claim) = &volume.persistent_volume_claim {
        return Some((RefKey::claim(namespace, &claim.claim_name), false));
    }
    let own = own_claim(pod.metadata.name.as_deref().unwrap_or_default(), &volume.name);
    volume.ephemeral.as_ref().map(|_| (RefKey::claim(namespace, &own), true))
}

/// The volume that a claim is bound to.
///
/// # Errors
/// In the kubelet's words.
pub fn volume_of(pod: &Pod, claim: &RefKey, own: bool, objects: &Objects) -> Result<RefKey, String> {
    let RefKey { namespace, name, .. } = claim;
    let failed = |why: &str| format!("error processing PVC {namespace}/{name}: {why}");
    let missing = || failed(&format!("failed to fetch PVC from API server: persistentvolumeclaims \"{name}\" not found"));
    let object = objects.get(claim).ok_or_else(missing)?.object();
    if object.deletion_timestamp().is_some() && !object.finalizers().any(|finalizer| finalizer == CLAIM_PROTECTION) {
        return Err(failed("PVC is being deleted"));
    }
    if object.str_at(&["status", "phase"]) != "Bound" {
        return Err(failed("PVC is not bound"));
    }
    let of_pod = |object: &Object| object.controller().is_some_and(|owner| Some(&owner.uid) == pod.metadata.uid.as_ref());
    if own && !of_pod(object) {
        let pod = pod.metadata.name.as_deref().unwrap_or_default();
        return Err(format!("PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"));
    }
    match object.str_at(&["spec", "volumeName"]) {
        "" => Err(failed("PVC has empty pvc.Spec.VolumeName")),
        volume => Ok(RefKey::volume(volume)),
    }
}

/// The object of that volume, which must name the claim as well.
///
/// # Errors
/// In the kubelet's words.
pub fn checked(claim: &RefKey, volume: &RefKey, objects: &Objects) -> Result<Arc<Stored>, String> {
    let name = &volume.name;
    let failed = |why: String| format!("error processing PVC {}/{}: {why}", claim.namespace, claim.name);
    let missing = || failed(format!("failed to fetch PV {name} from API server: persistentvolumes \"{name}\" not found"));
    let stored = objects.get(volume).ok_or_else(missing)?;
    let named = stored.object().str_at(&["spec", "claimRef", "uid"]);
    let uid = objects.get(claim).map(|claim| claim.uid()).unwrap_or_default();
    if named.is_empty() {
        let why = "it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim";
        return Err(failed(format!("found PV object {name} but {why}")));
    }
    if named != uid {
        return Err(failed(format!("found PV object {name} but its pv.Spec.ClaimRef.UID {named} does not point to claim.UID {uid}")));
    }
    Ok(stored.clone())
}

/// Makes the files of a claim's volume reachable at the pod's own place for it.
///
/// # Errors
/// In the kubelet's words.
pub async fn set_up(setup: &Setup<'_>, volume: &Volume, place: &Path) -> Result<(), VolumeError> {
    let stored = setup.claimed.get(&volume.name).ok_or_else(|| VolumeError("its claim is not known".to_owned()))?;
    let typed = stored.typed::<PersistentVolume>().map_err(|e| VolumeError(e.to_string()))?;
    let (name, spec) = (&*stored.key.name, typed.spec.clone().unwrap_or_default());
    if spec.volume_mode.as_deref() == Some("Block") {
        return Err(VolumeError(format!("volume {} has volumeMode Block, but is specified in volumeMounts", volume.name)));
    }
    if let Some(nfs) = &spec.nfs {
        let mut options: Vec<&str> = spec.mount_options.iter().flatten().map(String::as_str).collect();
        options.extend((nfs.read_only == Some(true)).then_some("ro"));
        return nfs::mount(&Export { server: &nfs.server, path: &nfs.path, options }, place).await;
    }
    let alone = spec.access_modes.iter().flatten().any(|mode| mode == "ReadWriteOncePod").then(|| setup.place.pods.to_owned());
    let (place, given) = (place.to_owned(), setup.fs_group().map(|group| (group, setup.gives_on_mismatch())));
    if let Some(source) = spec.host_path.clone() {
        return on_disk(move || {
            host_path::set_up(&source)?;
            links::link(&place, Path::new(&source.path), alone.as_deref())
        })
        .await;
    }
    let target = local(&setup.place, name, stored.object(), &spec)?;
    on_disk(move || {
        let dir = Dir::open_following(&target).map_err(|e| missing(&target, &e))?;
        links::link(&place, &target, alone.as_deref())?;
        given.map_or(Ok(()), |(group, on_mismatch)| group::give(&dir, group, on_mismatch)).map_err(|e| VolumeError::at(&target, &e))
    })
    .await
}

fn missing(path: &Path, e: &std::io::Error) -> VolumeError {
    match e.kind() {
        std::io::ErrorKind::NotFound => VolumeError(format!("path {:?} does not exist", path.display())),
        std::io::ErrorKind::NotADirectory => VolumeError(format!("{} is not a directory: block devices are not supported by this version", path.display())),
        _ => VolumeError::at(path, e),
    }
}

/// Where the files of a local volume are on this node.
fn local(place: &Place<'_>, name: &str, volume: &Object, spec: &PersistentVolumeSpec) -> Result<PathBuf, VolumeError> {
    let Some(source) = &spec.local else {
        return Err(VolumeError(format!("no volume plugin matched volume {name:?}: this version mounts local, hostPath and nfs volumes")));
    };
    let path = PathBuf::from(&source.path);
    if is_directory(volume) {
        let own = place.directories.join(Component::of(name));
        let here = volume.label(DIRECTORY_NODE) == Some(place.node) && own == path;
        return if here { Ok(own) } else { Err(VolumeError(format!("volume {name:?} is no directory of this node"))) };
    }
    let affinity = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    let terms = |selector: &NodeSelector| selector.node_selector_terms.iter().map(NodeTerm::parse).collect::<Vec<_>>();
    if affinity.is_some_and(|selector| !place.admission.may_hold(&terms(selector))) {
        return Err(VolumeError("no matching NodeSelectorTerms".to_owned()));
    }
    if !path.is_absolute() || path.components().any(|step| matches!(step, Step::ParentDir)) {
        return Err(VolumeError(format!("local path {:?}: must be absolute and must not contain '..'", source.path)));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod() -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "a", "uid": "u"}})).unwrap()
    }

    fn objects(claim: Value, volume: Value) -> Objects {
        let mut objects = Objects::default();
        let (mut claim, mut volume) = (claim, volume);
        claim["metadata"]["uid"] = json!("claim");
        volume["metadata"]["name"] = json!("v");
        objects.put(RefKey::claim("a", "c"), claim);
        objects.put(RefKey::volume("v"), volume);
        objects
    }

    #[test]
    fn a_claim_leads_to_its_volume_once_both_say_so() {
        let rows = [
            (json!({"status": {"phase": "Pending"}}), json!({}), "error processing PVC a/c: PVC is not bound"),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Bound"}}),
                json!({}),
                "error processing PVC a/c: PVC is being deleted",
            ),
            (json!({"status": {"phase": "Bound"}}), json!({}), "error processing PVC a/c: PVC has empty pvc.Spec.VolumeName"),
            (
                json!({"status": {"phase": "Bound"}, "spec": {"volumeName": "other"}}),
                json!({}),
                "error processing PVC a/c: failed to fetch PV other from API server: persistentvolumes \"other\" not found",
            ),
            (
                json!({"status": {"phase": "Bound"}, "spec": {"volumeName": "v"}}),
                json!({"spec": {"claimRef": {"uid": "x"}}}),
                "error processing PVC a/c: found PV object v but its pv.Spec.ClaimRef.UID x does not point to claim.UID claim",
            ),
            (json!({"status": {"phase": "Bound"}, "spec": {"volumeName": "v"}}), json!({"spec": {"claimRef": {"uid": "claim"}}}), ""),
        ];
        for (claim, volume, want) in rows {
            let objects = objects(claim.clone(), volume);
            let key = RefKey::claim("a", "c");
            let found = volume_of(&pod(), &key, false, &objects).and_then(|volume| checked(&key, &volume, &objects));
            assert_eq!(found.err().unwrap_or_default(), want, "{claim}");
        }
    }

    #[test]
    fn a_pods_own_claim_is_its_own() {
        let claim =
            |uid: &str| json!({"metadata": {"ownerReferences": [{"uid": uid, "controller": true}]}, "status": {"phase": "Bound"}, "spec": {"volumeName": "v"}});
        let of = |uid: &str| volume_of(&pod(), &RefKey::claim("a", "c"), true, &objects(claim(uid), json!({})));
        assert_eq!(of("u"), Ok(RefKey::volume("v")));
        assert_eq!(of("x").unwrap_err(), "PVC a/c was not created for pod a/p (pod is not owner)");
    }
}
