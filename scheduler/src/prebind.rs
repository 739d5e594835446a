//! Pods that have a node and aren't bound yet: something that was reserved for them has to come about first.
use crate::pod::PodInfo;
use crate::reserve::{PATIENCE, STEPS};
use crate::snapshot::Snapshot;
use crate::writes::Progress;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One of them.
#[derive(Clone, Debug)]
pub struct PreBinding {
    pod: Arc<PodInfo>,
    node: Arc<str>,
    deadline: Timestamp,
    /// Whether its writes were made.
    written: bool,
    failed: Option<String>,
}

impl PreBinding {
    /// Whose writes are about to be made.
    pub fn new(pod: Arc<PodInfo>, node: Arc<str>, now: Timestamp) -> Self {
        let deadline = now.saturating_add(PATIENCE).unwrap_or(Timestamp::MAX);
        Self { pod, node, deadline, written: false, failed: None }
    }

    fn progress(&self, snapshot: &Snapshot, now: Timestamp) -> Progress {
        let failed = |name: &str, why: &str| Progress::Failed(format!("running PreBind plugin \"{name}\": {why}"));
        let of = |step: &crate::reserve::Step| match (step.progress)(&snapshot.volumes, &self.pod.uid, snapshot.node(&self.node)) {
            _ if self.failed.is_some() => failed(step.name, self.failed.as_deref().unwrap_or_default()),
            Progress::Failed(why) => failed(step.name, &format!("binding volumes: {why}")),
            Progress::Waiting if now >= self.deadline => failed(step.name, "binding volumes: context deadline exceeded"),
            other => other,
        };
        STEPS.iter().map(of).find(|p| *p != Progress::Done).unwrap_or(Progress::Done)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct PreBindings(BTreeMap<Arc<str>, PreBinding>);

/// A pod and its node.
type Placed = (Arc<PodInfo>, Arc<str>);

impl PreBindings {
    /// One more.
    pub fn add(&mut self, one: PreBinding) {
        self.0.insert(one.pod.uid.clone(), one);
    }

    /// One less.
    pub fn remove(&mut self, uid: &str) {
        self.0.remove(uid);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the first has waited for too long.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.0.values().filter(|p| p.written).map(|p| p.deadline).min()
    }

    /// Its writes were made, or one failed.
    pub fn written(&mut self, uid: &str, failed: Option<String>) {
        if let Some(one) = self.0.get_mut(uid) {
            (one.written, one.failed) = (true, failed);
        }
    }

    /// Takes out those that can be bound, and those that won't be, with why.
    pub fn settle(&mut self, snapshot: &Snapshot, now: Timestamp) -> (Vec<Placed>, Vec<(Arc<PodInfo>, String)>) {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        self.0.retain(|_, one| match one.progress(snapshot, now) {
            _ if !one.written => true,
            Progress::Waiting => true,
            Progress::Done => {
                done.push((one.pod.clone(), one.node.clone()));
                false
            }
            Progress::Failed(why) => {
                failed.push((one.pod.clone(), why));
                false
            }
        });
        (done, failed)
    }
}
