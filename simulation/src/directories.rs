//! The directories of volumes that a simulated node has. What is to be done with one is the agent's real decision; the disk is simulated.
use crate::net::Net;
use jiff::{SignedDuration, Timestamp};
use model::Stored;
use model::storage::{DIRECTORY, DIRECTORY_SIZE, SIZE_ENFORCED, capacity};
use node_agent::directories::{Task, task};
use serde_json::{Value, json};
use state_client::{Body, PatchKind, Request, Verb};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Where simulated nodes keep them.
pub const ROOT: &str = "/volumes";
/// How long a word to the cluster is waited for before it is said again.
const AGAIN: SignedDuration = SignedDuration::from_secs(3);

/// The directories of one node: volumes' names with their UIDs. They outlive the agent.
#[derive(Default)]
pub struct Directories {
    made: BTreeMap<String, String>,
    said: BTreeMap<String, Timestamp>,
}

impl Directories {
    /// Whether there is one of a volume.
    pub fn has(&self, name: &str, uid: &str) -> bool {
        self.made.get(name).is_some_and(|of| of == uid)
    }

    /// Makes and removes what the volumes that the node was shown ask for; what is to be told the cluster, and when to look again.
    pub fn settle(&mut self, net: &Net, node: &str, volumes: Vec<Arc<Stored>>) -> (Vec<Request>, Option<Timestamp>) {
        let (mut requests, mut again) = (Vec::new(), None);
        for stored in volumes {
            let Some(patch) = self.one(node, &stored) else { continue };
            let name = stored.key.name.to_string();
            let next = self.said.get(&name).and_then(|at| at.saturating_add(AGAIN).ok()).filter(|next| *next > net.now);
            if let Some(next) = next {
                again = [again, Some(next)].into_iter().flatten().min();
                continue;
            }
            self.said.insert(name.clone(), net.now);
            again = [again, net.now.saturating_add(AGAIN).ok()].into_iter().flatten().min();
            let request = Request::new(Verb::Patch, "", "persistentvolumes", "", &name);
            requests.push(request.body(Body::Patch(PatchKind::Merge, patch.to_string().into())));
        }
        (requests, again)
    }

    /// What is to be told of one volume, once the disk is as it should be.
    fn one(&mut self, node: &str, stored: &Stored) -> Option<Value> {
        let (volume, name) = (stored.object(), &*stored.key.name);
        match task(volume, node, &Path::new(ROOT).join(name)) {
            Task::Nothing => None,
            Task::Make => {
                self.made.entry(name.to_owned()).or_insert_with(|| volume.uid().to_owned());
                let size = volume.at(&["spec", "capacity", "storage"]).and_then(Value::as_str).unwrap_or_default();
                let told = volume.annotation(DIRECTORY_SIZE) == Some(size) && !capacity(volume).is_zero();
                (!told).then(|| json!({"metadata": {"uid": volume.uid(), "annotations": {DIRECTORY_SIZE: size, SIZE_ENFORCED: "true"}}}))
            }
            Task::Remove => {
                if self.has(name, volume.uid()) {
                    self.made.remove(name);
                }
                let rest: Vec<&str> = volume.finalizers().filter(|finalizer| *finalizer != DIRECTORY).collect();
                Some(json!({"metadata": {"uid": volume.uid(), "resourceVersion": volume.resource_version(), "finalizers": rest}}))
            }
        }
    }
}
