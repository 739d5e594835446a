//! From services and endpoint slices to one nft script: pure.
use super::unserved::Unserved;
use crate::runtime::Protocol;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The table's name.
pub(crate) const TABLE: &str = "whalesong-services";
/// The longest that a client comes back to where it was, in seconds.
const AFFINITY_MAX: i32 = 86_400;
/// The packet mark of what is to be masqueraded.
const MARK: &str = "0x4000";
/// `service.kubernetes.io/service-proxy-name`: somebody else serves it.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    address: Ipv4Addr,
    port: u16,
    local: bool,
}

/// What happens to a packet for a service's address.
enum Fate {
    /// To one of these.
    Balance(Vec<Target>),
    /// Nobody is there at all.
    Reject,
    /// Nobody is there on this node, and only this node may answer.
    Drop,
}

#[derive(Default)]
struct Tables {
    cluster: Vec<String>,
    node_ports: Vec<String>,
    refused: Vec<String>,
    refused_ports: Vec<String>,
    chains: String,
    chain_names: BTreeSet<String>,
    affinities: BTreeSet<String>,
    hairpin: BTreeSet<Ipv4Addr>,
    /// Which Service has each address and port, by what stands for it in the maps.
    owners: BTreeMap<String, (String, String)>,
    unserved: Vec<Unserved>,
}

/// What the node's table is to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruleset {
    /// All of it.
    table: String,
    /// The chains that belong to services.
    chains: BTreeSet<String>,
    /// The sets of clients that come back to where they were.
    affinities: BTreeSet<String>,
}

impl Ruleset {
    /// The script that makes the table anew, whatever there was.
    pub fn whole(&self) -> String {
        format!("table ip {TABLE} {{}}\ndelete table ip {TABLE}\n{}", self.table)
    }

    /// The script that makes this table out of `before`: who is remembered stays so. nft refuses it where the table isn't as `before` says.
    pub fn after(&self, before: &Self) -> String {
        let mut out = format!("flush table ip {TABLE}\n");
        for name in MAPS {
            out.push_str(&format!("flush map ip {TABLE} {name}\n"));
        }
        out.push_str(&format!("flush set ip {TABLE} hairpin\n"));
        for chain in before.chains.difference(&self.chains) {
            out.push_str(&format!("delete chain ip {TABLE} {chain}\n"));
        }
        for set in before.affinities.difference(&self.affinities) {
            out.push_str(&format!("delete set ip {TABLE} {set}\n"));
        }
        out + &self.table
    }
}

/// The maps from addresses to chains.
const MAPS: [&str; 4] = ["addresses", "ports", "refused-addresses", "refused-ports"];

/// The ruleset for this node, and what of the Services isn't in it: of several that ask for the same address and port, the oldest has it.
pub fn ruleset(services: &[Arc<Service>], slices: &[Arc<EndpointSlice>], node: &str) -> (Ruleset, Vec<Unserved>) {
    let mut by_service: BTreeMap<(&str, &str), Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in slices.iter().filter(|s| s.address_type == "IPv4") {
        let name = slice.metadata.labels.as_ref().and_then(|l| l.get("kubernetes.io/service-name"));
        by_service.entry((slice.metadata.namespace.as_deref().unwrap_or_default(), name.map_or("", String::as_str))).or_default().push(slice);
    }
    let mut tables = Tables::default();
    let mut oldest: Vec<&Arc<Service>> = services.iter().collect();
    oldest.sort_by_key(|s| (s.metadata.creation_timestamp.as_ref().map(|t| t.0), &s.metadata.namespace, &s.metadata.name));
    for service in oldest {
        let key = (service.metadata.namespace.as_deref().unwrap_or_default(), service.metadata.name.as_deref().unwrap_or_default());
        let none = Vec::new();
        tables.service(service, key, by_service.get(&key).unwrap_or(&none), node);
    }
    tables.ruleset()
}

impl Tables {
    /// Gives an address and port to a Service, unless another has it.
    fn claim(&mut self, key: &str, (namespace, name): (&str, &str)) -> bool {
        match self.owners.get(key) {
            None => {
                self.owners.insert(key.to_owned(), (namespace.to_owned(), name.to_owned()));
                true
            }
            Some((owner_namespace, owner)) => {
                if (owner_namespace.as_str(), owner.as_str()) != (namespace, name) {
                    let what = key.replace(" . ", " ");
                    let why = format!("{what} is already served for the Service {owner_namespace}/{owner}");
                    self.unserved.push(Unserved { namespace: namespace.to_owned(), name: name.to_owned(), why });
                }
                false
            }
        }
    }

    fn service(&mut self, service: &Service, (namespace, name): (&str, &str), slices: &[&EndpointSlice], node: &str) {
        let Some(spec) = &service.spec else { return };
        let ip: Option<Ipv4Addr> = spec.cluster_ip.as_deref().and_then(|ip| ip.parse().ok()).filter(is_of_a_network);
        let elsewhere = service.metadata.labels.as_ref().is_some_and(|l| l.contains_key(OTHER_PROXY));
        // Names are words of the script.
        let words = [namespace, name].into_iter().all(is_word);
        let (Some(ip), false, true) = (ip, elsewhere, words) else { return };
        let affinity = (spec.session_affinity.as_deref() == Some("ClientIP")).then(|| {
            let config = spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.as_ref());
            config.and_then(|c| c.timeout_seconds).filter(|seconds| (1..=AFFINITY_MAX).contains(seconds)).unwrap_or(10_800)
        });
        let external_ips = spec.external_ips.iter().flatten().cloned();
        let ingress = service.status.as_ref().and_then(|s| s.load_balancer.as_ref()).and_then(|l| l.ingress.as_ref());
        let outside: Vec<Ipv4Addr> =
            external_ips.chain(ingress.into_iter().flatten().filter_map(|i| i.ip.clone())).filter_map(|ip| ip.parse().ok()).filter(is_of_a_network).collect();
        for port in spec.ports.iter().flatten().filter(|p| u16::try_from(p.port).is_ok_and(|p| p > 0)) {
            let all = targets(slices, port, node);
            let Some(protocol) = Protocol::read(port.protocol.as_deref()).map(Protocol::name) else { continue };
            let stem = format!("{namespace}/{name}/{protocol}/{}", port.port);
            let local = |policy: &Option<String>| policy.as_deref() == Some("Local");
            let inside = self.fate(&format!("svc-{stem}"), fate(&all, local(&spec.internal_traffic_policy)), affinity, false, protocol);
            self.address(&[ip], protocol, port.port, &inside, (namespace, name));
            let node_port = port.node_port.filter(|p| u16::try_from(*p).is_ok_and(|p| p > 0));
            if node_port.is_some() || !outside.is_empty() {
                let only_local = local(&spec.external_traffic_policy);
                let verdict = self.fate(&format!("ext-{stem}"), fate(&all, only_local), affinity, !only_local, protocol);
                self.address(&outside, protocol, port.port, &verdict, (namespace, name));
                if let Some(key) = node_port.map(|node_port| format!("{protocol} . {node_port}")).filter(|key| self.claim(key, (namespace, name))) {
                    let list = if matches!(verdict.as_str(), "reject" | "drop") { &mut self.refused_ports } else { &mut self.node_ports };
                    list.push(format!("{key} : {}", refusable(&verdict)));
                }
            }
        }
    }

    fn address(&mut self, ips: &[Ipv4Addr], protocol: &str, port: i32, verdict: &str, service: (&str, &str)) {
        for key in ips.iter().map(|ip| format!("{ip} . {protocol} . {port}")) {
            if self.claim(&key, service) {
                let list = if matches!(verdict, "reject" | "drop") { &mut self.refused } else { &mut self.cluster };
                list.push(format!("{key} : {}", refusable(verdict)));
            }
        }
    }

    /// Writes the chain for a fate; gives the verdict that leads to it.
    fn fate(&mut self, chain: &str, fate: Fate, affinity: Option<i32>, masquerade: bool, protocol: &str) -> String {
        let targets = match fate {
            Fate::Reject => return "reject".to_owned(),
            Fate::Drop => return "drop".to_owned(),
            Fate::Balance(targets) => targets,
        };
        let mut rules = String::new();
        if masquerade {
            rules.push_str(&format!("    meta mark set meta mark or {MARK}\n"));
        }
        let names: Vec<String> = targets.iter().map(|t| format!("{chain}/{}/{}", t.address, t.port)).collect();
        for (name, target) in names.iter().zip(&targets) {
            self.hairpin.insert(target.address);
            let mut own = String::new();
            if let Some(seconds) = affinity {
                // The time is part of the name: a set's can't be changed.
                let set = format!("aff-{seconds}-{name}");
                self.chains.push_str(&format!("  set {set} {{\n    type ipv4_addr\n    flags dynamic,timeout\n    timeout {seconds}s\n  }}\n"));
                rules.push_str(&format!("    ip saddr @{set} goto {name}\n"));
                own = format!("    update @{set} {{ ip saddr }}\n");
                self.affinities.insert(set);
            }
            self.chains.push_str(&format!("  chain {name} {{\n{own}    meta l4proto {protocol} dnat to {}:{}\n  }}\n", target.address, target.port));
        }
        let choices: Vec<String> = names.iter().enumerate().map(|(i, name)| format!("{i} : goto {name}")).collect();
        rules.push_str(&format!("    numgen random mod {} vmap {{ {} }}\n", names.len(), choices.join(", ")));
        self.chains.push_str(&format!("  chain {chain} {{\n{rules}  }}\n"));
        self.chain_names.extend(names);
        self.chain_names.insert(chain.to_owned());
        format!("goto {chain}")
    }

    fn ruleset(self) -> (Ruleset, Vec<Unserved>) {
        (Ruleset { table: self.table(), chains: self.chain_names, affinities: self.affinities }, self.unserved)
    }

    fn table(&self) -> String {
        let mut out = format!("table ip {TABLE} {{\n");
        let (address, port) = ("ipv4_addr . inet_proto . inet_service", "inet_proto . inet_service");
        let elements = [(address, &self.cluster), (port, &self.node_ports), (address, &self.refused), (port, &self.refused_ports)];
        for (name, (key, elements)) in MAPS.into_iter().zip(elements) {
            out.push_str(&map(name, key, elements));
        }
        let pairs: Vec<String> = self.hairpin.iter().map(|ip| format!("{ip} . {ip}")).collect();
        let elements = if pairs.is_empty() { String::new() } else { format!("    elements = {{ {} }}\n", pairs.join(", ")) };
        // Writing to a String can't fail.
        let written =
            write!(out, "  set hairpin {{\n    type ipv4_addr . ipv4_addr\n{elements}  }}\n  chain refuse {{\n    reject\n  }}\n{}{FIXED}}}\n", self.chains);
        if written.is_err() { String::new() } else { out }
    }
}

/// Whether an address may be a service's or lead to one: those of the node alone, and of its link, are not for pods.
fn is_of_a_network(ip: &Ipv4Addr) -> bool {
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast())
}

/// Whether it is a name as Kubernetes allows them: what it would otherwise say in the script is anybody's guess.
fn is_word(name: &str) -> bool {
    !name.is_empty() && name.len() <= 63 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
}

/// `reject` can't stand in a map: it is a chain there.
fn refusable(verdict: &str) -> &str {
    if verdict == "reject" { "goto refuse" } else { verdict }
}

/// What doesn't depend on any service.
const FIXED: &str = "  chain services {
    ip daddr . meta l4proto . th dport vmap @addresses
    fib daddr type local meta l4proto . th dport vmap @ports
  }
  chain refusals {
    ip daddr . meta l4proto . th dport vmap @refused-addresses
    fib daddr type local meta l4proto . th dport vmap @refused-ports
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    jump services
  }
  chain nat-output {
    type nat hook output priority -100; policy accept;
    jump services
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark and 0x4000 == 0x4000 meta mark set meta mark and 0xffffbfff masquerade
    ip saddr . ip daddr @hairpin masquerade
  }
  chain input {
    type filter hook input priority filter; policy accept;
    ct state new jump refusals
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state new jump refusals
  }
  chain filter-output {
    type filter hook output priority filter; policy accept;
    ct state new jump refusals
  }
";

fn map(name: &str, key: &str, elements: &[String]) -> String {
    let list = if elements.is_empty() { String::new() } else { format!("    elements = {{ {} }}\n", elements.join(", ")) };
    format!("  map {name} {{\n    type {key} : verdict\n{list}  }}\n")
}

fn fate(all: &[Target], only_local: bool) -> Fate {
    let local: Vec<Target> = all.iter().filter(|t| t.local).cloned().collect();
    match (all.is_empty(), only_local, local.is_empty()) {
        (true, _, _) => Fate::Reject,
        (_, false, _) => Fate::Balance(all.to_vec()),
        (_, true, true) => Fate::Drop,
        (_, true, false) => Fate::Balance(local),
    }
}

/// Endpoints of one port: the ready ones, or where there are none those that still serve while they end.
fn targets(slices: &[&EndpointSlice], port: &ServicePort, node: &str) -> Vec<Target> {
    let with = |wanted: fn(&Endpoint) -> bool| -> BTreeSet<Target> { slices.iter().flat_map(|s| of_slice(s, port, node, wanted)).collect() };
    let ready = with(|e| e.conditions.as_ref().and_then(|c| c.ready) != Some(false));
    let chosen = if ready.is_empty() { with(|e| e.conditions.as_ref().is_some_and(|c| c.serving == Some(true) && c.terminating == Some(true))) } else { ready };
    chosen.into_iter().collect()
}

fn of_slice(slice: &EndpointSlice, port: &ServicePort, node: &str, wanted: fn(&Endpoint) -> bool) -> Vec<Target> {
    let protocol = |p: Option<&str>| p.unwrap_or("TCP").to_owned();
    let found = slice.ports.iter().flatten().find(|p| {
        p.name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default()
            && protocol(p.protocol.as_deref()) == protocol(port.protocol.as_deref())
    });
    let Some(number) = found.and_then(|p| p.port).and_then(|p| u16::try_from(p).ok()) else { return Vec::new() };
    let target = |e: &Endpoint| -> Option<Target> {
        let address = e.addresses.first()?.parse().ok().filter(is_of_a_network)?;
        Some(Target { address, port: number, local: e.node_name.as_deref() == Some(node) })
    };
    slice.endpoints.iter().flatten().filter(|e| wanted(e)).filter_map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rules(spec: Value, endpoints: Value) -> String {
        let service: Service = serde_json::from_value(json!({"metadata": {"name": "s", "namespace": "n"}, "spec": spec})).unwrap();
        let slice = json!({"metadata": {"namespace": "n", "labels": {"kubernetes.io/service-name": "s"}}, "addressType": "IPv4", "ports": [{"port": 8080, "name": ""}], "endpoints": endpoints});
        ruleset(&[Arc::new(service)], &[Arc::new(serde_json::from_value(slice).unwrap())], "here").0.whole()
    }

    fn endpoint(ip: &str, node: &str) -> Value {
        json!({"addresses": [ip], "nodeName": node, "conditions": {"ready": true}})
    }

    #[test]
    fn packets_are_spread_over_ready_endpoints() {
        let gone = json!({"addresses": ["10.0.0.9"], "conditions": {"ready": false, "serving": true, "terminating": true}});
        let got = rules(json!({"clusterIP": "10.96.0.5", "ports": [{"port": 80}]}), json!([endpoint("10.0.0.2", "here"), endpoint("10.0.0.3", "there"), gone]));
        assert!(got.contains("10.96.0.5 . tcp . 80 : goto svc-n/s/tcp/80"), "{got}");
        assert!(got.contains("numgen random mod 2 vmap { 0 : goto svc-n/s/tcp/80/10.0.0.2/8080, 1 : goto svc-n/s/tcp/80/10.0.0.3/8080 }"), "{got}");
        assert!(got.contains("dnat to 10.0.0.3:8080") && !got.contains("10.0.0.9"), "{got}");
        assert!(got.contains("elements = { 10.0.0.2 . 10.0.0.2, 10.0.0.3 . 10.0.0.3 }"), "{got}");
        let got = rules(json!({"clusterIP": "10.96.0.5", "ports": [{"port": 80}]}), json!([gone]));
        assert!(got.contains("dnat to 10.0.0.9:8080"), "what still serves is better than nothing: {got}");
    }

    #[test]
    fn nobody_there_is_refused_and_nobody_here_is_dropped() {
        let got = rules(json!({"clusterIP": "10.96.0.5", "ports": [{"port": 80, "nodePort": 30080}]}), json!([]));
        assert!(got.contains("10.96.0.5 . tcp . 80 : goto refuse") && got.contains("tcp . 30080 : goto refuse"), "{got}");
        let local = json!({"clusterIP": "10.96.0.5", "internalTrafficPolicy": "Local", "ports": [{"port": 80}]});
        assert!(rules(local.clone(), json!([endpoint("10.0.0.3", "there")])).contains("10.96.0.5 . tcp . 80 : drop"));
        assert!(rules(local, json!([endpoint("10.0.0.3", "here")])).contains("10.96.0.5 . tcp . 80 : goto svc-"));
    }

    #[test]
    fn node_ports_masquerade_unless_they_stay_local() {
        let spec = |policy: &str| json!({"clusterIP": "10.96.0.5", "externalTrafficPolicy": policy, "ports": [{"port": 80, "nodePort": 30080}]});
        let cluster = rules(spec("Cluster"), json!([endpoint("10.0.0.2", "here")]));
        assert!(cluster.contains("tcp . 30080 : goto ext-n/s/tcp/80") && cluster.contains("meta mark set meta mark or 0x4000"), "{cluster}");
        assert!(!rules(spec("Local"), json!([endpoint("10.0.0.2", "here")])).contains("meta mark set meta mark or 0x4000"));
    }

    /// nft refuses a map that has a key twice, and with it the whole table.
    #[test]
    fn of_two_that_want_one_address_the_older_has_it() {
        let service = |name: &str, second: u32, ip: &str| {
            let spec = json!({"clusterIP": ip, "externalIPs": ["203.0.113.7", "203.0.113.7"], "ports": [{"port": 80, "nodePort": 30080}]});
            let metadata = json!({"name": name, "namespace": "n", "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")});
            Arc::new(serde_json::from_value::<Service>(json!({"metadata": metadata, "spec": spec})).unwrap())
        };
        let (rules, unserved) = ruleset(&[service("a", 9, "10.96.0.5"), service("b", 1, "10.96.0.6"), service("c", 5, "203.0.113.7")], &[], "here");
        let got = rules.whole();
        for once in ["203.0.113.7 . tcp . 80", "tcp . 30080"] {
            assert_eq!(got.matches(&format!("{once} :")).count(), 1, "{once} in {got}");
        }
        let told: Vec<String> = unserved.iter().map(|u| format!("{}: {}", u.name, u.why)).collect();
        let already = |what: &str| format!("{what} is already served for the Service n/b");
        let want = ["c", "c", "a", "a"].into_iter().zip(["203.0.113.7 tcp 80", "tcp 30080", "203.0.113.7 tcp 80", "tcp 30080"]);
        let want: Vec<String> = want.map(|(name, what)| format!("{name}: {}", already(what))).collect();
        assert!(want.iter().all(|w| told.contains(w)), "{told:?}");
    }

    #[test]
    fn affinity_remembers_clients() {
        let spec = json!({"clusterIP": "10.96.0.5", "sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}, "ports": [{"port": 80}]});
        let got = rules(spec, json!([endpoint("10.0.0.2", "here")]));
        assert!(
            got.contains("timeout 60s") && got.contains("ip saddr @aff-60-svc-n/s/tcp/80/10.0.0.2/8080 goto") && got.contains("update @aff-60-svc-"),
            "{got}"
        );
    }

    #[test]
    fn a_change_takes_away_only_what_is_gone() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        let before = Ruleset { table: String::new(), chains: names(&["a", "b"]), affinities: names(&["aff-a", "aff-b"]) };
        let after = Ruleset { table: "T".to_owned(), chains: names(&["b", "c"]), affinities: names(&["aff-b"]) };
        let script = after.after(&before);
        let deleted: Vec<&str> = script.lines().filter(|l| l.starts_with("delete")).collect();
        assert_eq!(deleted, ["delete chain ip whalesong-services a", "delete set ip whalesong-services aff-a"]);
        assert!(script.starts_with("flush table") && script.ends_with('T') && !script.contains("flush set ip whalesong-services aff"), "{script}");
    }

    #[test]
    fn nothing_of_a_service_is_more_than_a_word_of_the_script() {
        let hostile = "x {}; delete table ip whalesong-services; include \"/etc/shadow\"";
        let there = json!([endpoint("10.0.0.2", "here")]);
        for port in [json!({"port": 80, "protocol": hostile}), json!({"port": -1}), json!({"port": 70000}), json!({"port": 80, "nodePort": -1})] {
            let got = rules(json!({"clusterIP": "10.96.0.5", "ports": [port, {"port": 81}]}), there.clone());
            assert!(!got.contains("include") && !got.contains("-1 :") && !got.contains("70000") && got.contains("tcp . 81 : goto"), "{got}");
        }
        for meta in [json!({"name": hostile, "namespace": "n"}), json!({"name": "s", "namespace": hostile}), json!({"name": "a".repeat(64), "namespace": "n"})]
        {
            let service = json!({"metadata": meta, "spec": {"clusterIP": "10.96.0.5", "ports": [{"port": 80}]}});
            let got = ruleset(&[Arc::new(serde_json::from_value(service).unwrap())], &[], "here").0.whole();
            assert!(!got.contains("10.96.0.5"), "{got}");
        }
    }

    #[test]
    fn the_nodes_own_addresses_are_nobodys_service() {
        let spec = |outside: &str| json!({"clusterIP": "10.96.0.5", "externalIPs": [outside], "ports": [{"port": 80}]});
        for special in ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"] {
            let got = rules(spec(special), json!([endpoint(special, "here"), endpoint("10.0.0.2", "here")]));
            assert!(!got.contains(&format!("dnat to {special}")) && !got.contains(&format!("{special} . tcp")) && got.contains("dnat to 10.0.0.2"), "{got}");
        }
        assert!(rules(spec("192.0.2.7"), json!([endpoint("10.0.0.2", "here")])).contains("192.0.2.7 . tcp . 80"));
        for (seconds, want) in [(-5, 10_800), (0, 10_800), (i32::MAX, 10_800), (86_400, 86_400)] {
            let config = json!({"clientIP": {"timeoutSeconds": seconds}});
            let sticky = json!({"clusterIP": "10.96.0.5", "sessionAffinity": "ClientIP", "sessionAffinityConfig": config, "ports": [{"port": 80}]});
            assert!(rules(sticky, json!([endpoint("10.0.0.2", "here")])).contains(&format!("timeout {want}s")), "{seconds}");
        }
    }

    #[test]
    fn headless_services_have_no_rules() {
        assert!(!rules(json!({"clusterIP": "None", "ports": [{"port": 80}]}), json!([endpoint("10.0.0.2", "here")])).contains("10.0.0.2"));
    }
}
