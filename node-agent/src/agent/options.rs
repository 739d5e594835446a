//! How an agent is run.
use crate::executor::Rotation;
use crate::net::Ipv4Net;
use crate::runtime::podman::service::Socket;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// How an agent is run.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The node's name.
    pub node_name: String,
    /// Which Podman.
    pub podman: Socket,
    /// Where the agent keeps what it must not forget.
    pub data_dir: PathBuf,
    /// The range of the pods' addresses.
    pub pod_cidr: Ipv4Net,
    /// The node's address; `None`: the one by which it reaches others.
    pub node_ip: Option<IpAddr>,
    /// Labels of the node beside the standard ones.
    pub labels: BTreeMap<String, String>,
    /// Name of the pods' bridge; differs for agents that share a network namespace.
    pub bridge: String,
    /// The cluster's DNS server, where there is one.
    pub cluster_dns: Option<IpAddr>,
    /// The cluster's DNS domain.
    pub cluster_domain: String,
    /// The most pods.
    pub max_pods: u32,
    /// How long containers' logs may become.
    pub logs: Rotation,
    /// Kernel settings that pods may have beside the safe ones, as `kernel.msg*` or `net.core.somaxconn`: the kubelet's `--allowed-unsafe-sysctls`.
    pub allowed_unsafe_sysctls: Vec<String>,
    /// Where the profiles are that pods name as `localhostProfile`.
    pub seccomp_profile_root: PathBuf,
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            node_name: "node".to_owned(),
            podman: Socket::Auto,
            data_dir: PathBuf::from("/var/lib/whalesong/node"),
            pod_cidr: Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 244, 0, 0), 24),
            node_ip: None,
            labels: BTreeMap::new(),
            bridge: "ws0".to_owned(),
            cluster_dns: None,
            cluster_domain: "cluster.local".to_owned(),
            max_pods: 110,
            logs: Rotation::default(),
            allowed_unsafe_sysctls: Vec::new(),
            seccomp_profile_root: PathBuf::from("/var/lib/kubelet/seccomp"),
        }
    }
}
