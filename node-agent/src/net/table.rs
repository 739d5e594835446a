//! Makes the node's nftables table as a pure function: masquerading for what leaves the pods' range, and host ports, which the node's loopback addresses reach
//! too.
use crate::runtime::{HostPort, Sandbox};
use ipnet::Ipv4Net;
use std::collections::BTreeSet;
use std::net::IpAddr;

fn elements(list: &[String]) -> String {
    if list.is_empty() { String::new() } else { format!("    elements = {{ {} }}\n", list.join(", ")) }
}

/// The script that makes the table anew. Its guard does what the kernel does until it lets loopback addresses out to the bridge: nobody else's packets may
/// have one.
pub fn script(range: Ipv4Net, bridge: &str, sandboxes: &[Sandbox]) -> String {
    let (mut anywhere, mut there, mut own, mut taken) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
    for sandbox in sandboxes.iter().filter(|s| !s.ports.is_empty()) {
        let Some(IpAddr::V4(ip)) = sandbox.ip else { continue };
        own.push(format!("{ip} . {ip}"));
        for port in &sandbox.ports {
            // One that is taken is the first one's: nft would refuse the whole table for the second.
            if taken.insert(key(port)) {
                let list = if port.address.is_some() { &mut there } else { &mut anywhere };
                list.push(format!("{} : {ip} . {}", key(port), port.target));
            }
        }
    }
    let table = format!("whalesong-{bridge}");
    format!(
        "table ip {table} {{}}
delete table ip {table}
table ip {table} {{
  map host-ports {{
    type inet_proto . inet_service : ipv4_addr . inet_service
{anywhere}  }}
  map host-addresses {{
    type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
{there}  }}
  set hairpin {{
    type ipv4_addr . ipv4_addr
{own}  }}
  chain guard {{
    type filter hook prerouting priority raw; policy accept;
    iif != lo ip daddr 127.0.0.0/8 drop
    iif != lo ip saddr 127.0.0.0/8 drop
  }}
  chain to-pods {{
    dnat ip to ip daddr . meta l4proto . th dport map @host-addresses
    fib daddr type local dnat ip to meta l4proto . th dport map @host-ports
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    jump to-pods
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    jump to-pods
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {range} ip daddr != {range} oifname != \"{bridge}\" masquerade
    ip saddr 127.0.0.0/8 oifname \"{bridge}\" masquerade
    ip saddr . ip daddr @hairpin masquerade
  }}
}}
",
        anywhere = elements(&anywhere),
        there = elements(&there),
        own = elements(&own),
    )
}

/// Which of the node's ports it is, as the table has it.
fn key(port: &HostPort) -> String {
    let at = port.address.map(|a| format!("{a} . ")).unwrap_or_default();
    format!("{at}{} . {}", port.protocol.name(), port.port)
}

/// The first port of these that one of the sandboxes has, as events show it.
pub fn conflict(ports: &[HostPort], sandboxes: &[Sandbox]) -> Option<String> {
    let taken: BTreeSet<String> = sandboxes.iter().flat_map(|s| &s.ports).map(key).collect();
    ports.iter().find(|port| taken.contains(&key(port))).map(|port| format!("{}/{}", port.port, port.protocol.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Protocol;
    use std::net::Ipv4Addr;

    #[test]
    fn ports_lead_to_pods() {
        let port = |address: Option<Ipv4Addr>| HostPort { protocol: Protocol::Tcp, address, port: 80, target: 8080 };
        let ip = Ipv4Addr::new(10, 244, 0, 7);
        let sandbox = Sandbox { ip: Some(ip.into()), ports: vec![port(None), port(Some(Ipv4Addr::new(10, 0, 0, 1)))], ..Sandbox::default() };
        let got = script(Ipv4Net::new_assert(Ipv4Addr::new(10, 244, 0, 0), 24), "ws0", &[sandbox.clone(), Sandbox::default()]);
        for want in
            ["elements = { tcp . 80 : 10.244.0.7 . 8080 }", "elements = { 10.0.0.1 . tcp . 80 : 10.244.0.7 . 8080 }", "elements = { 10.244.0.7 . 10.244.0.7 }"]
        {
            assert!(got.contains(want), "{got}");
        }
        // Nobody's port is taken, and no port stands there twice.
        let other = |target| HostPort { target, ..port(None) };
        let second = Sandbox { ip: Some(Ipv4Addr::new(10, 244, 0, 8).into()), ports: vec![other(1), other(2)], ..Sandbox::default() };
        let both = script(Ipv4Net::new_assert(Ipv4Addr::new(10, 244, 0, 0), 24), "ws0", &[sandbox.clone(), second.clone()]);
        assert!(both.contains("elements = { tcp . 80 : 10.244.0.7 . 8080 }"), "{both}");
        assert_eq!(conflict(&second.ports, std::slice::from_ref(&sandbox)).as_deref(), Some("80/tcp"));
        assert_eq!(conflict(&second.ports, &[Sandbox::default()]), None);
        assert!(got.contains("iif != lo ip daddr 127.0.0.0/8 drop") && got.contains("ip saddr 127.0.0.0/8 oifname \"ws0\" masquerade"), "{got}");
    }
}
