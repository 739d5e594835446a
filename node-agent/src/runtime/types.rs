//! Requests to a container runtime and its answers.
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use state_client::usage::ContainerSample;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use tokio::io::AsyncWrite;

/// A runtime's name and version, as `status.nodeInfo.containerRuntimeVersion` shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// `podman`.
    pub name: String,
    /// `4.3.1`.
    pub version: String,
}

/// Which pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PodRef {
    /// Its UID.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A sandbox to make.
#[derive(Clone, Debug, Default)]
pub struct SandboxSpec {
    /// For which pod.
    pub pod: PodRef,
    /// Whether the pod uses the node's network.
    pub host_network: bool,
    /// Whether the pod uses the node's IPC namespace.
    pub host_ipc: bool,
    /// Ports of the node that lead to it.
    pub ports: Vec<HostPort>,
    /// `net.*` and `kernel.*` settings of its namespaces.
    pub sysctls: Vec<(String, String)>,
}

/// A pod's network and namespaces, as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Differs each time that a pod's sandbox is made.
    pub id: String,
    /// The pod's address; none with the node's network.
    pub ip: Option<IpAddr>,
    /// Where its namespaces are held.
    pub namespaces: NamespacePaths,
    /// Ports of the node that lead to it.
    #[serde(default)]
    pub ports: Vec<HostPort>,
}

/// What a port is of. Whatever else a pod or a service says is none: it would be a part of nftables' script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// As objects write it: `TCP` where nothing is said.
    pub fn read(text: Option<&str>) -> Option<Self> {
        match text.unwrap_or("TCP") {
            "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            "SCTP" => Some(Self::Sctp),
            _ => None,
        }
    }

    /// As nftables names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// A port of the node that leads to one of a pod's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// Of which protocol.
    pub protocol: Protocol,
    /// At which of the node's addresses; none: at each.
    pub address: Option<Ipv4Addr>,
    /// The node's port.
    pub port: u16,
    /// The pod's port.
    pub target: u16,
}

/// Files that hold namespaces; none: the node's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespacePaths {
    /// Network.
    pub net: Option<PathBuf>,
    /// IPC.
    pub ipc: Option<PathBuf>,
}

/// A file or directory of the node shown in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// On the node.
    pub source: PathBuf,
    /// In the container.
    pub target: String,
    /// Whether it can't be written.
    pub read_only: bool,
    /// `private`, `rslave` (`HostToContainer`) or `rshared` (`Bidirectional`).
    pub propagation: &'static str,
}

/// What a container may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// cgroup v1 `cpu.shares`; Podman converts for v2.
    pub cpu_shares: Option<u64>,
    /// Microseconds of CPU in each 100 ms.
    pub cpu_quota: Option<i64>,
    /// Bytes.
    pub memory: Option<i64>,
    /// `/proc/<pid>/oom_score_adj`.
    pub oom_score_adj: Option<i64>,
}

/// A container to create.
#[derive(Clone, Debug, Default)]
pub struct ContainerSpec {
    /// Of which pod.
    pub pod: PodRef,
    /// Its name in the pod.
    pub name: String,
    /// Which run of it, from 0.
    pub attempt: u32,
    /// Hash of its definition: another one means that it must be replaced.
    pub hash: String,
    /// The id of the sandbox it joins.
    pub sandbox: String,
    /// The sandbox's namespaces.
    pub namespaces: NamespacePaths,
    /// The image's id.
    pub image: String,
    /// The image's name, as the pod's status shows it.
    pub image_name: String,
    /// The image's digest, as the pod's status shows it.
    pub image_reference: String,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's arguments.
    pub args: Option<Vec<String>>,
    /// Environment, in order; later ones win.
    pub env: Vec<(String, String)>,
    /// Replaces the image's working directory.
    pub work_dir: Option<String>,
    /// `uid[:gid]`, replaces the image's user.
    pub user: Option<String>,
    /// Supplementary groups.
    pub groups: Vec<String>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// Whose files are mounted, read-only.
    pub images: Vec<ImageMount>,
    /// Where its log goes.
    pub log: PathBuf,
    /// Whether stdin is kept open.
    pub stdin: bool,
    /// Whether the end of the first client's stdin is the end of the container's.
    pub stdin_once: bool,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Seconds that it gets to end when nobody says otherwise.
    pub grace: i64,
    /// What it may use.
    pub limits: Limits,
    /// Everything allowed.
    pub privileged: bool,
    /// Capabilities added to the default set.
    pub cap_add: Vec<String>,
    /// Capabilities taken from the default set.
    pub cap_drop: Vec<String>,
    /// `allowPrivilegeEscalation: false`.
    pub no_new_privileges: bool,
    /// Whether its root can't be written.
    pub read_only_root: bool,
    /// Path of a seccomp profile, or `None` for no filter (Kubernetes' default).
    pub seccomp: Seccomp,
    /// Parts of its SELinux label that are asked for, as Podman has them: `level:s0:c1,c2`. Where the machine has no SELinux they mean nothing.
    pub selinux: Vec<String>,
    /// The namespace of another container, whose processes it sees.
    pub processes: Option<PathBuf>,
    /// Whether it sees the node's processes.
    pub host_pid: bool,
    /// Whether it sees the node's host name.
    pub host_uts: bool,
    /// Its host name.
    pub hostname: String,
    /// Settings of namespaces that are the container's own.
    pub sysctls: Vec<(String, String)>,
}

/// An image whose files a container sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageMount {
    /// The image, which is present.
    pub image: String,
    /// Where the container sees it.
    pub target: String,
}

/// Which system calls are filtered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// None: Kubernetes' default.
    #[default]
    Unconfined,
    /// The runtime's own profile.
    RuntimeDefault,
    /// A profile in a file.
    File(PathBuf),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code; 128 plus the signal when killed.
    pub code: i32,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Timestamp,
    /// Whether the kernel killed it for its memory.
    pub oom: bool,
    /// The runtime's words where it could not be started.
    pub error: String,
}

/// Where a container is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Not started yet.
    Created,
    /// Runs since then.
    Running(Timestamp),
    /// Has ended.
    Exited(Exit),
}

/// A container as the runtime knows it: what its labels say, and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The runtime's id.
    pub id: String,
    /// Of which pod.
    pub pod: PodRef,
    /// Its name in the pod.
    pub name: String,
    /// Which run, from 0.
    pub attempt: u32,
    /// Hash of the definition it was made from.
    pub hash: String,
    /// The sandbox it was made for.
    pub sandbox: String,
    /// The image's name.
    pub image: String,
    /// The image's id or digest.
    pub image_id: String,
    /// Its state.
    pub state: RunState,
}

/// What a running container has used, and uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUse {
    /// The UID of its pod.
    pub pod: String,
    /// What it uses.
    pub sample: ContainerSample,
}

/// An image that is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// What `status.containerStatuses[].imageID` shows: `repo@sha256:…`, or the id of an image without a repository.
    pub reference: String,
    /// Its names, tags and digests.
    pub names: Vec<String>,
    /// Bytes.
    pub size: i64,
    /// The user it runs as.
    pub user: String,
}

/// A registry's credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullSecret {
    /// User.
    pub username: String,
    /// Password or token.
    pub password: String,
}

/// A command to run in a container.
#[derive(Clone, Debug, Default)]
pub struct ExecSpec {
    /// The command; empty to attach.
    pub command: Vec<String>,
    /// Whether stdin is passed.
    pub stdin: bool,
    /// Whether stdout is wanted.
    pub stdout: bool,
    /// Whether stderr is wanted.
    pub stderr: bool,
    /// Whether there is a terminal.
    pub tty: bool,
}

/// A piece of what a command prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// From stdout, or from a terminal.
    Stdout(Bytes),
    /// From stderr.
    Stderr(Bytes),
}

/// A running command's ends.
pub struct Session {
    /// For resizing and for the exit code.
    pub id: String,
    /// Its stdin. Shutting it down is the end of stdin.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it prints.
    pub output: BoxStream<'static, std::io::Result<Output>>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A container began to run.
    Started,
    /// A container has ended.
    Ended,
    /// A container is gone.
    Removed,
}

/// A container's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which container.
    pub id: String,
    /// Of which pod.
    pub uid: String,
    /// What happened.
    pub kind: EventKind,
}
