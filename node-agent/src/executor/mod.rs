//! Where decisions become deeds: each [`Op`] of a plan, carried out once.
mod dial;
mod files;
mod grpc;
mod hook;
mod http;
mod image;
mod lookup;
mod mounts;
mod probe;
mod rotation;
mod spec;
mod start;
mod start_error;
mod stop;
mod sub_path;

pub use lookup::Lookups;
pub use rotation::{Rotation, log_files, rotate};

use crate::admission::Allocations;
use crate::component::Component;
use crate::downward::{DownwardSource, pod_ips};
use crate::objects::References;
use crate::pod::op::PodOp;
use crate::pod::probe::ProbeKind;
use crate::pod::{Observed, TroubleKind};
use crate::recorder::{Recorder, Subject};
use crate::reports::Reports;
use crate::runtime::{Container, HostPort, PodRef, Protocol, Runtime, RuntimeError, Sandbox, SandboxSpec};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerPort, Pod, PodSpec};
use model::Stored;
use state_client::{Client, Request, Verb};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the agent knows of its node.
#[derive(Clone, Debug, Default)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Its addresses, the preferred one first.
    pub addresses: Vec<String>,
    /// CPU that pods may use, in thousandths.
    pub cpu_milli: i64,
    /// Memory that pods may use, in bytes.
    pub memory: i64,
    /// The cluster's DNS server, for `dnsPolicy: ClusterFirst`.
    pub cluster_dns: Option<String>,
    /// The cluster's DNS domain.
    pub cluster_domain: String,
    /// Kernel settings that pods may have.
    pub sysctls: crate::sysctl::Allowlist,
    /// Where the profiles are that pods name as `localhostProfile`.
    pub seccomp: PathBuf,
}

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
    /// A directory a pod below this one.
    pub pods: PathBuf,
}

/// What came of an op.
#[derive(Debug)]
pub enum OpOutcome {
    /// Volumes are there, until when.
    Volumes(Option<Timestamp>),
    /// The sandbox, or that it is gone.
    Sandbox(Option<Sandbox>),
    /// A run as it is now.
    Run(Container),
    /// A run that is gone.
    Removed(String),
    /// A probe's result, and the container's words when it failed.
    Probed {
        /// Of which container.
        container: String,
        /// Which probe.
        kind: ProbeKind,
        /// Of which run.
        run: String,
        /// Why it failed.
        failure: Option<String>,
    },
    /// Nothing is left on the node.
    Released,
    /// The object is deleted.
    Confirmed,
    /// It was asked for and is under way.
    Done,
    /// It didn't work.
    Failed(TroubleKind, String),
}

/// A pod and what was known of it when an op began.
#[derive(Clone)]
pub struct OpContext {
    /// The pod.
    pub pod: Arc<Pod>,
    /// What was there.
    pub seen: Arc<Observed>,
    /// Cancelled when the pod is to end: pulls and waits are given up.
    pub ending: CancellationToken,
}

impl OpContext {
    /// Which pod.
    pub fn pod_ref(&self) -> PodRef {
        pod_ref(&self.pod)
    }
    /// As events name it.
    pub fn subject(&self) -> Subject {
        Subject::pod(&self.pod)
    }
}

/// How the runtime names a pod.
pub fn pod_ref(pod: &Pod) -> PodRef {
    let text = |s: &Option<String>| s.clone().unwrap_or_default();
    PodRef { uid: text(&pod.metadata.uid), namespace: text(&pod.metadata.namespace), name: text(&pod.metadata.name) }
}

/// A failure on the way of an op.
pub struct OpError(pub TroubleKind, pub String);

impl From<RuntimeError> for OpError {
    fn from(e: RuntimeError) -> Self {
        Self(TroubleKind::Failed, e.to_string())
    }
}

impl Executor {
    /// A pod's directory.
    pub fn dir(&self, uid: &str) -> PathBuf {
        self.pods.join(Component::of(uid))
    }

    /// Carries an op out.
    pub async fn perform(&self, job: &OpContext, op: &PodOp) -> OpOutcome {
        let done = match op {
            PodOp::Volumes => self.volumes(job).await,
            PodOp::CreateSandbox => self.create_sandbox(job).await,
            PodOp::Start { container, attempt } => start::start(self, job, container, *attempt).await,
            PodOp::Stop { container, id, grace, reason } => stop::stop(self, job, container, id, *grace, *reason).await,
            PodOp::Kill { id } => self.runtime.stop(id, Some(std::time::Duration::ZERO)).await.map(|()| OpOutcome::Done).map_err(OpError::from),
            PodOp::Remove { id } => self.remove(job, id).await,
            PodOp::Probe { container, kind, id } => Ok(probe::run(self, job, container, *kind, id).await),
            PodOp::RemoveSandbox => self.runtime.remove_sandbox(&job.pod_ref().uid).await.map(|()| OpOutcome::Sandbox(None)).map_err(OpError::from),
            PodOp::Release => self.release(&job.pod_ref().uid).await,
            PodOp::Confirm => self.confirm(&job.pod_ref()).await,
        };
        done.unwrap_or_else(|OpError(kind, why)| OpOutcome::Failed(kind, why))
    }

    async fn create_sandbox(&self, job: &OpContext) -> Result<OpOutcome, OpError> {
        let spec = crate::pod::spec(&job.pod);
        let sysctls = spec.security_context.as_ref().and_then(|c| c.sysctls.as_ref()).into_iter().flatten();
        let wanted = SandboxSpec {
            pod: job.pod_ref(),
            host_network: spec.host_network == Some(true),
            host_ipc: spec.host_ipc == Some(true),
            ports: host_ports(spec).map_err(|why| self.no_sandbox(job, &why))?,
            sysctls: sysctls.map(|s| (s.name.clone(), s.value.clone())).collect(),
        };
        let (made, ()) = futures::join!(self.runtime.create_sandbox(&wanted), image::look_ahead(self, spec));
        match made {
            Ok(sandbox) => Ok(OpOutcome::Sandbox(Some(sandbox))),
            Err(e) => Err(self.no_sandbox(job, &e.to_string())),
        }
    }

    fn no_sandbox(&self, job: &OpContext, why: &str) -> OpError {
        let message = format!("Failed to create pod sandbox: {why}");
        self.recorder.warning(&job.subject(), "FailedCreatePodSandBox", &message);
        OpError(TroubleKind::FailedCreatePodSandBox, message)
    }

    /// The runs of a pod, oldest first of each container.
    pub async fn runs(&self, uid: &str) -> Result<Vec<Container>, RuntimeError> {
        let runs = self.runtime.list(Some(uid)).await?;
        let dir = self.dir(uid);
        let recalled = |run| if self.runtime.uses_files() { start_error::recall(&dir, run) } else { run };
        Ok(runs.into_iter().map(recalled).collect())
    }

    /// The downward API's view of the pod.
    fn view<'a>(&'a self, job: &'a OpContext, ips: &'a [String]) -> DownwardSource<'a> {
        DownwardSource { pod: &job.pod, pod_ips: ips, host_ips: &self.node.addresses, allocatable: (self.node.cpu_milli, self.node.memory) }
    }

    fn pod_ips(&self, job: &OpContext) -> Vec<String> {
        pod_ips(&job.pod, &job.seen, &self.node.addresses)
    }

    async fn volumes(&self, job: &OpContext) -> Result<OpOutcome, OpError> {
        let mut refresh: Option<Timestamp> = None;
        if !self.runtime.uses_files() {
            return Ok(OpOutcome::Volumes(None));
        }
        let uid = job.pod_ref().uid;
        let failed = |why: String| OpError(TroubleKind::FailedMount, why);
        let objects = self.references.get(&uid, crate::volumes::references(&job.pod)).await.map_err(|e| failed(e.to_string()))?;
        let ips = self.pod_ips(job);
        let setup = crate::volumes::Setup { view: self.view(job, &ips), objects: &objects, client: &self.client, now: Timestamp::now() };
        let volumes = crate::pod::spec(&job.pod).volumes.as_deref().unwrap_or_default();
        crate::volumes::distinct(volumes).map_err(|e| failed(e.to_string()))?;
        for volume in volumes {
            match crate::volumes::set_up(&setup, &self.dir(&uid), volume).await {
                Ok(again) => refresh = [refresh, again].into_iter().flatten().min(),
                Err(e) => {
                    let message = format!("MountVolume.SetUp failed for volume \"{}\" : {e}", volume.name);
                    self.recorder.warning(&job.subject(), "FailedMount", &message);
                    return Err(failed(message));
                }
            }
        }
        Ok(OpOutcome::Volumes(refresh))
    }

    async fn remove(&self, job: &OpContext, id: &str) -> Result<OpOutcome, OpError> {
        self.runtime.remove(id).await?;
        if let Some(run) = job.seen.all().find(|r| r.id == id).filter(|_| self.runtime.uses_files()) {
            let dir = self.dir(&run.pod.uid);
            let logs = log_files(&log_path(&dir, &run.name, run.attempt));
            let others = [message_path, start_error::path].map(|path| path(&dir, &run.name, run.attempt));
            for path in logs.into_iter().chain(others) {
                if let Err(error) = tokio::fs::remove_file(&path).await {
                    tracing::debug!(path = %path.display(), %error, "a run left no such file");
                }
            }
        }
        Ok(OpOutcome::Removed(id.to_owned()))
    }

    async fn release(&self, uid: &str) -> Result<OpOutcome, OpError> {
        if !self.runtime.uses_files() {
            return Ok(OpOutcome::Released);
        }
        self.references.forget(uid);
        crate::volumes::release(self.dir(uid)).await.map_err(|e| OpError(TroubleKind::Failed, e.0))?;
        Ok(OpOutcome::Released)
    }

    async fn confirm(&self, pod: &PodRef) -> Result<OpOutcome, OpError> {
        let mut request = Request::new(Verb::Delete, "", "pods", &pod.namespace, &pod.name);
        request.options.grace_period_seconds = Some(0);
        request.options.precondition_uid = pod.uid.clone();
        match self.client.call(request).await {
            Ok(_) => Ok(OpOutcome::Confirmed),
            Err(e) if e.is_not_found() || e.is_conflict() => Ok(OpOutcome::Confirmed),
            Err(e) => Err(OpError(TroubleKind::Failed, e.to_string())),
        }
    }
}

/// Ports of the node that lead to the pod's containers. With the node's own network they are the containers' anyway. Pods have no IPv6, so that nothing
/// leads from an IPv6 address to them. An address that isn't understood never means all of them.
fn host_ports(spec: &PodSpec) -> Result<Vec<HostPort>, String> {
    if spec.host_network == Some(true) {
        return Ok(Vec::new());
    }
    let sidecars = spec.init_containers.iter().flatten().filter(|c| crate::pod::is_sidecar(c));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten());
    let of = |p: &ContainerPort| {
        let number = |n: i32| u16::try_from(n).ok().filter(|n| *n > 0);
        let numbers = (Protocol::read(p.protocol.as_deref()), p.host_port.and_then(number), number(p.container_port));
        let (Some(protocol), Some(port), Some(target)) = numbers else { return Ok(None) };
        let address = match p.host_ip.as_deref().filter(|ip| !ip.is_empty()).map(|ip| (ip, ip.parse::<IpAddr>())) {
            None => None,
            Some((_, Ok(ip))) => match ip.to_canonical() {
                IpAddr::V4(v4) => Some(v4).filter(|v4| !v4.is_unspecified()),
                IpAddr::V6(_) => return Ok(None),
            },
            Some((ip, Err(_))) => return Err(format!("invalid hostIP {ip:?} of host port {port}")),
        };
        Ok(Some(HostPort { protocol, address, port, target }))
    };
    ports.map(of).filter_map(Result::transpose).collect()
}

/// Where a run's log is.
pub fn log_path(pod_dir: &Path, container: &str, attempt: u32) -> PathBuf {
    pod_dir.join("logs").join(Component::of(container)).join(Component::of(&attempt.to_string()).with(".log"))
}

impl Executor {
    /// For each container of a pod that was begun here the number after the newest one's. A runtime may forget its containers when the machine starts anew; a
    /// restart counts nevertheless.
    pub fn attempts(&self, uid: &str) -> BTreeMap<String, u32> {
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
        let dir = self.dir(uid);
        for folder in [dir.join("logs"), dir.join("messages")] {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if let (Some(name), Some(next)) = (Component::name(&entry.file_name()), next(&entry.path())) {
                    let attempt = attempts.entry(name).or_insert(next);
                    *attempt = next.max(*attempt);
                }
            }
        }
        attempts
    }
}

/// Where a run's termination message is.
pub fn message_path(pod_dir: &Path, container: &str, attempt: u32) -> PathBuf {
    pod_dir.join("messages").join(Component::of(container)).join(Component::of(&attempt.to_string()))
}

/// The most of a termination message that is shown: its end.
const MESSAGE_MAX: u64 = 4096;
/// What is read of a log for its last words: a runtime writes pieces of 8 KiB at most.
const LOG_END: u64 = 64 << 10;
/// The most of a log that stands in for one: bytes and lines.
const FALLBACK: (usize, usize) = (2048, 80);

impl Executor {
    /// What a run that has ended left in its termination message, or at the end of its log where its policy says so.
    pub async fn final_message(&self, pod: &Pod, run: &Container) -> Option<String> {
        let crate::runtime::RunState::Exited(exit) = &run.state else { return None };
        if !self.runtime.uses_files() {
            return None;
        }
        let dir = self.dir(&run.pod.uid);
        let policy = crate::pod::container(pod, &run.name).and_then(|c| c.termination_message_policy.as_deref());
        let from_log = policy == Some("FallbackToLogsOnError") && exit.code != 0;
        let (message, log) = (message_path(&dir, &run.name, run.attempt), log_path(&dir, &run.name, run.attempt));
        let read = tokio::task::spawn_blocking(move || left_message(&message).or_else(|| from_log.then(|| last_words(&log)).flatten())).await;
        read.unwrap_or_default()
    }
}

/// The end of the file that a container may write anything to.
fn left_message(path: &Path) -> Option<String> {
    let (bytes, _) = crate::beneath::read_end(path, MESSAGE_MAX).ok()?;
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// The end of a log, of which no more is read than the words that are wanted can be in.
fn last_words(live: &Path) -> Option<String> {
    // The newest file may have been begun just before.
    let files = log_files(live);
    let mut log = Vec::new();
    for path in files.iter().skip(files.len().saturating_sub(2)) {
        let (bytes, cut) = crate::beneath::read_end(path, LOG_END).ok()?;
        let whole = if cut { bytes.iter().position(|b| *b == b'\n').and_then(|at| bytes.get(at + 1..)).unwrap_or_default() } else { &bytes };
        log.extend_from_slice(whole);
    }
    Some(crate::logs::last_words(&log, FALLBACK.0, FALLBACK.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_container_left_the_end_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("message");
        assert_eq!(left_message(&path), None);
        std::fs::write(&path, "").unwrap();
        assert_eq!(left_message(&path), None);
        std::fs::write(&path, format!("{}end", "x".repeat(5000))).unwrap();
        assert_eq!(left_message(&path).unwrap(), format!("{}end", "x".repeat(4093)));
        std::fs::File::create(&path).unwrap().set_len(100 << 30).unwrap();
        assert_eq!(left_message(&path).unwrap().len(), 4096);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert_eq!(left_message(&path), None);
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(left_message(&path), None);
    }

    #[test]
    fn last_words_are_read_from_the_end_of_a_log_of_any_length() {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("0.log");
        let line = |i: u32| format!("2026-01-01T00:00:00Z stdout F {i} line\n");
        std::fs::write(dir.path().join("0.log.1"), (0..100_000).map(line).collect::<String>()).unwrap();
        std::fs::write(&live, (100_000..100_010).map(line).collect::<String>()).unwrap();
        let want: String = (99_930..100_010).map(|i| format!("{i} line\n")).collect();
        assert_eq!(last_words(&live).unwrap(), want);
        std::fs::write(&live, "x".repeat(1 << 20)).unwrap();
        assert!(last_words(&live).unwrap().ends_with("99999 line\n"), "what is no line is nothing");
    }

    #[test]
    fn ports_are_of_known_protocols() {
        let port = |protocol: &str| serde_json::json!({"containerPort": 80, "hostPort": 80, "protocol": protocol});
        let hostile = "tcp . 1 : 1.1.1.1 . 1 } } include \"/etc/shadow\"";
        let spec = serde_json::json!({"containers": [{"name": "c", "ports": [port("TCP"), port(hostile), port("SCTP")]}]});
        let got: Vec<&str> = host_ports(&serde_json::from_value(spec).unwrap()).unwrap().iter().map(|p| p.protocol.name()).collect();
        assert_eq!(got, ["tcp", "sctp"]);
    }

    #[test]
    fn a_host_port_is_open_where_it_was_asked_for_and_nowhere_else() {
        let of = |ip: &str| {
            let spec = serde_json::json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80, "hostIP": ip}]}]});
            host_ports(&serde_json::from_value(spec).unwrap())
                .map(|ports| ports.iter().map(|p| p.address.map_or("any".to_owned(), |a| a.to_string())).collect::<Vec<_>>())
        };
        let rows = [("", "any"), ("0.0.0.0", "any"), ("127.0.0.1", "127.0.0.1"), ("::ffff:127.0.0.1", "127.0.0.1"), ("::ffff:0.0.0.0", "any")];
        rows.iter().for_each(|(ip, want)| assert_eq!(of(ip).unwrap(), [*want], "{ip}"));
        ["::1", "::", "fd00::1"].iter().for_each(|ip| assert!(of(ip).unwrap().is_empty(), "{ip}"));
        ["127.0.0.01", "foo", "1.2.3"].iter().for_each(|ip| assert_eq!(of(ip).unwrap_err(), format!("invalid hostIP {ip:?} of host port 80")));
    }
}
