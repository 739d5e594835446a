//! Pure functions that make the text of a pod's `/etc/hosts` and `/etc/resolv.conf`.
use super::node_info::NodeInfo;
use k8s_openapi::api::core::v1::{PodDNSConfig, PodSpec};

/// A pod's host name: `spec.hostname` or its name, 63 characters at most.
pub fn hostname(name: &str, spec: &PodSpec) -> String {
    let wanted = spec.hostname.as_deref().filter(|h| !h.is_empty()).unwrap_or(name);
    wanted.chars().take(63).collect::<String>().trim_end_matches(['-', '.']).to_owned()
}

/// `/etc/hosts` of a pod with its own network.
pub fn hosts(namespace: &str, hostname: &str, spec: &PodSpec, ips: &[String], node: &NodeInfo) -> String {
    let mut out = String::from("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    out.push_str("fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
    let full = spec.subdomain.as_deref().filter(|s| !s.is_empty()).map(|sub| format!("{hostname}.{sub}.{namespace}.svc.{}\t", node.cluster_domain));
    for ip in ips {
        out.push_str(&format!("{ip}\t{}{hostname}\n", full.as_deref().unwrap_or_default()));
    }
    out.push_str(&aliases(spec));
    out
}

/// The lines of `spec.hostAliases`.
pub fn aliases(spec: &PodSpec) -> String {
    let list = spec.host_aliases.as_deref().unwrap_or_default();
    if list.is_empty() {
        return String::new();
    }
    let lines = list.iter().map(|a| format!("{}\t{}\n", a.ip, a.hostnames.as_deref().unwrap_or_default().join("\t")));
    std::iter::once("\n# Entries added by HostAliases.\n".to_owned()).chain(lines).collect()
}

#[derive(Default)]
struct Resolver {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

impl Resolver {
    fn parse(text: &str) -> Self {
        let mut out = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => out.servers.extend(words.next().map(str::to_owned)),
                Some("search") => out.searches = words.map(str::to_owned).collect(),
                Some("options") => out.options = words.map(str::to_owned).collect(),
                _ => {}
            }
        }
        out
    }

    fn add(&mut self, config: &PodDNSConfig) {
        self.servers.extend(config.nameservers.iter().flatten().cloned());
        self.searches.extend(config.searches.iter().flatten().cloned());
        for option in config.options.iter().flatten() {
            let name = option.name.clone().unwrap_or_default();
            self.options.retain(|o| o.split(':').next() != Some(&name));
            self.options.push(option.value.as_ref().map_or_else(|| name.clone(), |v| format!("{name}:{v}")));
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        if !self.searches.is_empty() {
            out.push_str(&format!("search {}\n", self.searches.join(" ")));
        }
        self.servers.iter().for_each(|s| out.push_str(&format!("nameserver {s}\n")));
        if !self.options.is_empty() {
            out.push_str(&format!("options {}\n", self.options.join(" ")));
        }
        out
    }
}

/// `/etc/resolv.conf` by `dnsPolicy` and `dnsConfig`; `node_file` is the node's own.
pub fn resolv_conf(namespace: &str, spec: &PodSpec, node: &NodeInfo, node_file: &str) -> String {
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let host_network = spec.host_network == Some(true);
    let cluster = match policy {
        "ClusterFirst" => !host_network,
        "ClusterFirstWithHostNet" => true,
        _ => false,
    };
    let mut resolver = match (&node.cluster_dns, policy) {
        (_, "None") => Resolver::default(),
        (Some(server), _) if cluster => {
            let domain = &node.cluster_domain;
            let own = [format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
            let searches = own.into_iter().chain(Resolver::parse(node_file).searches).collect();
            Resolver { servers: vec![server.clone()], searches, options: vec!["ndots:5".into()] }
        }
        _ => Resolver::parse(node_file),
    };
    if let Some(config) = &spec.dns_config {
        resolver.add(config);
    }
    resolver.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(json: Value) -> PodSpec {
        serde_json::from_value(json).unwrap()
    }

    fn node() -> NodeInfo {
        NodeInfo { cluster_dns: Some("10.96.0.10".into()), cluster_domain: "cluster.local".into(), ..NodeInfo::default() }
    }

    #[test]
    fn resolvers() {
        let host = "# x\nnameserver 1.1.1.1\nsearch corp\noptions timeout:2\n";
        for (s, want) in [
            (json!({"containers": []}), "search n.svc.cluster.local svc.cluster.local cluster.local corp\nnameserver 10.96.0.10\noptions ndots:5\n"),
            (json!({"containers": [], "hostNetwork": true}), "search corp\nnameserver 1.1.1.1\noptions timeout:2\n"),
            (json!({"containers": [], "dnsPolicy": "Default"}), "search corp\nnameserver 1.1.1.1\noptions timeout:2\n"),
            (
                json!({"containers": [], "dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}}),
                "nameserver 9.9.9.9\noptions ndots:2 edns0\n",
            ),
            (
                json!({"containers": [], "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}}),
                "search n.svc.cluster.local svc.cluster.local cluster.local corp\nnameserver 10.96.0.10\noptions ndots:1\n",
            ),
        ] {
            assert_eq!(resolv_conf("n", &spec(s.clone()), &node(), host), want, "{s}");
        }
    }

    #[test]
    fn hosts_file() {
        let s = spec(json!({"containers": [], "subdomain": "sub", "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]}));
        let text = hosts("n", &hostname("pod-0", &s), &s, &["10.0.0.2".into()], &node());
        assert!(text.contains("10.0.0.2\tpod-0.sub.n.svc.cluster.local\tpod-0\n") && text.ends_with("1.2.3.4\ta\tb\n"), "{text}");
    }
}
