//! Why a pod has no network.
use ipnet::Ipv4Net;

/// Why a pod has no network.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// All addresses of the node's range are used.
    #[error("no address is left in {0}")]
    Exhausted(Ipv4Net),
    /// Another pod has a port of the node.
    #[error("host port {0} is another pod's")]
    PortTaken(String),
    /// The kernel refused.
    #[error("{step}: {source}")]
    Kernel {
        /// What was asked.
        step: &'static str,
        /// Its words.
        source: std::io::Error,
    },
    /// rtnetlink refused.
    #[error("{step}: {why}")]
    Netlink {
        /// What was asked.
        step: &'static str,
        /// Its words.
        why: String,
    },
    /// nft refused.
    #[error(transparent)]
    Nft(#[from] crate::nft::NftError),
    /// The pod has no sandbox.
    #[error("pod {0} has no network")]
    NoSandbox(String),
}

/// The kernel's refusal at a step.
pub fn kernel(step: &'static str) -> impl FnOnce(std::io::Error) -> NetError {
    move |source| NetError::Kernel { step, source }
}
