//! The record of a pod's sandbox on disk: an agent that starts anew finds its pods' networks by it.
use super::error::{NetError, kernel};
use crate::component::Component;
use crate::runtime::{NamespacePaths, Sandbox};
use std::path::Path;

/// A record's name in its pod's directory.
const RECORD: &str = "sandbox.json";
/// The longest record that is believed.
const RECORD_MAX: u64 = 1 << 20;

/// Writes it into its pod's directory.
pub fn write(dir: &Path, sandbox: &Sandbox) -> Result<(), NetError> {
    let json = serde_json::to_vec(sandbox).map_err(|e| NetError::Kernel { step: "recording the sandbox", source: e.into() })?;
    // Without power the namespaces are gone too: a pod that isn't found where it was is made anew.
    crate::disk::note(&dir.join(RECORD), &json).map_err(kernel("recording the sandbox"))
}

/// Removes it.
pub fn remove(dir: &Path) -> Result<(), NetError> {
    std::fs::remove_file(dir.join(RECORD)).map_err(kernel("forgetting the sandbox"))
}

/// Where a pod's namespaces are held.
pub fn held(dir: &Path, net: bool, ipc: bool) -> NamespacePaths {
    let at = |name: &str, own: bool| own.then(|| dir.join("ns").join(Component::of(name)));
    NamespacePaths { net: at("net", net), ipc: at("ipc", ipc) }
}

/// What was recorded. Its paths are what they must be: those that the file says may have been tampered with, and what they name is removed.
pub fn read(dir: &Path) -> Option<Sandbox> {
    let mut sandbox: Sandbox = serde_json::from_slice(&crate::beneath::read(&dir.join(RECORD), RECORD_MAX).ok()?).ok()?;
    sandbox.namespaces = held(dir, sandbox.namespaces.net.is_some(), sandbox.namespaces.ipc.is_some());
    Some(sandbox)
}

/// The sandboxes of all pods.
pub fn all(pods: &Path) -> Vec<Sandbox> {
    let Ok(entries) = std::fs::read_dir(pods) else { return Vec::new() };
    entries.filter_map(|e| read(&e.ok()?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_only_files_of_its_own_pod() {
        let dir = tempfile::tempdir().unwrap();
        let foreign = Sandbox { namespaces: NamespacePaths { net: Some("/etc/passwd".into()), ipc: None }, ..Sandbox::default() };
        write(dir.path(), &foreign).unwrap();
        assert_eq!(read(dir.path()).unwrap().namespaces, held(dir.path(), true, false));
        std::fs::write(dir.path().join(RECORD), "{}").unwrap();
        assert_eq!(read(dir.path()), None);
    }
}
