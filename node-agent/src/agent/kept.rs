//! Reads what the previous agent left on disk: the machine's address and its pods.
use crate::actor::POD;
use crate::component::Component;
use crate::node::machine::own_address;
use model::{Key, Object, Stored};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// This machine's address, kept on disk: a machine that is cut off can't tell by which address it reached others.
pub fn address(data: &Path) -> Option<IpAddr> {
    let path = data.join("address");
    match own_address() {
        Some(address) => {
            if let Err(error) = crate::disk::keep(&path, address.to_string().as_bytes()) {
                tracing::warn!(path = %path.display(), %error, "the node's address could not be kept on disk");
            }
            Some(address)
        }
        None => std::fs::read_to_string(path).ok()?.trim().parse().ok(),
    }
}

/// Whether an agent with this data directory has pods to run, which it does without the cluster too.
pub fn has_pods(data: &Path) -> bool {
    !kept(&data.join("pods")).is_empty()
}

/// The longest object that is believed; a cluster's are shorter.
const POD_MAX: u64 = 16 << 20;

/// The pods that were put on disk.
pub fn kept(pods: &Path) -> Vec<Arc<Stored>> {
    let Ok(entries) = std::fs::read_dir(pods) else { return Vec::new() };
    let read = |entry: std::fs::DirEntry| -> Option<Arc<Stored>> {
        let object = Object::from_json(&crate::beneath::read(&entry.path().join(POD), POD_MAX).ok()?).ok()?;
        // In the directory of another pod it is not what this agent put there.
        if Component::of(object.uid()).as_str() != entry.file_name() {
            return None;
        }
        let key = Key::new("", "pods", object.namespace(), object.name());
        Stored::from_object(key, object).ok().map(Arc::new)
    };
    entries.filter_map(|e| read(e.ok()?)).collect()
}

/// Whether the cluster knows that a pod has ended.
pub fn is_over(pod: &Object) -> bool {
    matches!(pod.str_at(&["status", "phase"]), "Succeeded" | "Failed")
}

/// Whether a change must be on disk: not one of status alone.
pub fn matters(old: &Object, new: &Object) -> bool {
    // What has ended must not run again.
    let strip = |o: &Object| (is_over(o), o.at(&["spec"]).cloned(), o.deletion_timestamp().map(str::to_owned), o.labels().cloned(), o.annotations().cloned());
    strip(old) != strip(new)
}
