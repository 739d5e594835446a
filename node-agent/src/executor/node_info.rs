//! What the agent knows of its node.
use std::path::PathBuf;

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
