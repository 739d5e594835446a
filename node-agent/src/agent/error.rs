//! Why an agent can't run.
use crate::net::NetError;
use crate::runtime::RuntimeError;
use crate::runtime::podman::service::ServiceError;

/// Why an agent can't run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No Podman.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// No network for pods.
    #[error("the pods' network cannot be made: {0}")]
    Network(#[from] NetError),
    /// Podman doesn't say what is there.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The bus refuses the node's services.
    #[error(transparent)]
    Bus(#[from] bus::BusError),
    /// A kernel setting that pods can't be allowed.
    #[error("--allowed-unsafe-sysctls: {0}")]
    Sysctl(#[from] crate::sysctl::PatternError),
    /// No address.
    #[error("this machine has no address that others could reach: give one with --node-ip")]
    NoAddress,
}
