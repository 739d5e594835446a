//! The interface between the agent and a container runtime. Podman implements it, and so does a runtime that only simulates containers.
pub mod hollow;
pub mod image_name;
pub mod podman;
mod types;

pub use types::{
    Container, ContainerSpec, ContainerUse, Event, EventKind, ExecSpec, Exit, HostPort, Image, ImageMount, Limits, Mount, NamespacePaths, Output, PodRef,
    Protocol, PullSecret, RunState, Sandbox, SandboxSpec, Seccomp, Session, Version,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use model::Stored;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// Why the runtime didn't do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// There is no such container or image.
    #[error("{0}")]
    NotFound(String),
    /// The runtime refused or failed.
    #[error("{0}")]
    Refused(String),
    /// The runtime can't be reached.
    #[error("the container runtime cannot be reached: {0}")]
    Unreachable(String),
    /// The pod's network could not be made.
    #[error("{0}")]
    Network(String),
}

/// What a runtime's calls give.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, RuntimeError>>;

/// A container runtime. All calls are idempotent where that makes sense: removing what is gone succeeds.
pub trait Runtime: Send + Sync + 'static {
    /// Whether its containers read and write files of this machine, so that pods need volumes, environments and logs. A runtime that simulates its
    /// containers says no.
    fn uses_files(&self) -> bool {
        true
    }
    /// What it is, for the node's status.
    fn version(&self) -> Answer<'_, Version>;

    /// Makes the pod's namespaces and its network.
    fn create_sandbox<'a>(&'a self, spec: &'a SandboxSpec) -> Answer<'a, Sandbox>;
    /// The pod's sandbox, if it exists and is intact.
    fn sandbox<'a>(&'a self, uid: &'a str) -> Answer<'a, Option<Sandbox>>;
    /// Takes the pod's network and namespaces away. Its containers must be gone.
    fn remove_sandbox<'a>(&'a self, uid: &'a str) -> Answer<'a, ()>;

    /// Creates a container and gives its id.
    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Answer<'a, String>;
    /// Starts a created container.
    fn start<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;
    /// Changes what a running container may use.
    fn limit<'a>(&'a self, id: &'a str, limits: &'a Limits) -> Answer<'a, ()>;
    /// Bytes of memory that a running container uses; nothing where it is only simulated.
    fn memory<'a>(&'a self, id: &'a str) -> Answer<'a, Option<i64>>;
    /// Asks a container to end with its stop signal, and kills it after `grace` (`None`: the one it was made with). Returns once it has ended.
    fn stop<'a>(&'a self, id: &'a str, grace: Option<Duration>) -> Answer<'a, ()>;
    /// Removes a container that has ended, with its anonymous volumes.
    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;
    /// Has a running container's log written to a new file where its log belongs: the one that was there has been renamed.
    fn reopen_log<'a>(&'a self, id: &'a str) -> Answer<'a, ()>;
    /// The namespace of a running container's processes, which stays as long as it is held; none where containers are only simulated.
    fn process_namespace<'a>(&'a self, id: &'a str) -> Answer<'a, Option<OwnedFd>>;
    /// One container's state.
    fn inspect<'a>(&'a self, id: &'a str) -> Answer<'a, Container>;
    /// The containers of one pod (by UID), or of all pods that this agent's runtime holds.
    fn list<'a>(&'a self, uid: Option<&'a str>) -> Answer<'a, Vec<Container>>;

    /// What the running containers of these pods use.
    fn usage<'a>(&'a self, pods: &'a [Arc<Stored>]) -> Answer<'a, Vec<ContainerUse>>;

    /// An image that is present, by any of its names.
    fn image<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Image>>;
    /// All images present.
    fn images(&self) -> Answer<'_, Vec<Image>>;
    /// Fetches an image from its registry.
    fn pull<'a>(&'a self, name: &'a str, secret: Option<&'a PullSecret>) -> Answer<'a, Image>;

    /// Runs a command in a running container.
    fn exec<'a>(&'a self, id: &'a str, spec: &'a ExecSpec) -> Answer<'a, Session>;
    /// The exit code of a command whose output has ended.
    fn exec_exit<'a>(&'a self, session: &'a str) -> Answer<'a, i32>;
    /// Connects to a container's own process.
    fn attach<'a>(&'a self, id: &'a str, spec: &'a ExecSpec) -> Answer<'a, Session>;
    /// Sets the size of a command's terminal, or (`attached`) of the container's.
    fn resize<'a>(&'a self, session: &'a str, attached: bool, width: u16, height: u16) -> Answer<'a, ()>;

    /// Starts and ends of containers as they happen. Ends when the runtime is lost: list, and ask again.
    fn events(&self) -> BoxStream<'static, Result<Event, RuntimeError>>;
    /// Opens a TCP connection to a port inside of the pod's network: at this address, or else at its loopback.
    fn connect<'a>(&'a self, uid: &'a str, address: Option<IpAddr>, port: u16) -> Answer<'a, tokio::net::TcpStream>;
}

/// Everything that a session prints, and its exit code: for hooks and probes. At most `limit` bytes are kept.
///
/// # Errors
/// When the session breaks before its end.
pub async fn collect(runtime: &dyn Runtime, session: Session, limit: usize) -> Result<(i32, Bytes), RuntimeError> {
    use futures::StreamExt;
    let Session { id, input, mut output } = session;
    drop(input);
    let mut kept = Vec::new();
    while let Some(chunk) = output.next().await {
        let (Output::Stdout(bytes) | Output::Stderr(bytes)) = chunk.map_err(|e| RuntimeError::Refused(e.to_string()))?;
        let room = limit.saturating_sub(kept.len());
        kept.extend(bytes.iter().take(room));
    }
    Ok((runtime.exec_exit(&id).await?, kept.into()))
}
