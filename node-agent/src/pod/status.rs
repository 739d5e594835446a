//! The pod's status, computed from what is there: phase, conditions, container states, in the kubelet's words.
use super::life::{Failure, Life, begun, init_failed, says_over, was_over};
use super::object::{RestartPolicy, as_container, ephemerals, full_name, inits, is_sidecar, policy_of, restart_policy, restarts, spec};
use super::observed::Observed;
use super::op::Slot;
use super::resize::PENDING;
use super::trouble::{TroubleKind, shown_until};
use crate::logs::beginning;
use crate::runtime::{Container, Exit, RunState};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{
    Container as Spec, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, HostIP, Pod, PodCondition,
    PodIP, PodStatus, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The condition of a pod that gets another size.
const RESIZE_IN_PROGRESS: &str = "PodResizeInProgress";
/// The most of all containers' termination messages together.
const MESSAGES_MAX: usize = 12 << 10;

/// Whether the cluster has what there is to say of a pod: the status that was computed last, or nothing.
pub fn is_reported(writing: bool, acknowledged: Option<&PodStatus>, last: Option<&PodStatus>) -> bool {
    !writing && acknowledged == last
}

/// What the agent knows of its node that shows in a pod's status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// The node's addresses, the preferred one first.
    pub addresses: Vec<String>,
}

/// The status; `None` when there is nothing to say: the pod ended before this agent began.
pub fn status(pod: &Pod, seen: &Observed, node: &NodeFacts, now: Timestamp) -> Option<PodStatus> {
    if seen.all().next().is_none() {
        if was_over(pod) {
            return None;
        }
        // its containers are removed: what was said of their end stays true
        if let Some(last) = seen.reported.as_ref().filter(|s| says_over(s)) {
            return Some(last.clone());
        }
    }
    let shown = Shown { pod, seen, now };
    let init_container_statuses: Vec<ContainerStatus> = inits(pod).iter().map(|c| shown.container(c)).collect();
    let container_statuses: Vec<ContainerStatus> = spec(pod).containers.iter().map(|c| shown.container(c)).collect();
    let ephemeral_container_statuses: Vec<ContainerStatus> = ephemerals(pod).iter().map(|c| shown.ephemeral(&as_container(c))).collect();
    // of what never ran here there is nothing to show
    let nothing = seen.rejected.is_some() && seen.all().next().is_none();
    let failure = match (Life::of(pod, seen, now), &seen.rejected) {
        (Life::Failing(Failure::DeadlineExceeded), _) => Some(("DeadlineExceeded", "Pod was active on the node longer than the specified deadline".to_owned())),
        (Life::Failing(Failure::Rejected), Some(why)) => Some((&*why.reason, format!("Pod was rejected: {}", why.message))),
        _ => None,
    };
    let computed = if failure.is_some() && !seen.any_running() { "Failed" } else { shown.phase(&init_container_statuses, &container_statuses) };
    // a pod that ended once has ended, whoever said so: a node that was away may find it failed, with its containers running
    let ended = seen.reported.iter().chain(&pod.status).find(|s| says_over(s));
    let phase = ended.and_then(|s| s.phase.as_deref()).filter(|_| !matches!(computed, "Succeeded" | "Failed")).unwrap_or(computed);
    let kept = |field: fn(&PodStatus) -> &Option<String>| ended.and_then(|s| field(s).clone());
    let ips = shown.ips(node);
    let mut status = PodStatus {
        phase: Some(phase.to_owned()),
        reason: failure.as_ref().map(|(reason, _)| (*reason).to_owned()).or_else(|| kept(|s| &s.reason)),
        message: failure.map(|(_, message)| message).or_else(|| kept(|s| &s.message)),
        start_time: seen.start_time.map(Time),
        host_ip: node.addresses.first().cloned(),
        host_ips: Some(node.addresses.iter().map(|ip| HostIP { ip: ip.clone() }).collect()),
        pod_ip: ips.first().cloned(),
        pod_ips: (!ips.is_empty()).then(|| ips.into_iter().map(|ip| PodIP { ip }).collect()),
        qos_class: pod.status.as_ref().and_then(|s| s.qos_class.clone()).or_else(|| Some(crate::resources::qos_class(pod).to_owned())),
        observed_generation: pod.metadata.generation,
        container_statuses: (!nothing).then_some(container_statuses),
        ephemeral_container_statuses: (!ephemeral_container_statuses.is_empty() && !nothing).then_some(ephemeral_container_statuses),
        init_container_statuses: (!init_container_statuses.is_empty() && !nothing).then_some(init_container_statuses),
        ..PodStatus::default()
    };
    status.conditions = Some(shown.conditions(&status));
    Some(status)
}

struct Shown<'a> {
    pod: &'a Pod,
    seen: &'a Observed,
    now: Timestamp,
}

impl Shown<'_> {
    fn ips(&self, node: &NodeFacts) -> Vec<String> {
        if spec(self.pod).host_network == Some(true) {
            return if self.seen.sandbox.is_some() { node.addresses.clone() } else { Vec::new() };
        }
        match self.seen.sandbox.as_ref().and_then(|s| s.ip) {
            Some(ip) => vec![ip.to_string()],
            // The address of a pod that has ended stays visible.
            None => self.before().and_then(|s| s.pod_ips.as_ref()).into_iter().flatten().map(|ip| ip.ip.clone()).collect(),
        }
    }

    fn before(&self) -> Option<&PodStatus> {
        self.seen.reported.as_ref().or(self.pod.status.as_ref())
    }

    fn container(&self, c: &Spec) -> ContainerStatus {
        let newest = self.seen.newest(&c.name);
        let previous = newest.and_then(|n| self.seen.runs.get(&c.name)?.iter().rev().find(|r| r.attempt < n.attempt));
        let (state, last) = self.states(c, newest, previous);
        let running = newest.is_some_and(|r| matches!(r.state, RunState::Running(_)));
        let ended_well = newest.is_some_and(|r| matches!(&r.state, RunState::Exited(e) if e.code == 0));
        let init = inits(self.pod).iter().any(|i| i.name == c.name) && !is_sidecar(c);
        ContainerStatus {
            name: c.name.clone(),
            image: newest.map_or_else(
                || c.image.clone().unwrap_or_default(),
                |r| if r.image.is_empty() { c.image.clone().unwrap_or_default() } else { r.image.clone() },
            ),
            image_id: newest.map(|r| r.image_id.clone()).unwrap_or_default(),
            container_id: newest.map(|r| format!("podman://{}", r.id)),
            ready: if init { ended_well } else { self.seen.ready(c) },
            started: Some(if init { running } else { self.seen.started(c) }),
            restart_count: newest.map_or(0, |r| i32::try_from(r.attempt).unwrap_or(i32::MAX)),
            state: Some(state),
            last_state: Some(last.unwrap_or_default()),
            resources: Some(self.size(c, newest)),
            allocated_resources: c.resources.as_ref().and_then(|r| r.requests.clone()),
            ..ContainerStatus::default()
        }
    }

    /// An ephemeral container is never ready, and its start is nobody's concern.
    fn ephemeral(&self, c: &Spec) -> ContainerStatus {
        if let (None, Some(before)) = (self.seen.newest(&c.name), begun(self.pod, self.seen, &c.name)) {
            return lost(before);
        }
        ContainerStatus { ready: false, started: None, resources: None, ..self.container(c) }
    }

    /// What a run has; of a container that doesn't run what it is to get.
    fn size(&self, c: &Spec, run: Option<&Container>) -> ResourceRequirements {
        let running = run.filter(|r| matches!(r.state, RunState::Running(_)));
        let has = running.and_then(|r| self.seen.sizes.get(&(r.name.clone(), r.attempt)));
        has.or(c.resources.as_ref()).cloned().unwrap_or_default()
    }

    /// How far a change of the pod's size is: nothing where it has the size that is wanted.
    fn resizes(&self) -> Vec<PodCondition> {
        if Life::of(self.pod, self.seen, self.now) != Life::Lives {
            return Vec::new();
        }
        let pending = self
            .seen
            .pending
            .as_ref()
            .map(|why| PodCondition { observed_generation: why.generation, ..self.condition(PENDING, (true, why.reason().to_owned(), why.message.clone())) });
        let mut changing = self.seen.resizing(self.pod).peekable();
        let progress = changing.peek().is_some().then(|| {
            let trouble = changing.find_map(|c| self.seen.troubles.get(&Slot::Resize(c.name.clone())));
            let (reason, message) = trouble.map(|t| ("Error".to_owned(), t.message.clone())).unwrap_or_default();
            self.condition(RESIZE_IN_PROGRESS, (true, reason, message))
        });
        pending.into_iter().chain(progress).collect()
    }

    fn states(&self, c: &Spec, newest: Option<&Container>, previous: Option<&Container>) -> (ContainerState, Option<ContainerState>) {
        let ended = |run: Option<&Container>| run.and_then(|r| self.terminated(r));
        let Some(run) = newest else { return (waiting(self.why_waiting(c)), None) };
        match &run.state {
            RunState::Running(since) => {
                let running = ContainerState { running: Some(ContainerStateRunning { started_at: Some(Time(*since)) }), ..ContainerState::default() };
                (running, ended(previous))
            }
            RunState::Created => (waiting(self.why_waiting(c)), ended(previous)),
            RunState::Exited(exit) => match self.why_restarting(c, exit) {
                Some(why) => (waiting(why), ended(newest)),
                None => (ended(newest).unwrap_or_default(), ended(previous)),
            },
        }
    }

    fn terminated(&self, run: &Container) -> Option<ContainerState> {
        let RunState::Exited(exit) = &run.state else { return None };
        let reason = match exit {
            Exit { oom: true, .. } => "OOMKilled",
            Exit { started: None, .. } => "StartError",
            Exit { code: 0, .. } => "Completed",
            _ => "Error",
        };
        let left = self.seen.messages.get(&run.id).filter(|m| !m.is_empty()).or(Some(&exit.error).filter(|e| !e.is_empty()));
        // All containers of a pod share the room.
        let room = MESSAGES_MAX / (spec(self.pod).containers.len() + inits(self.pod).len() + ephemerals(self.pod).len()).max(1);
        let message = left.map(|text| beginning(text, room).to_owned());
        let terminated = ContainerStateTerminated {
            exit_code: exit.code,
            reason: Some(reason.to_owned()),
            message,
            started_at: exit.started.map(Time),
            finished_at: Some(Time(exit.finished)),
            container_id: Some(format!("podman://{}", run.id)),
            ..ContainerStateTerminated::default()
        };
        Some(ContainerState { terminated: Some(terminated), ..ContainerState::default() })
    }

    /// What a container that isn't running waits for, when no run of it is to be shown.
    fn why_waiting(&self, c: &Spec) -> (String, Option<String>) {
        self.trouble(c).unwrap_or_else(|| (if inits(self.pod).is_empty() { "ContainerCreating" } else { "PodInitializing" }.to_owned(), None))
    }

    /// What a container that ended waits for, when it is started again.
    fn why_restarting(&self, c: &Spec, exit: &Exit) -> Option<(String, Option<String>)> {
        if self.seen.busy.contains(&Slot::Start(c.name.clone())) {
            return None; // it is being started: nothing is waited for
        }
        if !restarts(policy_of(self.pod, &c.name), exit.code) || Life::of(self.pod, self.seen, self.now) != Life::Lives {
            return None;
        }
        if let Some(trouble) = self.trouble(c) {
            return Some(trouble);
        }
        let backoff = self.seen.backoffs.get(&c.name)?;
        let until = backoff.until(exit.finished)?;
        (until > self.now).then(|| {
            let message = format!("back-off {} restarting failed container={} pod={}", go_duration(backoff.delay), c.name, full_name(self.pod));
            ("CrashLoopBackOff".to_owned(), Some(message))
        })
    }

    fn trouble(&self, c: &Spec) -> Option<(String, Option<String>)> {
        let trouble = self.seen.troubles.get(&Slot::Start(c.name.clone()))?;
        let image = c.image.as_deref().unwrap_or_default();
        Some(if trouble.kind == TroubleKind::ErrImagePull && shown_until(trouble, self.now).is_none() {
            ("ImagePullBackOff".to_owned(), Some(format!("Back-off pulling image \"{image}\": ErrImagePull: {}", trouble.message)))
        } else {
            (trouble.kind.reason().to_owned(), Some(trouble.message.clone()))
        })
    }

    /// See "Pod phase" in the Kubernetes documentation.
    fn phase(&self, inits_shown: &[ContainerStatus], shown: &[ContainerStatus]) -> &'static str {
        if inits(self.pod).iter().any(|c| init_failed(self.pod, self.seen, c)) && !self.seen.any_running() {
            return "Failed";
        }
        let state = |s: &ContainerStatus| s.state.clone().unwrap_or_default();
        let pending_init =
            inits(self.pod).iter().zip(inits_shown).any(|(c, s)| if is_sidecar(c) { s.restart_count == 0 && s.started != Some(true) } else { !s.ready });
        let has_run = |s: &ContainerStatus| s.last_state.as_ref().is_some_and(|l| l.terminated.is_some());
        let waiting = shown.iter().any(|s| state(s).waiting.is_some() && !has_run(s));
        let running = shown.iter().any(|s| state(s).running.is_some());
        if waiting || (pending_init && !running && !shown.iter().all(|s| state(s).terminated.is_some())) {
            return "Pending";
        }
        // what was ended to get another size goes on
        let outgrown = spec(self.pod).containers.iter().filter_map(|c| self.seen.newest(&c.name)).any(|run| self.seen.outgrown.contains(&run.id));
        if running || outgrown || shown.is_empty() {
            return "Running";
        }
        let all_well = shown.iter().all(|s| state(s).terminated.is_some_and(|t| t.exit_code == 0));
        let ends = self.seen.gone || self.pod.metadata.deletion_timestamp.is_some();
        let policy = if ends { RestartPolicy::Never } else { restart_policy(self.pod) };
        match policy {
            RestartPolicy::Always => "Running",
            _ if all_well => "Succeeded",
            RestartPolicy::Never => "Failed",
            RestartPolicy::OnFailure => "Running",
        }
    }

    fn conditions(&self, status: &PodStatus) -> Vec<PodCondition> {
        let phase = status.phase.as_deref().unwrap_or_default();
        let unready = |list: &Option<Vec<ContainerStatus>>, wanted: &dyn Fn(&ContainerStatus) -> bool| -> Vec<String> {
            list.iter().flatten().filter(|s| !wanted(s)).map(|s| s.name.clone()).collect()
        };
        let incomplete = unready(&status.init_container_statuses, &|s| s.ready || (self.sidecar(&s.name) && s.started == Some(true)));
        let mut not_ready = unready(&status.container_statuses, &|s| s.ready);
        not_ready.extend(unready(&status.init_container_statuses, &|s| !self.sidecar(&s.name) || s.ready));
        let sandbox = self.seen.sandbox.is_some() && self.seen.volumes;
        let containers = readiness(phase, &not_ready, "ContainersNotReady", "unready");
        let ready = if containers.0 { self.gates() } else { containers.clone() };
        let initialized = match phase {
            "Succeeded" => (true, "PodCompleted".to_owned(), String::new()),
            _ => readiness("", &incomplete, "ContainersNotInitialized", "incomplete"),
        };
        let ours = [
            ("PodReadyToStartContainers", (sandbox, String::new(), String::new())),
            ("Initialized", initialized),
            ("Ready", ready),
            ("ContainersReady", containers),
            ("PodScheduled", (true, String::new(), String::new())),
        ];
        let mut out: Vec<PodCondition> = ours.into_iter().map(|(type_, value)| self.condition(type_, value)).collect();
        let theirs = self.pod.status.iter().filter_map(|s| s.conditions.as_ref()).flatten();
        let own = |type_: &str| matches!(type_, PENDING | RESIZE_IN_PROGRESS);
        let foreign: Vec<PodCondition> = theirs.filter(|c| !own(&c.type_) && !out.iter().any(|o| o.type_ == c.type_)).cloned().collect();
        out.extend(self.resizes());
        out.extend(foreign);
        out
    }

    fn sidecar(&self, name: &str) -> bool {
        inits(self.pod).iter().any(|c| c.name == name && is_sidecar(c))
    }

    /// `spec.readinessGates`: conditions that others set.
    fn gates(&self) -> (bool, String, String) {
        let set = |type_: &str| {
            let conditions = self.pod.status.as_ref().and_then(|s| s.conditions.as_ref());
            conditions.is_some_and(|all| all.iter().any(|c| c.type_ == type_ && c.status == "True"))
        };
        let gates = spec(self.pod).readiness_gates.iter().flatten();
        let open: Vec<String> = gates
            .filter(|g| !set(&g.condition_type))
            .map(|g| format!("corresponding condition of pod readiness gate \"{}\" does not exist.", g.condition_type))
            .collect();
        if open.is_empty() { (true, String::new(), String::new()) } else { (false, "ReadinessGatesNotReady".to_owned(), open.join(", ")) }
    }

    fn condition(&self, type_: &str, (holds, reason, message): (bool, String, String)) -> PodCondition {
        let value = if holds { "True" } else { "False" };
        let before = self.before().and_then(|s| s.conditions.as_ref()).and_then(|all| all.iter().find(|c| c.type_ == type_));
        let since = before.filter(|c| c.status == value).and_then(|c| c.last_transition_time.clone());
        let text = |s: String| (!s.is_empty()).then_some(s);
        PodCondition {
            type_: type_.to_owned(),
            status: value.to_owned(),
            reason: text(reason),
            message: text(message),
            last_transition_time: since.or(Some(Time(self.now))),
            observed_generation: self.pod.metadata.generation,
            ..PodCondition::default()
        }
    }
}

/// What there is to say of a container that had begun and of which nothing is left.
fn lost(before: &ContainerStatus) -> ContainerStatus {
    if before.state.as_ref().is_some_and(|s| s.terminated.is_some()) {
        return before.clone();
    }
    let terminated = ContainerStateTerminated {
        exit_code: 137,
        reason: Some("ContainerStatusUnknown".to_owned()),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        ..ContainerStateTerminated::default()
    };
    ContainerStatus { state: Some(ContainerState { terminated: Some(terminated), ..ContainerState::default() }), ..before.clone() }
}

fn waiting((reason, message): (String, Option<String>)) -> ContainerState {
    ContainerState { waiting: Some(ContainerStateWaiting { reason: Some(reason), message }), ..ContainerState::default() }
}

fn readiness(phase: &str, missing: &[String], reason: &str, word: &str) -> (bool, String, String) {
    match phase {
        "Succeeded" => (false, "PodCompleted".to_owned(), String::new()),
        "Failed" => (false, "PodFailed".to_owned(), String::new()),
        _ if missing.is_empty() => (true, String::new(), String::new()),
        _ => (false, reason.to_owned(), format!("containers with {word} status: [{}]", missing.join(" "))),
    }
}

/// As Go prints a duration: `10s`, `1m20s`, `5m0s`.
pub fn go_duration(d: SignedDuration) -> String {
    let seconds = d.as_secs();
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}
