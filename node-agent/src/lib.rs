//! A node's agent: runs the node's pods with Podman and reports what happens to them; keeps services' addresses in nftables.
pub mod actor;
pub mod admission;
pub mod agent;
mod beneath;
mod component;
pub mod directories;
mod disk;
mod downward;
mod env;
pub mod executor;
pub mod hollow;
pub mod logs;
mod mounts;
pub mod net;
pub mod nft;
pub mod node;
mod objects;
pub mod pod;
pub mod proxy;
pub mod recorder;
mod remove;
pub mod reports;
mod resources;
pub mod runtime;
mod stream;
pub mod sysctl;
#[cfg(test)]
mod testing;
mod tls;
mod usage;
mod volumes;

pub use agent::{AgentError, AgentOptions, has_pods, run};
pub use executor::Rotation;
pub use remove::remove_all;
pub use runtime::podman::service::Socket;
