//! The executor itself: all that ops are carried out with.
use super::lookup::Lookups;
use super::node_info::NodeInfo;
use super::op::OpContext;
use super::{paths, start_error};
use crate::admission::Allocations;
use crate::component::Component;
use crate::downward::{DownwardSource, pod_ips};
use crate::objects::References;
use crate::recorder::Recorder;
use crate::reports::Reports;
use crate::runtime::{Container, Runtime, RuntimeError};
use model::Stored;
use state_client::Client;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// All that ops are carried out with. Shared by the node's pods.
pub struct Executor {
    /// Runs containers.
    pub runtime: Arc<dyn Runtime>,
    /// Speaks to the cluster.
    pub client: Client,
    /// ConfigMaps and Secrets.
    pub references: Arc<References>,
    /// What is to be said of pods.
    pub reports: Reports,
    /// What was just asked about images.
    pub images: Lookups,
    /// Events.
    pub recorder: Recorder,
    /// The cluster's services, once they are known.
    pub services: watch::Receiver<Option<Arc<Vec<Arc<Stored>>>>>,
    /// This node.
    pub node: NodeInfo,
    /// Which pods it runs, and what they ask for.
    pub admission: Allocations,
    /// Tells those who wait for room that a pod may have given some back.
    pub freed: watch::Sender<()>,
    /// A directory a pod below this one.
    pub pods: PathBuf,
}

impl Executor {
    /// A pod's directory.
    pub fn dir(&self, uid: &str) -> PathBuf {
        self.pods.join(Component::of(uid))
    }

    /// Where the directories of volumes are: beside the pods' own.
    pub fn directories(&self) -> PathBuf {
        let path = self.pods.with_file_name("volumes");
        if self.runtime.uses_files() { std::path::absolute(&path).unwrap_or(path) } else { PathBuf::from("/var/lib/whalesong/node/volumes") }
    }

    /// Counts a pod no longer: nothing of it runs any more, or the cluster doesn't have it any more.
    pub fn leave(&self, uid: &str) {
        if self.admission.leave(uid) {
            self.freed.send_replace(());
        }
    }

    /// The runs of a pod, oldest first of each container.
    pub async fn runs(&self, uid: &str) -> Result<Vec<Container>, RuntimeError> {
        let runs = self.runtime.list(Some(uid)).await?;
        let dir = self.dir(uid);
        let recalled = |run| if self.runtime.uses_files() { start_error::recall(&dir, run) } else { run };
        Ok(runs.into_iter().map(recalled).collect())
    }

    /// The downward API's view of the pod.
    pub(super) fn view<'a>(&'a self, job: &'a OpContext, ips: &'a [String]) -> DownwardSource<'a> {
        DownwardSource { pod: &job.pod, pod_ips: ips, host_ips: &self.node.addresses, allocatable: (self.node.cpu_milli, self.node.memory) }
    }

    /// The pod's addresses.
    pub(super) fn pod_ips(&self, job: &OpContext) -> Vec<String> {
        pod_ips(&job.pod, &job.seen, &self.node.addresses)
    }

    /// For each container of a pod that was begun here the number after the newest one's. A runtime may forget its containers when the machine starts anew; a
    /// restart counts nevertheless.
    pub fn attempts(&self, uid: &str) -> BTreeMap<String, u32> {
        paths::attempts(&self.dir(uid))
    }
}
