//! Where the files of a container's runs are below their pod's directory, and which runs they tell of.
use crate::component::Component;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where a run's log is.
pub fn log_path(pod_dir: &Path, container: &str, attempt: u32) -> PathBuf {
    pod_dir.join("logs").join(Component::of(container)).join(Component::of(&attempt.to_string()).with(".log"))
}

/// Where a run's termination message is.
pub fn message_path(pod_dir: &Path, container: &str, attempt: u32) -> PathBuf {
    pod_dir.join("messages").join(Component::of(container)).join(Component::of(&attempt.to_string()))
}

/// For each container of a pod that was begun here the number after the newest one's. A runtime may forget its containers when the machine starts anew; a
/// restart counts nevertheless.
pub fn attempts(pod_dir: &Path) -> BTreeMap<String, u32> {
    let next = |dir: &Path| -> Option<u32> {
        let number = |file: std::fs::DirEntry| {
            let name = file.file_name();
            let name = name.to_str()?;
            name.strip_suffix(".log").unwrap_or(name).parse::<u32>().ok()
        };
        std::fs::read_dir(dir).ok()?.flatten().filter_map(number).max()?.checked_add(1)
    };
    let mut attempts = BTreeMap::new();
    // a run that could not be started has no log, but had a file for its last words
    for folder in [pod_dir.join("logs"), pod_dir.join("messages")] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if let (Some(name), Some(next)) = (Component::name(&entry.file_name()), next(&entry.path())) {
                let attempt = attempts.entry(name).or_insert(next);
                *attempt = next.max(*attempt);
            }
        }
    }
    attempts
}
