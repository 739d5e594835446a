//! The pod network of one node: a bridge, and for each pod a veth pair and an address from the node's range.
//!
//! The network and IPC namespaces of a pod are held by files (`<pods>/<uid>/ns/*`) and by no process. So they outlive the agent, and a container that restarts
//! finds the same address.
mod error;
mod ipam;
mod namespace;
mod record;
mod table;
mod wire;

use crate::component::Component;
use crate::runtime::{Sandbox, SandboxSpec};
pub use error::NetError;
use error::kernel;
use ipam::Ipam;
pub use ipnet::Ipv4Net;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tokio::net::TcpStream;

/// Takes the node's bridge, its masquerading and the mounts below its pods' directory away; its pods' networks must be gone.
///
/// # Errors
/// What the kernel says, with the step.
pub async fn clear(bridge: &str, pods: &std::path::Path) -> Result<(), NetError> {
    namespace::unmount_all(pods)?;
    wire::disconnect(bridge).await?;
    let table = format!("whalesong-{bridge}");
    Ok(crate::nft::apply(&format!("table ip {table} {{}}\ndelete table ip {table}\n")).await?)
}

/// What the network is made with.
#[derive(Clone, Debug)]
pub struct NetOptions {
    /// The bridge's name.
    pub bridge: String,
    /// The node's range; its first address is the bridge's.
    pub pod_cidr: Ipv4Net,
    /// Directory of the pods.
    pub pods: PathBuf,
}

/// The node's network.
pub struct Network {
    options: NetOptions,
    bridge: u32,
    gateway: Ipv4Addr,
    ipam: Mutex<Ipam>,
    /// Held while the table is made anew: the last one has all.
    table: tokio::sync::Mutex<()>,
}

impl Network {
    /// Makes the bridge (or takes it over), lets the node forward, masquerades what leaves the node, and takes note of addresses in use.
    ///
    /// # Errors
    /// What the kernel says, with the step.
    pub async fn open(options: NetOptions) -> Result<Self, NetError> {
        std::fs::create_dir_all(&options.pods).map_err(kernel("making the pods' directory"))?;
        // What containers leave there may be set-user-id: nobody of the node's users is to get at it.
        std::fs::set_permissions(&options.pods, std::fs::Permissions::from_mode(0o700)).map_err(kernel("closing the pods' directory"))?;
        namespace::share(&options.pods)?;
        let gateway = options.pod_cidr.hosts().next().unwrap_or(options.pod_cidr.addr());
        let bridge = wire::bridge(&options.bridge, gateway, options.pod_cidr.prefix_len()).await?;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").map_err(kernel("letting the node forward packets"))?;
        // Packets between pods come in and go out by the bridge: nobody is to be told of a shorter way.
        let redirects = format!("/proc/sys/net/ipv4/conf/{}/send_redirects", options.bridge);
        std::fs::write(redirects, "0").map_err(kernel("silencing redirects"))?;
        let sandboxes = record::all(&options.pods);
        crate::nft::apply(&table::script(options.pod_cidr, &options.bridge, &sandboxes)).await?;
        // Ports of the node are reached by its loopback addresses too. Not before the table's guard is there.
        let loopback = format!("/proc/sys/net/ipv4/conf/{}/route_localnet", options.bridge);
        std::fs::write(loopback, "1").map_err(kernel("letting loopback addresses reach pods"))?;
        let mut ipam = Ipam::new(options.pod_cidr);
        for sandbox in sandboxes {
            if let Some(IpAddr::V4(ip)) = sandbox.ip {
                ipam.take(ip);
            }
        }
        Ok(Self { options, bridge, gateway, ipam: Mutex::new(ipam), table: tokio::sync::Mutex::default() })
    }

    fn ipam(&self) -> std::sync::MutexGuard<'_, Ipam> {
        self.ipam.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dir(&self, uid: &str) -> PathBuf {
        self.options.pods.join(Component::of(uid))
    }

    /// Makes a pod's namespaces and wires them.
    ///
    /// # Errors
    /// What the kernel says, with the step. Nothing is left behind.
    pub async fn create(&self, spec: &SandboxSpec) -> Result<Sandbox, NetError> {
        let uid = &spec.pod.uid;
        let before = record::read(&self.dir(uid)).and_then(|s| s.ip);
        self.remove(uid).await?;
        if !spec.ports.is_empty()
            && let Some(port) = table::conflict(&spec.ports, &record::all(&self.options.pods))
        {
            return Err(NetError::PortTaken(port));
        }
        let dir = self.dir(uid).join("ns");
        std::fs::create_dir_all(&dir).map_err(kernel("making the sandbox's directory"))?;
        let mut sandbox = Sandbox { id: uuid::Uuid::new_v4().simple().to_string(), ..Sandbox::default() };
        let wanted = record::held(&self.dir(uid), !spec.host_network, !spec.host_ipc);
        let (paths, sysctls) = (wanted.clone(), spec.sysctls.clone());
        // The kernel may be busy taking other namespaces away, and makes this wait.
        let held = tokio::task::spawn_blocking(move || namespace::hold(&paths, &sysctls)).await;
        held.map_err(|e| kernel("making namespaces")(std::io::Error::other(e)))??;
        sandbox.namespaces = wanted;
        sandbox.ports.clone_from(&spec.ports);
        if let Some(net) = &sandbox.namespaces.net {
            // After the machine started anew a pod is found where it was.
            let again = if let Some(IpAddr::V4(ip)) = before { self.ipam().again(ip) } else { None };
            let ip = again.or_else(|| self.ipam().next()).ok_or(NetError::Exhausted(self.options.pod_cidr))?;
            sandbox.ip = Some(ip.into());
            // On disk before it is wired: whoever finds it can clean up.
            record::write(&self.dir(uid), &sandbox)?;
            let port = wire::Port { bridge: self.bridge, name: wire::port_name(uid), address: ip, gateway: self.gateway };
            if let Err(e) = wire::connect(&port, net).await {
                self.remove(uid).await?;
                return Err(e);
            }
            self.lead(&sandbox).await?;
        } else {
            record::write(&self.dir(uid), &sandbox)?;
        }
        Ok(sandbox)
    }

    /// The pod's sandbox, if its namespaces are still held (they aren't after a reboot).
    pub fn find(&self, uid: &str) -> Option<Sandbox> {
        let sandbox = record::read(&self.dir(uid))?;
        let intact = [&sandbox.namespaces.net, &sandbox.namespaces.ipc].into_iter().flatten().all(|path| namespace::is_held(path));
        intact.then_some(sandbox)
    }

    /// Takes a pod's network and namespaces away, and frees its address.
    ///
    /// # Errors
    /// What the kernel says, with the step.
    pub async fn remove(&self, uid: &str) -> Result<(), NetError> {
        let Some(sandbox) = record::read(&self.dir(uid)) else { return Ok(()) };
        if let Some(IpAddr::V4(ip)) = sandbox.ip {
            wire::disconnect(&wire::port_name(uid)).await?;
            self.ipam().free(ip);
        }
        namespace::release(&sandbox.namespaces)?;
        record::remove(&self.dir(uid))?;
        self.lead(&sandbox).await
    }

    /// After a sandbox came or went: the node's ports lead to what is there now.
    async fn lead(&self, changed: &Sandbox) -> Result<(), NetError> {
        if changed.ports.is_empty() {
            return Ok(());
        }
        let _turn = self.table.lock().await;
        Ok(crate::nft::apply(&table::script(self.options.pod_cidr, &self.options.bridge, &record::all(&self.options.pods))).await?)
    }

    /// Connects to a port from inside of the pod's network, so that listeners on its loopback are reached too.
    ///
    /// # Errors
    /// [`NetError::NoSandbox`], or what connecting says.
    pub async fn connect(&self, uid: &str, address: Option<IpAddr>, port: u16) -> Result<TcpStream, NetError> {
        let sandbox = self.find(uid).ok_or_else(|| NetError::NoSandbox(uid.to_owned()))?;
        namespace::connect(sandbox.namespaces.net, address, port).await
    }
}
