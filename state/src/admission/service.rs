//! Addresses and node ports of Services: taken from ranges, unique, kept while the Service lives.
//!
//! What is taken is what the cache shows, of Services and of claims (see `claims.rs`), plus what writes on their way have reserved.
use super::reservation::{Reservation, Taken, lock};
use super::step::{Admit, Effects, Refusal, Step};
use ipnet::Ipv4Net;
use model::kinds::service::{address_causes, has_health_check, settle_addresses};
use model::{ApiError, Cause, Object};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

/// Where addresses and node ports come from.
#[derive(Clone, Debug)]
pub struct Ranges {
    /// Cluster IPs.
    pub services: Ipv4Net,
    /// Node ports.
    pub node_ports: RangeInclusive<u16>,
}

impl Default for Ranges {
    /// As `kubeadm` chooses: `10.96.0.0/16`, ports 30000 to 32767.
    fn default() -> Self {
        Self { services: Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 16), node_ports: 30_000..=32_767 }
    }
}

/// Where claims are in the log: group and resource of a kind that isn't served.
pub const CLAIMS: (&str, &str) = ("whalesong", "serviceclaims");

/// The field with the port of health checks.
const HEALTH: &str = "healthCheckNodePort";

/// What one Service can have at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// An address.
    Ip(Ipv4Addr),
    /// A node port: the number, whatever protocols it serves.
    Port(u16),
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Port(port) => port.fmt(f),
        }
    }
}

impl Claim {
    /// From its text; earlier releases wrote a protocol after a port: `30080-TCP`.
    fn parse(text: &str) -> Option<Self> {
        let port = text.split_once('-').map_or(text, |(port, _)| port);
        port.parse().map(Self::Port).or_else(|_| text.parse().map(Self::Ip)).ok()
    }
}

/// All that a Service has.
pub fn claims(service: &Object) -> BTreeSet<Claim> {
    let ip = cluster_ip(service).parse().ok().map(Claim::Ip);
    ip.into_iter().chain(node_ports(service).map(Claim::Port)).collect()
}

/// The step.
pub struct Allocation {
    ranges: Ranges,
    reserved: Arc<Mutex<Taken>>,
}

impl Allocation {
    /// From these ranges.
    pub fn new(ranges: Ranges) -> Self {
        Self { ranges, reserved: Arc::default() }
    }
}

impl Step for Allocation {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, held: &mut Effects) -> Result<(), Refusal> {
        if !request.of("", "services") {
            return Ok(());
        }
        settle_addresses(object, request.old);
        if let Some(old) = request.old {
            carry_over(object, old);
        }
        refuse(object, new_address_causes(object, request.old))?;
        if !needs_ip(object) && !needs_ports(object) {
            return Ok(());
        }
        // the lock spans the look into the cache: of two writes at once the second sees the first one's reservation
        let mut reserved = lock(&self.reserved);
        let mut taken = taken(request, object);
        taken.ips.extend(&reserved.ips);
        taken.ports.extend(&reserved.ports);
        let mut job = Allocator {
            ranges: &self.ranges,
            taken,
            mine: Taken::default(),
            of_port: HashMap::new(),
            had: request.old.map(|old| node_ports(old).collect()).unwrap_or_default(),
            entropy: request.entropy,
        };
        let causes: Vec<Cause> = job.ip(object).into_iter().chain(job.ports(object)).chain(job.health_check(object)).collect();
        refuse(object, causes)?;
        reserved.ips.extend(&job.mine.ips);
        reserved.ports.extend(&job.mine.ports);
        held.reservations.push(Reservation::new(self.reserved.clone(), job.mine));
        Ok(())
    }
}

fn refuse(service: &Object, causes: Vec<Cause>) -> Result<(), Refusal> {
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid("", "Service", service.name(), causes).into()) }
}

/// What is wrong with the addresses that are asked for, and wasn't before. A Service that leaves the cluster gives its addresses back later.
fn new_address_causes(service: &Object, old: Option<&Object>) -> Vec<Cause> {
    if service_type(service) == "ExternalName" {
        return Vec::new();
    }
    let mut causes = address_causes(service);
    if let (false, Some(old)) = (causes.is_empty(), old) {
        let before = address_causes(old);
        causes.retain(|cause| !before.contains(cause));
    }
    causes
}

fn service_type(service: &Object) -> &str {
    service.str_at(&["spec", "type"])
}

fn needs_ip(service: &Object) -> bool {
    service_type(service) != "ExternalName" && cluster_ip(service) != "None"
}

fn needs_ports(service: &Object) -> bool {
    match service_type(service) {
        "NodePort" => true,
        "LoadBalancer" => service.at(&["spec", "allocateLoadBalancerNodePorts"]) != Some(&Value::Bool(false)),
        _ => false,
    }
}

fn cluster_ip(service: &Object) -> &str {
    match service.str_at(&["spec", "clusterIP"]) {
        "" => service.list_at(&["spec", "clusterIPs"]).first().and_then(Value::as_str).unwrap_or_default(),
        ip => ip,
    }
}

fn node_port(port: &Map<String, Value>) -> Option<u16> {
    port.get("nodePort").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0)
}

fn protocol(port: &Map<String, Value>) -> String {
    port.get("protocol").and_then(Value::as_str).unwrap_or("TCP").to_owned()
}

fn ports(service: &Object) -> impl Iterator<Item = &Map<String, Value>> {
    service.list_at(&["spec", "ports"]).iter().filter_map(Value::as_object)
}

/// All node ports of a Service: those of its ports, and the one at which a load balancer asks for the node's health.
fn node_ports(service: &Object) -> impl Iterator<Item = u16> {
    ports(service).filter_map(node_port).chain(health_port(service))
}

fn health_port(service: &Object) -> Option<u16> {
    service.int_at(&["spec", HEALTH]).and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0)
}

/// What all other Services have.
fn taken(request: &Admit<'_>, object: &Object) -> Taken {
    let mut taken = Taken::default();
    for other in request.view.list("", "services", "") {
        if &*other.key.namespace == object.namespace() && &*other.key.name == object.name() {
            continue;
        }
        let other = other.object();
        taken.ips.extend(cluster_ip(other).parse::<Ipv4Addr>().ok());
        taken.ports.extend(node_ports(other));
    }
    for claim in request.view.list(CLAIMS.0, CLAIMS.1, "") {
        if claim.object().str_at(&["owner", "uid"]) == object.uid() {
            continue;
        }
        match Claim::parse(&claim.key.name) {
            Some(Claim::Ip(ip)) => _ = taken.ips.insert(ip),
            Some(Claim::Port(port)) => _ = taken.ports.insert(port),
            None => {}
        }
    }
    taken
}

/// An update that doesn't name what the Service already has, keeps it.
fn carry_over(new: &mut Object, old: &Object) {
    if needs_ip(new) && cluster_ip(new).is_empty() && service_type(old) != "ExternalName" {
        for field in ["clusterIP", "clusterIPs"] {
            if let Some(value) = old.at(&["spec", field]) {
                new.set(&["spec", field], value.clone());
            }
        }
    }
    if let (true, None, Some(port)) = (has_health_check(new) && has_health_check(old), health_port(new), health_port(old)) {
        new.set(&["spec", HEALTH], port);
    }
    if !needs_ports(new) {
        return;
    }
    let had: Vec<(Value, String, u16)> =
        ports(old).filter_map(|p| node_port(p).map(|n| (p.get("port").cloned().unwrap_or_default(), protocol(p), n))).collect();
    let mut list = new.list_at(&["spec", "ports"]).to_vec();
    let mut used: HashSet<(u16, String)> = ports(new).filter_map(|p| node_port(p).map(|n| (n, protocol(p)))).collect();
    for port in list.iter_mut().filter_map(Value::as_object_mut).filter(|p| node_port(p).is_none()) {
        let (number, protocol) = (port.get("port").cloned().unwrap_or_default(), protocol(port));
        let same = had.iter().find(|(n, proto, _)| *n == number && *proto == protocol);
        if let Some((_, _, node)) = same.filter(|(_, _, node)| used.insert((*node, protocol))) {
            port.insert("nodePort".into(), json!(node));
        }
    }
    if !list.is_empty() {
        new.set(&["spec", "ports"], list);
    }
}

/// One Service's allocations.
struct Allocator<'a> {
    ranges: &'a Ranges,
    taken: Taken,
    mine: Taken,
    /// The node port of each port number: TCP and UDP of one port share theirs.
    of_port: HashMap<i64, u16>,
    /// What the Service had before: it keeps a number that several of its ports share.
    had: HashSet<u16>,
    entropy: u64,
}

impl Allocator<'_> {
    fn ip(&mut self, service: &mut Object) -> Option<Cause> {
        if !needs_ip(service) {
            return None;
        }
        let given = cluster_ip(service).to_owned();
        let chosen = if given.is_empty() { self.free_ip() } else { self.given_ip(&given) };
        match chosen {
            Ok(ip) => {
                self.mine.ips.insert(ip);
                service.set(&["spec", "clusterIP"], ip.to_string());
                service.set(&["spec", "clusterIPs"], json!([ip.to_string()]));
                None
            }
            Err(why) => Some(Cause::invalid("spec.clusterIPs", &json!([given]), format!("failed to allocate IP {given}: {why}"))),
        }
    }

    fn given_ip(&self, given: &str) -> Result<Ipv4Addr, String> {
        let ip: Ipv4Addr = given.parse().map_err(|_| "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned())?;
        let range = self.ranges.services;
        if !range.contains(&ip) || ip == range.network() || ip == range.broadcast() {
            return Err(format!("the provided IP ({ip}) is not in the valid range. The range of valid IPs is {range}"));
        }
        if self.taken.ips.contains(&ip) { Err("provided IP is already allocated".to_owned()) } else { Ok(ip) }
    }

    /// The lowest part of the range is for addresses that users choose; it is used last.
    fn free_ip(&self) -> Result<Ipv4Addr, String> {
        let first = u32::from(self.ranges.services.network()) + 1;
        let last = u32::from(self.ranges.services.broadcast()).saturating_sub(1);
        let size = u64::from(last.saturating_sub(first)) + 1;
        let chosen = (size / 16).clamp(16, 256).min(size);
        let order = probe(chosen, size, self.entropy).filter_map(|i| u32::try_from(i).ok());
        order.map(|i| Ipv4Addr::from(first.saturating_add(i))).find(|ip| !self.taken.ips.contains(ip)).ok_or_else(|| "range is full".to_owned())
    }

    fn ports(&mut self, service: &mut Object) -> Vec<Cause> {
        if !needs_ports(service) {
            return Vec::new();
        }
        let mut causes = Vec::new();
        let mut list = service.list_at(&["spec", "ports"]).to_vec();
        let asked: HashMap<i64, u16> = ports(service).filter_map(|p| Some((number(p, "port"), node_port(p)?))).collect();
        for (i, port) in list.iter_mut().enumerate() {
            let Some(port) = port.as_object_mut() else { continue };
            if let (0, Some(asked)) = (number(port, "nodePort"), asked.get(&number(port, "port"))) {
                // another protocol of this port asks for a number further down
                port.insert("nodePort".into(), json!(asked));
            }
            match self.port(number(port, "nodePort"), self.of_port.get(&number(port, "port")).copied()) {
                Ok(chosen) => {
                    port.insert("nodePort".into(), json!(chosen));
                    self.mine.ports.insert(chosen);
                    self.of_port.entry(number(port, "port")).or_insert(chosen);
                }
                Err(why) => causes.push(Cause::invalid(format!("spec.ports[{i}].nodePort"), &port.get("nodePort").cloned().unwrap_or(json!(0)), why)),
            }
        }
        if !list.is_empty() {
            service.set(&["spec", "ports"], list);
        }
        causes
    }

    /// The port of health checks is the Service's like its other node ports.
    fn health_check(&mut self, service: &mut Object) -> Option<Cause> {
        if !has_health_check(service) {
            return None;
        }
        let given = service.int_at(&["spec", HEALTH]).unwrap_or_default();
        match self.port(given, None) {
            Ok(chosen) => {
                service.set(&["spec", HEALTH], chosen);
                self.mine.ports.insert(chosen);
                None
            }
            Err(why) => Some(Cause::invalid(format!("spec.{HEALTH}"), &given.into(), why)),
        }
    }

    /// The number that is given, or one for what gives none (0): that of the same port in another protocol, if there is one.
    fn port(&self, given: i64, shared: Option<u16>) -> Result<u16, String> {
        match (given, shared) {
            (0, Some(shared)) => Ok(shared),
            (given, Some(shared)) if given == i64::from(shared) => Ok(shared),
            (0, None) => self.free_port(),
            (given, _) => self.given_port(given),
        }
    }

    fn given_port(&self, given: i64) -> Result<u16, String> {
        let range = &self.ranges.node_ports;
        let Some(given) = u16::try_from(given).ok().filter(|given| range.contains(given)) else {
            return Err(format!("provided port is not in the valid range. The range of valid ports is {}-{}", range.start(), range.end()));
        };
        let shared = self.mine.ports.contains(&given) && self.had.contains(&given);
        if self.is_free(given) || shared { Ok(given) } else { Err("provided port is already allocated".to_owned()) }
    }

    fn free_port(&self) -> Result<u16, String> {
        let range = &self.ranges.node_ports;
        let size = u64::from(range.end().saturating_sub(*range.start())) + 1;
        let chosen = (size / 32).clamp(16, 128).min(size);
        let mut order = probe(chosen, size, self.entropy).filter_map(|i| u16::try_from(i).ok()).map(|i| range.start().saturating_add(i));
        order.find(|n| self.is_free(*n)).ok_or_else(|| "range is full".to_owned())
    }

    fn is_free(&self, port: u16) -> bool {
        !self.taken.ports.contains(&port) && !self.mine.ports.contains(&port)
    }
}

/// A number that a client gave for a port, 0 when it gave none.
fn number(port: &Map<String, Value>, field: &str) -> i64 {
    port.get(field).and_then(Value::as_i64).unwrap_or_default()
}

/// All numbers below `size`: first those from `band` on, beginning at a random one, then the rest.
fn probe(band: u64, size: u64, entropy: u64) -> impl Iterator<Item = u64> {
    let upper = size - band;
    let start = entropy.checked_rem(upper).unwrap_or_default();
    (0..upper).map(move |i| band + (start + i) % upper).chain(0..band)
}
