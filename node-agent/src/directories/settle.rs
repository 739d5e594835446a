//! Brings one volume's directory to where its object says.
use super::quota::Enforcer;
use super::store::{Store, StoreError};
use crate::executor::Executor;
use crate::recorder::Subject;
use crate::volumes::links;
use model::storage::{self, DIRECTORY, DIRECTORY_NODE, DIRECTORY_SIZE, SIZE_ENFORCED};
use model::{ApiError, Object, Stored};
use serde_json::{Value, json};
use std::path::Path;

/// Why a directory isn't as it should be.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// On the disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cluster wasn't told.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A pod has it still.
    #[error("the volume is used by {0} pods of this node")]
    Used(usize),
    /// The work broke.
    #[error(transparent)]
    Work(#[from] tokio::task::JoinError),
}

/// What is to be done with a directory: pure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Make it, up to its size.
    Make,
    /// Remove it.
    Remove,
    /// Nothing.
    Nothing,
}

/// What an object says of its directory on this node.
pub fn task(volume: &Object, node: &str, path: &Path) -> Task {
    let ours = storage::is_directory(volume) && volume.label(DIRECTORY_NODE) == Some(node) && Path::new(volume.str_at(&["spec", "local", "path"])) == path;
    if !ours {
        return Task::Nothing;
    }
    if volume.deletion_timestamp().is_none() {
        return Task::Make;
    }
    let deletes = volume.str_at(&["spec", "persistentVolumeReclaimPolicy"]) == "Delete" && volume.str_at(&["status", "phase"]) != "Bound";
    if deletes && volume.finalizers().any(|name| name == DIRECTORY) { Task::Remove } else { Task::Nothing }
}

/// Does it, and says so in the object.
///
/// # Errors
/// [`SettleError`]: it is to be tried again.
pub async fn settle(executor: &Executor, stored: &Stored) -> Result<(), SettleError> {
    let (volume, name) = (stored.object(), stored.key.name.to_string());
    let store = Store::new(executor.directories());
    let result = match task(volume, &executor.node.name, &store.path(&name)) {
        Task::Nothing => return Ok(()),
        Task::Make => make(executor, &store, volume).await,
        Task::Remove => remove(executor, &store, volume).await,
    };
    // that a pod is still being taken away is nothing to tell
    if let Err(error @ SettleError::Store(_)) = &result {
        let reason = if volume.deletion_timestamp().is_some() { "VolumeFailedDelete" } else { "VolumeFailedMake" };
        executor.recorder.warning(&Subject::volume(&name, volume.uid()), reason, &error.to_string());
    }
    result
}

async fn make(executor: &Executor, store: &Store, volume: &Object) -> Result<(), SettleError> {
    let enforced = if executor.runtime.uses_files() { on_disk(store, volume).await? } else { Err("the node is a simulated one".to_owned()) };
    let size = volume.at(&["spec", "capacity", "storage"]).and_then(Value::as_str).unwrap_or_default();
    let said = enforced.is_ok().to_string();
    if volume.annotation(DIRECTORY_SIZE) == Some(size) && volume.annotation(SIZE_ENFORCED) == Some(&said) {
        return Ok(());
    }
    if let Err(why) = &enforced {
        let message = format!("the size of the volume is not enforced, it may take all of the disk: {why}");
        executor.recorder.normal(&Subject::volume(volume.name(), volume.uid()), "SizeNotEnforced", &message);
    }
    let patch = json!({"metadata": {"uid": volume.uid(), "annotations": {DIRECTORY_SIZE: size, SIZE_ENFORCED: said}}});
    executor.client.merge("", "persistentvolumes", "", "", volume.name(), &patch).await?;
    Ok(())
}

/// Makes the directory; whether its size is enforced comes back, or why it isn't.
async fn on_disk(store: &Store, volume: &Object) -> Result<Result<(), String>, SettleError> {
    let (own, name, uid) = (store.clone(), volume.name().to_owned(), volume.uid().to_owned());
    let record = tokio::task::spawn_blocking(move || own.make(&name, &uid)).await??;
    let path = store.path(volume.name());
    let bytes = u64::try_from(storage::capacity(volume).value()).unwrap_or(u64::MAX);
    Ok(Enforcer::of(store.root()).set(&path, record.project, bytes).await)
}

async fn remove(executor: &Executor, store: &Store, volume: &Object) -> Result<(), SettleError> {
    if executor.runtime.uses_files() {
        let (own, pods) = (store.clone(), executor.pods.clone());
        let (name, uid) = (volume.name().to_owned(), volume.uid().to_owned());
        tokio::task::spawn_blocking(move || {
            let users = links::users(&pods, &own.path(&name));
            if users.is_empty() { own.remove(&name, &uid).map_err(SettleError::from) } else { Err(SettleError::Used(users.len())) }
        })
        .await??;
    }
    let rest: Vec<&str> = volume.finalizers().filter(|name| *name != DIRECTORY).collect();
    let patch = json!({"metadata": {"uid": volume.uid(), "resourceVersion": volume.resource_version(), "finalizers": rest}});
    match executor.client.merge("", "persistentvolumes", "", "", volume.name(), &patch).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_only_with_a_volume_that_is_to_go() {
        let volume = |node: &str, path: &str, policy: &str, phase: &str, deleting: bool| {
            let mut metadata = json!({"name": "v", "labels": {DIRECTORY_NODE: node}, "annotations": {storage::PROVISIONED_BY: storage::PROVISIONER}, "finalizers": [DIRECTORY]});
            if deleting {
                metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }
            let spec = json!({"local": {"path": path}, "persistentVolumeReclaimPolicy": policy});
            Object::from_value(json!({"metadata": metadata, "spec": spec, "status": {"phase": phase}})).unwrap()
        };
        let rows = [
            (volume("n", "/d/v", "Delete", "Bound", false), Task::Make),
            (volume("n", "/d/v", "Delete", "Released", true), Task::Remove),
            (volume("n", "/d/v", "Delete", "Bound", true), Task::Nothing),
            (volume("n", "/d/v", "Retain", "Released", true), Task::Nothing),
            (volume("m", "/d/v", "Delete", "Released", true), Task::Nothing),
            (volume("n", "/etc", "Delete", "Released", true), Task::Nothing),
            (volume("n", "/etc", "Delete", "Bound", false), Task::Nothing),
        ];
        for (volume, want) in rows {
            assert_eq!(task(&volume, "n", Path::new("/d/v")), want, "{volume:?}");
        }
    }
}
