//! Volumes whose files are elsewhere on the node: a pod's directory has a link to them. The links are on the agent's own disk, where no container reaches
//! them, so they also tell, after any restart, which pods use what.
use super::setup::VolumeError;
use crate::beneath::{self, Dir};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Links are made one after the other: who finds that nobody else has a volume has it before the next one looks.
static ONE: Mutex<()> = Mutex::new(());

/// Makes a pod's link to where a volume's files are; where `alone`, only if no other pod has one.
///
/// # Errors
/// In the kubelet's words.
pub fn link(place: &Path, target: &Path, alone: Option<&Path>) -> Result<(), VolumeError> {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pods) = alone
        && users(pods, target).iter().any(|user| !place.starts_with(user))
    {
        return Err(VolumeError("volume uses the ReadWriteOncePod access mode and is already in use by another pod".to_owned()));
    }
    if std::fs::read_link(place).is_ok_and(|old| old == target) {
        return Ok(());
    }
    let (Some(dir), Some(name)) = (place.parent(), place.file_name()) else { return Err(VolumeError("a volume has no name".to_owned())) };
    let made = std::fs::create_dir_all(dir).and_then(|()| Dir::open(dir)).and_then(|dir| {
        beneath::remove(&dir, name)?;
        dir.make_link(name, target)
    });
    made.map_err(|e| VolumeError::at(place, &e))
}

/// The directories of the pods that have a link to a place.
pub fn users(pods: &Path, target: &Path) -> Vec<PathBuf> {
    let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let uses = |pod: &PathBuf| entries(&pod.join("volumes")).any(|place| std::fs::read_link(place).is_ok_and(|to| to == target));
    entries(pods).filter(uses).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pod_alone_may_have_what_is_for_one_pod() {
        let temp = tempfile::tempdir().unwrap();
        let (pods, target) = (temp.path().join("pods"), temp.path().join("target"));
        std::fs::create_dir(&target).unwrap();
        std::fs::write(target.join("data"), "1").unwrap();
        let place = |pod: &str| pods.join(pod).join("volumes/v");
        link(&place("a"), &target, Some(&pods)).unwrap();
        link(&place("a"), &target, Some(&pods)).unwrap();
        assert_eq!(std::fs::read_to_string(place("a").join("data")).unwrap(), "1");
        assert!(link(&place("b"), &target, Some(&pods)).unwrap_err().0.contains("ReadWriteOncePod"));
        link(&place("b"), &target, None).unwrap();
        assert_eq!(users(&pods, &target).len(), 2);
        // the pod goes, and what its link led to stays
        beneath::remove(&Dir::open(&pods).unwrap(), "a".as_ref()).unwrap();
        assert_eq!((users(&pods, &target), target.join("data").exists()), (vec![pods.join("b")], true));
    }
}
