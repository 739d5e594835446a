//! Links, addresses and routes, through rtnetlink.
use super::error::{NetError, kernel};
use super::namespace;
use futures::TryStreamExt;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth};
use rtnetlink::packet_route::route::RouteScope;
use rtnetlink::{Handle, LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use sha2::{Digest, Sha256};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::Path;

/// A pod's end of the wire.
#[derive(Clone, Debug)]
pub struct Port {
    /// Index of the bridge.
    pub bridge: u32,
    /// Name of the node's end.
    pub name: String,
    /// The pod's address.
    pub address: Ipv4Addr,
    /// The bridge's address.
    pub gateway: Ipv4Addr,
}

fn netlink(step: &'static str) -> impl FnOnce(rtnetlink::Error) -> NetError {
    move |e| NetError::Netlink { step, why: e.to_string() }
}

/// A conversation with the kernel in this thread's network namespace. The task ends with the handle.
fn open() -> Result<Handle, NetError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(kernel("opening a netlink socket"))?;
    tokio::spawn(connection);
    Ok(handle)
}

async fn index(handle: &Handle, name: &str) -> Result<Option<u32>, NetError> {
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    match links.try_next().await {
        Ok(link) => Ok(link.map(|l| l.header.index)),
        Err(rtnetlink::Error::NetlinkError(e)) if e.raw_code() == -nix::libc::ENODEV => Ok(None),
        Err(e) => Err(netlink("looking for a link")(e)),
    }
}

/// The node's end of a pod's wire: 15 characters at most. A UID that is no UUID may begin as another one does, and has a name by its hash.
pub fn port_name(uid: &str) -> String {
    let hex: String = match uuid::Uuid::try_parse(uid) {
        Ok(uuid) if uuid.hyphenated().to_string() == uid => uid.chars().filter(char::is_ascii_alphanumeric).take(12).collect(),
        _ => Sha256::digest(uid).iter().take(6).map(|b| format!("{b:02x}")).collect(),
    };
    format!("ws-{hex}")
}

fn exists(e: &rtnetlink::Error) -> bool {
    matches!(e, rtnetlink::Error::NetlinkError(e) if e.raw_code() == -nix::libc::EEXIST)
}

fn unless_exists(step: &'static str) -> impl FnOnce(rtnetlink::Error) -> Result<(), NetError> {
    move |e| if exists(&e) { Ok(()) } else { Err(netlink(step)(e)) }
}

/// A hardware address (locally administered) that belongs to an IP address: who takes over the one has the other.
fn hardware_address(ip: Ipv4Addr) -> Vec<u8> {
    [[0x0a, 0x57].as_slice(), &ip.octets()].concat()
}

/// The bridge of this name with its address, made where it is missing. Gives its index.
pub async fn bridge(name: &str, address: Ipv4Addr, prefix: u8) -> Result<u32, NetError> {
    let handle = open()?;
    handle.link().add(LinkBridge::new(name).build()).execute().await.or_else(unless_exists("making the bridge"))?;
    let index = index(&handle, name).await?.ok_or(NetError::Netlink { step: "making the bridge", why: "it is not there".into() })?;
    handle.address().add(index, address.into(), prefix).execute().await.or_else(unless_exists("giving the bridge its address"))?;
    // left alone, a bridge takes the lowest hardware address of its ports, and pods lose it each time that changes
    let link = LinkUnspec::new_with_index(index).address(hardware_address(address)).up().build();
    handle.link().set(link).execute().await.map_err(netlink("starting the bridge"))?;
    Ok(index)
}

/// Makes the pair, one end in the bridge, the other as `eth0` in the namespace that `net` holds, with address and default route.
pub async fn connect(port: &Port, net: &Path) -> Result<(), NetError> {
    let handle = open()?;
    let file = std::fs::File::open(net).map_err(kernel("opening a network namespace"))?;
    let peer = LinkMessageBuilder::<LinkUnspec>::new().name("eth0").setns_by_fd(file.as_raw_fd()).build();
    let pair = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth).name(port.name.clone());
    let pair = pair.set_info_data(InfoData::Veth(InfoVeth::Peer(peer))).controller(port.bridge).up().build();
    handle.link().add(pair).execute().await.map_err(netlink("making the pod's link"))?;
    // Where the kernel lets bridged packets pass nftables, what a pod sends to itself by a Service or a port of the node goes out where it came in.
    if let Some(index) = index(&handle, &port.name).await? {
        let reflecting = LinkBridgePort::new(index).hairpin(true).build();
        handle.link().set_port(reflecting).execute().await.map_err(netlink("letting the pod reach itself"))?;
    }
    let port = port.clone();
    let net = net.to_owned();
    let inside = move || namespace::inside(&net, || on_a_runtime(configure(&port)));
    tokio::task::spawn_blocking(inside).await.map_err(|e| kernel("configuring the pod's link")(std::io::Error::other(e)))?
}

fn on_a_runtime(work: impl Future<Output = Result<(), NetError>>) -> Result<(), NetError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(kernel("configuring the pod's link"))?;
    runtime.block_on(work)
}

/// The pod's side: loopback, address, routes. The address is alone in its range: also what goes to pods of the same node goes to the node first,
/// where services' addresses are translated, in both directions.
async fn configure(port: &Port) -> Result<(), NetError> {
    let handle = open()?;
    let up = |index| handle.link().set(LinkUnspec::new_with_index(index).up().build()).execute();
    let missing = || NetError::Netlink { step: "configuring the pod's link", why: "it is not there".into() };
    let lo = index(&handle, "lo").await?.ok_or_else(missing)?;
    let eth0 = index(&handle, "eth0").await?.ok_or_else(missing)?;
    up(lo).await.map_err(netlink("starting the pod's loopback"))?;
    handle.address().add(eth0, port.address.into(), 32).execute().await.map_err(netlink("giving the pod its address"))?;
    let link = LinkUnspec::new_with_index(eth0).address(hardware_address(port.address)).up().build();
    handle.link().set(link).execute().await.map_err(netlink("starting the pod's link"))?;
    let direct = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(port.gateway, 32).output_interface(eth0).scope(RouteScope::Link).build();
    handle.route().add(direct).execute().await.map_err(netlink("giving the pod its route to the node"))?;
    let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(port.gateway).build();
    handle.route().add(route).execute().await.map_err(netlink("giving the pod its route"))
}

/// Takes a pod's wire away; both ends go.
pub async fn disconnect(name: &str) -> Result<(), NetError> {
    let handle = open()?;
    match index(&handle, name).await? {
        Some(index) => handle.link().del(index).execute().await.map_err(netlink("removing the pod's link")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_names_fit_the_kernel() {
        assert_eq!(port_name("0b5c9d1e-2f34-4a6b-8c7d-9e0f1a2b3c4d"), "ws-0b5c9d1e2f34");
        for uid in ["x", "", "../../..", "0b5c9d1e2f34zzzz"] {
            assert_eq!(port_name(uid).len(), 15, "{uid}");
        }
        assert_ne!(port_name("0b5c9d1e2f34zzzz"), "ws-0b5c9d1e2f34", "another pod's");
    }
}
