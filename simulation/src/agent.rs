//! A simulated node. The agent's decisions are the real functions; its containers, its disk and its timers are simulated.
use crate::directories::{self, Directories};
use crate::feed::Feed;
use crate::net::{Event, Net, Proc, Results};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use model::storage::{DIRECTORIES, DIRECTORY_NODE};
use model::{Key, Object, Stored};
use node_agent::pod::status::{NodeFacts, is_reported, status};
use node_agent::pod::sync::{PodOp, sync};
use node_agent::pod::{Observed, Trouble, TroubleKind, container, container_hash};
use node_agent::runtime::{Container, Exit, PodRef, RunState, Sandbox};
use rand::Rng;
use serde_json::{Value, json};
use state_client::{Body, Change, Options, PatchKind, Request, Verb};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const HEARTBEAT: SignedDuration = SignedDuration::from_secs(10);
/// After so long without a renewed lease the status is written anew, twice.
const DOUBTED: SignedDuration = SignedDuration::from_secs(20);
/// After so long the status is written anew, whatever it was.
const STATUS: SignedDuration = SignedDuration::from_mins(5);
const LEASES: (&str, &str, &str) = ("coordination.k8s.io", "leases", "kube-node-lease");

/// What is left of a node when its agent is killed: containers that run on, and the desired pods on its disk.
#[derive(Default)]
struct Machine {
    sandboxes: BTreeMap<String, Sandbox>,
    runs: BTreeMap<String, Container>,
    disk: BTreeMap<String, Arc<Stored>>,
    serial: u64,
}

/// One pod, as its actor has it.
struct Entry {
    stored: Arc<Stored>,
    pod: Arc<Pod>,
    seen: Observed,
    acknowledged: Option<PodStatus>,
    writing: bool,
    again: Option<Timestamp>,
}

enum AgentRequest {
    Status(String, Box<PodStatus>),
    Confirm(String, PodOp),
    Heartbeat { first: bool, told: bool },
}

/// One node.
pub struct Agent {
    index: usize,
    /// The node's name.
    pub name: String,
    /// Whether the agent runs.
    pub up: bool,
    /// How often it was started.
    pub epoch: u32,
    /// Its watches.
    pub feeds: Vec<Feed>,
    machine: Machine,
    pods: BTreeMap<String, Entry>,
    pending: BTreeMap<u64, AgentRequest>,
    wake: Option<Timestamp>,
    beat: Timestamp,
    registered: bool,
    renewed: Option<Timestamp>,
    reassure: u8,
    /// When its status was written last.
    told: Option<Timestamp>,
    /// The directories of volumes.
    pub directories: Directories,
}

fn merge(key: (&str, &str, &str), name: &str, subresource: &str, patch: &Value) -> Request {
    let request = Request::new(Verb::Patch, key.0, key.1, key.2, name).subresource(subresource);
    request.body(Body::Patch(PatchKind::Merge, patch.to_string().into()))
}

fn create(key: (&str, &str, &str), object: Value) -> Request {
    Request::new(Verb::Create, key.0, key.1, key.2, "").body(Body::Object(Box::new(Object::from_value(object).unwrap_or_default())))
}

impl Agent {
    /// A node that was never up.
    pub fn new(index: usize) -> Self {
        Self {
            index,
            name: format!("n{index}"),
            up: false,
            epoch: 0,
            feeds: Vec::new(),
            machine: Machine::default(),
            pods: BTreeMap::new(),
            pending: BTreeMap::new(),
            wake: None,
            beat: Timestamp::MIN,
            registered: false,
            renewed: None,
            reassure: 0,
            told: None,
            directories: Directories::default(),
        }
    }

    fn proc(&self) -> Proc {
        Proc::Agent(self.index)
    }

    /// The UIDs of pods of which something runs here.
    pub fn running(&self) -> BTreeSet<&str> {
        self.machine.runs.values().filter(|r| matches!(r.state, RunState::Running(_))).map(|r| r.pod.uid.as_str()).collect()
    }

    /// The containers that run here.
    pub fn containers(&self) -> Vec<String> {
        self.machine.runs.values().filter(|r| matches!(r.state, RunState::Running(_))).map(|r| r.id.clone()).collect()
    }

    /// Starts the agent: it takes over what is on the disk and what runs.
    pub fn start(&mut self, net: &mut Net) {
        if self.up {
            return;
        }
        (self.up, self.wake, self.beat, self.registered) = (true, None, net.now, false);
        let (name, own) = (self.name.clone(), self.name.clone());
        self.feeds = vec![
            Feed::new("", "pods", Some(Box::new(move |pod| pod.object().str_at(&["spec", "nodeName"]) == name))),
            Feed::new("", "persistentvolumes", Some(Box::new(move |volume| volume.object().label(DIRECTORY_NODE) == Some(own.as_str())))),
        ];
        let kept: BTreeSet<&String> = self.machine.disk.keys().collect();
        self.machine.runs.retain(|_, r| kept.contains(&r.pod.uid));
        self.machine.sandboxes.retain(|uid, _| kept.contains(uid));
        for stored in self.machine.disk.values().cloned().collect::<Vec<_>>() {
            self.adopt(net, stored);
        }
        self.go_on(net);
    }

    /// Kills the agent; the containers run on.
    pub fn stop(&mut self) {
        (self.up, self.epoch) = (false, self.epoch + 1);
        self.pods.clear();
        self.pending.clear();
        self.feeds.clear();
    }

    /// Pulls the plug: nothing runs any more.
    pub fn pull(&mut self, net: &Net) {
        self.machine.sandboxes.clear();
        self.machine.runs.values_mut().for_each(|r| end(r, 137, net.now));
    }

    fn adopt(&mut self, net: &Net, stored: Arc<Stored>) {
        let Ok(pod) = stored.typed::<Pod>() else { return };
        let uid = stored.object().uid().to_owned();
        let before = pod.status.as_ref().and_then(|s| s.start_time.as_ref()).map(|t| t.0);
        let mut seen = Observed { start_time: before.or(Some(net.now)), sandbox: self.machine.sandboxes.get(&uid).cloned(), ..Observed::default() };
        self.machine.runs.values().filter(|r| r.pod.uid == uid).for_each(|r| seen.put(r.clone()));
        self.pods.insert(uid, Entry { stored, pod, seen, acknowledged: None, writing: false, again: None });
    }

    /// The watch of the node's pods showed something.
    pub fn shown(&mut self, net: &mut Net, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Applied { old, new } => {
                    if let Some(old) = old.filter(|o| o.object().uid() != new.object().uid()) {
                        self.gone(old.object().uid());
                    }
                    self.applied(net, new);
                }
                Change::Deleted(last) => self.gone(last.object().uid()),
                Change::Synced => {
                    let present: BTreeSet<String> = self.feeds.iter().flat_map(Feed::objects).map(|o| o.object().uid().to_owned()).collect();
                    self.pods.iter_mut().filter(|(uid, _)| !present.contains(*uid)).for_each(|(_, e)| e.seen.gone = true);
                }
            }
        }
        self.go_on(net);
    }

    fn gone(&mut self, uid: &str) {
        if let Some(entry) = self.pods.get_mut(uid) {
            entry.seen.gone = true;
        }
    }

    fn applied(&mut self, net: &Net, new: Arc<Stored>) {
        let uid = new.object().uid().to_owned();
        self.machine.disk.insert(uid.clone(), new.clone());
        match self.pods.get_mut(&uid) {
            None => self.adopt(net, new),
            Some(entry) => entry.read(new),
        }
    }

    /// Replies came.
    pub fn replied(&mut self, net: &mut Net, id: u64, results: Results) {
        match self.pending.remove(&id) {
            Some(AgentRequest::Status(uid, status)) => {
                if let (Some(entry), Some(result)) = (self.pods.get_mut(&uid), results.into_iter().next()) {
                    entry.written(*status, result, net.now);
                }
            }
            Some(AgentRequest::Confirm(uid, op)) => {
                let confirmed = results.into_iter().all(|r| r.is_ok() || r.is_err_and(|e| e.is_not_found() || e.is_conflict()));
                if let Some(entry) = self.pods.get_mut(&uid) {
                    entry.seen.busy.remove(&op.slot());
                    if confirmed {
                        entry.seen.confirmed = true;
                    } else {
                        entry.fail(&op, net.now);
                    }
                }
            }
            Some(AgentRequest::Heartbeat { first, told }) => self.beaten(net, first, told, &results),
            None => {}
        }
        self.go_on(net);
    }

    fn beaten(&mut self, net: &Net, first: bool, told: bool, results: &Results) {
        let fine = |r: &Result<_, model::ApiError>| r.as_ref().map_or_else(|e| e.is_already_exists(), |_| true);
        let well = results.iter().skip(usize::from(first)).all(fine);
        if well {
            (self.registered, self.renewed) = (true, Some(net.now));
            if told {
                (self.reassure, self.told) = (self.reassure.saturating_sub(1), Some(net.now));
            }
        } else {
            self.registered &= !results.iter().any(|r| r.as_ref().is_err_and(model::ApiError::is_not_found));
            self.beat = self.beat.min(net.now.saturating_add(SignedDuration::from_millis(500)).unwrap_or(net.now));
        }
    }

    /// Registration at first, then the lease, and the status where somebody may have doubted the node.
    fn heartbeat(&mut self, net: &mut Net) {
        let first = !self.registered;
        if self.renewed.is_some_and(|at| net.now.duration_since(at) > DOUBTED) {
            self.reassure = 2;
        }
        let renew = json!({"spec": {"holderIdentity": self.name, "leaseDurationSeconds": 40, "renewTime": model::time::format_micro(net.now)}});
        let told = first || self.reassure > 0 || self.told.is_some_and(|at| net.now.duration_since(at) > STATUS);
        // the node's lease goes with the node: a node that was deleted registers anew
        let mut requests = vec![Request::new(Verb::Get, "", "nodes", "", &self.name)];
        if first {
            let metadata = json!({"name": self.name, "labels": {"kubernetes.io/hostname": self.name}, "annotations": {DIRECTORIES: directories::ROOT}});
            requests.push(create(("", "nodes", ""), json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata})));
            let mut lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self.name}});
            lease["spec"] = renew["spec"].clone();
            requests.push(create(LEASES, lease));
        }
        requests.push(merge(LEASES, &self.name, "", &renew));
        if told {
            let ready = json!({"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": model::time::format(net.now)});
            let amounts = json!({"cpu": "4", "memory": "8Gi", "pods": "110"});
            let status = json!({"status": {"conditions": [ready], "allocatable": amounts, "capacity": amounts}});
            requests.push(merge(("", "nodes", ""), &self.name, "status", &status));
        }
        self.beat = net.now.saturating_add(HEARTBEAT).unwrap_or(net.now);
        let id = net.send(self.proc(), self.epoch, requests);
        self.pending.insert(id, AgentRequest::Heartbeat { first, told });
    }

    /// Something is due.
    pub fn woken(&mut self, net: &mut Net) {
        self.wake = None;
        self.go_on(net);
    }

    fn go_on(&mut self, net: &mut Net) {
        if self.beat <= net.now {
            self.heartbeat(net);
        }
        let volumes = self.feeds.get(1).into_iter().flat_map(Feed::objects).cloned().collect();
        let (requests, again) = self.directories.settle(net, &self.name, volumes);
        if !requests.is_empty() {
            net.send(self.proc(), self.epoch, requests);
        }
        let mut due = again.into_iter().chain([self.beat]).min().unwrap_or(self.beat);
        let uids: Vec<String> = self.pods.keys().cloned().collect();
        for uid in uids {
            due = self.advance(net, &uid).into_iter().chain([due]).min().unwrap_or(due);
        }
        if self.wake.is_none_or(|wake| due < wake) {
            self.wake = Some(due);
            net.at(due, Event::Wake(self.proc(), self.epoch));
        }
    }

    /// Decides for one pod and begins what follows; when to look again.
    fn advance(&mut self, net: &mut Net, uid: &str) -> Option<Timestamp> {
        let facts = NodeFacts { addresses: vec![format!("10.0.0.{}", self.index)] };
        let (proc, epoch, index) = (self.proc(), self.epoch, self.index);
        let entry = self.pods.get_mut(uid)?;
        let plan = sync(&entry.pod, &entry.seen, net.now);
        if let Some((status, request)) = entry.report(uid, &facts, net.now) {
            let id = net.send(proc, epoch, vec![request]);
            self.pending.insert(id, AgentRequest::Status(uid.to_owned(), Box::new(status)));
        }
        let reported = entry.is_reported();
        for op in plan.ops.into_iter().filter(|op| *op != PodOp::Confirm || reported) {
            entry.seen.begins(&op, net.now);
            entry.seen.busy.insert(op.slot());
            if op == PodOp::Confirm {
                let options = Options { grace_period_seconds: Some(0), precondition_uid: uid.to_owned(), ..Options::default() };
                let request = Request::new(Verb::Delete, "", "pods", &entry.stored.key.namespace, &entry.stored.key.name);
                let id = net.send(proc, epoch, vec![Request { options, ..request }]);
                self.pending.insert(id, AgentRequest::Confirm(uid.to_owned(), op));
            } else {
                let takes = net.random.random_range(1..400);
                net.after(takes, Event::Done(index, epoch, uid.to_owned(), op));
            }
        }
        if entry.seen.released && (entry.seen.gone || entry.seen.confirmed) {
            self.pods.remove(uid);
            return None;
        }
        plan.wake.into_iter().chain(entry.again.filter(|at| *at > net.now)).min()
    }

    /// An op has ended.
    pub fn done(&mut self, net: &mut Net, uid: &str, op: &PodOp) {
        let Some(entry) = self.pods.get_mut(uid) else { return };
        entry.seen.busy.remove(&op.slot());
        if net.mishap(3) {
            entry.fail(op, net.now);
        } else {
            entry.seen.troubles.remove(&op.slot());
            let begun = self.machine.perform(entry, uid, op, net.now);
            let ends = entry.pod.spec.as_ref().and_then(|s| s.restart_policy.as_deref()).is_some_and(|policy| policy != "Always");
            if let Some(id) = begun.filter(|_| ends) {
                // a job's container: most succeed
                let (takes, code) = (net.random.random_range(100..20_000), if net.mishap(25) { net.random.random_range(1..4) } else { 0 });
                net.after(takes, Event::Exit(self.index, id, code));
            }
        }
        self.go_on(net);
    }

    /// A container ends by itself.
    pub fn exited(&mut self, net: &mut Net, id: &str, code: i32) {
        let Some(run) = self.machine.runs.get_mut(id).filter(|r| matches!(r.state, RunState::Running(_))) else { return };
        end(run, code, net.now);
        let run = run.clone();
        if let Some(entry) = self.pods.get_mut(&run.pod.uid) {
            entry.seen.stopping.remove(id);
            entry.seen.put(run);
        }
        if self.up {
            self.go_on(net);
        }
    }
}

fn end(run: &mut Container, code: i32, now: Timestamp) {
    if let RunState::Running(started) = run.state {
        run.state = RunState::Exited(Exit { code, started: Some(started), finished: now, oom: false, error: String::new() });
    }
}

impl Machine {
    /// Does something for a pod; the container that began with it.
    fn perform(&mut self, entry: &mut Entry, uid: &str, op: &PodOp, now: Timestamp) -> Option<String> {
        self.serial += 1;
        match op {
            PodOp::Volumes => entry.seen.volumes = true,
            PodOp::CreateSandbox => {
                let ip = format!("10.1.{}.{}", self.serial / 250 % 250, self.serial % 250).parse().ok();
                let sandbox = Sandbox { id: format!("s{}", self.serial), ip, ..Sandbox::default() };
                self.sandboxes.insert(uid.to_owned(), sandbox.clone());
                entry.seen.sandbox = Some(sandbox);
            }
            PodOp::Start { container: name, attempt } => {
                let run = self.run(entry, uid, name, *attempt, now)?;
                self.runs.insert(run.id.clone(), run.clone());
                entry.seen.put(run.clone());
                return Some(run.id);
            }
            PodOp::Stop { id, .. } | PodOp::Kill { id } => {
                entry.seen.stopping.remove(id);
                if let Some(run) = self.runs.get_mut(id) {
                    end(run, 0, now);
                    entry.seen.put(run.clone());
                }
            }
            PodOp::Remove { id } => {
                self.runs.remove(id);
                entry.seen.forget(id);
            }
            PodOp::RemoveSandbox => {
                self.sandboxes.remove(uid);
                entry.seen.sandbox = None;
            }
            PodOp::Release => {
                self.disk.remove(uid);
                entry.seen.released = true;
            }
            PodOp::Probe { .. } | PodOp::Resize { .. } | PodOp::Confirm => {}
        }
        None
    }

    fn run(&self, entry: &Entry, uid: &str, name: &str, attempt: u32, now: Timestamp) -> Option<Container> {
        let spec = container(&entry.pod, name)?;
        let Key { namespace, name: pod, .. } = &entry.stored.key;
        Some(Container {
            id: format!("c{}-{uid}", self.serial),
            pod: PodRef { uid: uid.to_owned(), namespace: namespace.to_string(), name: pod.to_string() },
            name: name.to_owned(),
            attempt,
            hash: container_hash(&spec),
            sandbox: entry.seen.sandbox.as_ref()?.id.clone(),
            image: spec.image.clone().unwrap_or_default(),
            image_id: "sha256:0".to_owned(),
            state: RunState::Running(now),
        })
    }
}

impl Entry {
    fn read(&mut self, new: Arc<Stored>) {
        if new.revision < self.stored.revision {
            return;
        }
        if let Ok(pod) = new.typed::<Pod>() {
            (self.stored, self.pod) = (new, pod);
        }
        // somebody else may have written the status: a node that was silent for too long
        let phase = |s: &Option<PodStatus>| s.as_ref().and_then(|s| s.phase.clone());
        let ready = |s: &Option<PodStatus>| -> Vec<(String, String)> {
            let list = s.as_ref().and_then(|s| s.conditions.as_ref()).into_iter().flatten();
            list.filter(|c| matches!(c.type_.as_str(), "Ready" | "ContainersReady" | "Initialized")).map(|c| (c.type_.clone(), c.status.clone())).collect()
        };
        if self.acknowledged.is_some()
            && !self.writing
            && (phase(&self.acknowledged), ready(&self.acknowledged)) != (phase(&self.pod.status), ready(&self.pod.status))
        {
            self.acknowledged = None;
        }
    }

    fn fail(&mut self, op: &PodOp, now: Timestamp) {
        let retry = now.saturating_add(SignedDuration::from_millis(500)).unwrap_or(now);
        if let PodOp::Stop { id, .. } = op {
            self.seen.stopping.remove(id);
        }
        let trouble = Trouble { kind: TroubleKind::Failed, message: "simulated".to_owned(), failures: 1, since: now, retry };
        self.seen.troubles.insert(op.slot(), trouble);
    }

    /// The status to be written, if it is another one than the cluster has.
    fn report(&mut self, uid: &str, facts: &NodeFacts, now: Timestamp) -> Option<(PodStatus, Request)> {
        let Some(status) = status(&self.pod, &self.seen, facts, now) else {
            self.acknowledged = self.seen.reported.clone();
            return None;
        };
        self.seen.reported = Some(status.clone());
        if self.seen.gone || self.writing || self.again.is_some_and(|at| at > now) || self.acknowledged.as_ref() == Some(&status) {
            return None;
        }
        self.writing = true;
        let patch = json!({"metadata": {"uid": uid}, "status": status});
        let request = merge(("", "pods", &self.stored.key.namespace), &self.stored.key.name, "status", &patch);
        Some((status, request))
    }

    fn written(&mut self, status: PodStatus, result: Result<state_client::Reply, model::ApiError>, now: Timestamp) {
        (self.writing, self.again) = (false, None);
        match result {
            Ok(state_client::Reply::Object { object, .. }) => {
                self.acknowledged = Some(status);
                self.read(object);
            }
            Ok(_) => self.acknowledged = Some(status),
            Err(e) if e.is_not_found() || e.is_conflict() => self.acknowledged = Some(status),
            Err(_) => self.again = now.saturating_add(SignedDuration::from_millis(400)).ok(),
        }
    }

    fn is_reported(&self) -> bool {
        is_reported(self.writing, self.acknowledged.as_ref(), self.seen.reported.as_ref())
    }
}
