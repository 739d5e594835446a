//! Decides whether this node runs a pod that was bound to it. It repeats the checks of the scheduler, because others than the scheduler can bind pods.
mod judge;

use crate::pod::life::Life;
use crate::pod::{Observed, Rejection, Slot};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use model::Stored;
use model::placement::error::ParseError;
use model::placement::labels::NodeTerm;
use model::placement::needs::Needs;
use model::placement::node::{NodeInfo, Usage};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the node has decided of its pods, and what those that it took ask for. Shared by the pods' actors, which decide one at a time.
#[derive(Debug, Default)]
pub struct Allocations(Mutex<AllocationTable>);

#[derive(Debug, Default)]
struct AllocationTable {
    /// The node as its object says; unknown at first.
    node: Option<(u64, NodeInfo)>,
    used: Usage,
    admitted: HashMap<String, Needs>,
    refused: HashMap<String, Rejection>,
}

impl Allocations {
    fn lock(&self) -> MutexGuard<'_, AllocationTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the node's object, unless a newer one is known. One that doesn't decode changes nothing, and neither does one without a status: a node is
    /// registered before it says what it has.
    pub fn learn(&self, node: &Stored) {
        if !node.read(|node| node.at(&["status", "allocatable"]).or_else(|| node.at(&["status", "capacity"])).is_some()) {
            return;
        }
        match NodeInfo::parse(node) {
            Ok(info) => self.lock().learn(node.revision, info),
            Err(error) => tracing::warn!(node = &*node.key.name, %error, "the node's object could not be read"),
        }
    }

    /// Whether the node has the labels that a volume's affinity asks for; a node that isn't known yet is taken for one that has.
    pub fn may_hold(&self, terms: &[NodeTerm]) -> bool {
        self.lock().node.as_ref().is_none_or(|(_, node)| terms.iter().any(|term| term.matches("", &node.labels)))
    }

    /// Counts a pod that was admitted before, by this agent or by one before it.
    pub fn hold(&self, uid: &str, object: &Stored) {
        match Needs::parse(object) {
            Ok(needs) => self.lock().hold(uid, needs),
            Err(error) => tracing::warn!(pod = &*object.key.name, %error, "what a pod asks for could not be read"),
        }
    }

    /// Whether the node runs a pod; a decision stands until the pod is forgotten. What is admitted is counted at once.
    ///
    /// # Errors
    /// Why it doesn't.
    pub fn admit(&self, uid: &str, object: &Stored, pod: &Pod) -> Result<(), Rejection> {
        let needs = Needs::parse(object).map_err(|e| unreadable(&e))?;
        self.lock().admit(uid, needs, pod)
    }

    /// Whether the node gives a pod that it runs another size. What it gives is counted at once.
    ///
    /// # Errors
    /// Why it doesn't, and whether it never will.
    pub fn resize(&self, uid: &str, pod: &Pod) -> Result<(), (bool, String)> {
        let needs = needs(pod).map_err(|e| (true, unreadable(&e).message))?;
        self.lock().resize(uid, needs)
    }

    /// Counts a pod of which the node has allotted something else than is asked for.
    pub fn hold_as(&self, uid: &str, pod: &Pod) {
        match needs(pod) {
            Ok(needs) => self.lock().hold(uid, needs),
            Err(error) => tracing::warn!(uid, %error, "what a pod has could not be read"),
        }
    }

    /// Keeps a refusal, so that the pod's actor finds it when it starts again.
    pub fn refuse(&self, uid: &str, why: Rejection) {
        self.lock().refused.insert(uid.to_owned(), why);
    }

    /// Counts a pod no longer; whether it was counted.
    pub fn leave(&self, uid: &str) -> bool {
        self.lock().leave(uid)
    }

    /// Forgets a pod that is gone from the node.
    pub fn forget(&self, uid: &str) {
        let mut table = self.lock();
        table.leave(uid);
        table.refused.remove(uid);
    }
}

fn needs(pod: &Pod) -> Result<Needs, ParseError> {
    Needs::of_json(&serde_json::to_vec(pod)?)
}

fn unreadable(error: &ParseError) -> Rejection {
    Rejection { reason: "UnexpectedAdmissionError".into(), message: format!("Update plugin resources failed due to {error}, which is unexpected.") }
}

impl AllocationTable {
    fn learn(&mut self, revision: u64, info: NodeInfo) {
        if self.node.as_ref().is_none_or(|(known, _)| *known <= revision) {
            self.node = Some((revision, info));
        }
    }

    fn hold(&mut self, uid: &str, needs: Needs) {
        self.leave(uid);
        self.used.add(&needs);
        self.admitted.insert(uid.to_owned(), needs);
    }

    fn admit(&mut self, uid: &str, needs: Needs, pod: &Pod) -> Result<(), Rejection> {
        if let Some(why) = self.refused.get(uid) {
            return Err(why.clone());
        }
        if !self.admitted.contains_key(uid) {
            if let Some((_, node)) = &self.node {
                judge::judge(pod, &needs, node, &self.used)?;
            }
            self.hold(uid, needs);
        }
        Ok(())
    }

    fn resize(&mut self, uid: &str, needs: Needs) -> Result<(), (bool, String)> {
        let before = self.admitted.get(uid).cloned();
        if let Some((_, node)) = &self.node {
            let mut others = self.used.clone();
            if let Some(before) = &before {
                others.remove(before);
            }
            judge::resize(&needs, node, &others)?;
        }
        self.hold(uid, needs);
        Ok(())
    }

    fn leave(&mut self, uid: &str) -> bool {
        let needs = self.admitted.remove(uid);
        needs.iter().for_each(|needs| self.used.remove(needs));
        needs.is_some()
    }
}

/// Whether a pod no longer takes any of the node's resources: it has ended or is to end, and nothing of it runs or is being started.
pub fn has_left(pod: &Pod, seen: &Observed, now: Timestamp) -> bool {
    let begins = |s: &Slot| matches!(s, Slot::Start(_) | Slot::Sandbox | Slot::Volumes);
    Life::of(pod, seen, now) != Life::Lives && !seen.any_running() && !seen.busy.iter().any(begins)
}

/// Whether a pod was admitted before: the node has its sandbox or containers.
pub fn has_begun(seen: &Observed) -> bool {
    seen.sandbox.is_some() || seen.all().next().is_some()
}

#[cfg(test)]
mod tests;
