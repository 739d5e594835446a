//! How a pod is called and how it finds others: hostname, DNS, hosts file, the node's ports.
use super::context::Owner;
use crate::error::Cause;
use crate::kinds::fields::{Checks, flag, int, items, list, text};
use crate::{addresses, names};
use serde_json::Value;
use std::fmt::Display;

const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
const MAX_SEARCH_CHARS: usize = 2_048;
const MAX_HOSTNAME: usize = 64;

/// A pod's spec at `path`.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value, owner: Owner) {
    checks.optional_name(format_args!("{path}.hostname"), text(spec, "hostname"), names::dns_label);
    checks.optional_name(format_args!("{path}.subdomain"), text(spec, "subdomain"), names::dns_label);
    hostname_override(checks, &format_args!("{path}.hostnameOverride"), spec);
    for (path, alias) in items(spec, path, "hostAliases") {
        checks.all(format_args!("{path}.ip"), text(alias, "ip"), addresses::ip(text(alias, "ip")));
        for (i, name) in list(alias, "hostnames").iter().filter_map(Value::as_str).enumerate() {
            checks.all(format_args!("{path}.hostnames[{i}]"), name, names::dns_subdomain(name));
        }
    }
    dns(checks, &format_args!("{path}.dnsConfig"), spec);
    if flag(spec, "hostNetwork") {
        node_ports(checks, path, spec, owner);
    }
}

fn hostname_override(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let Some(name) = spec.get("hostnameOverride").and_then(Value::as_str) else { return };
    for field in ["setHostnameAsFQDN", "hostNetwork"].into_iter().filter(|f| flag(spec, f)) {
        checks.add(Cause::forbidden(path, format!("may not be specified when {field} is true")));
    }
    if name.len() > MAX_HOSTNAME {
        checks.add(Cause::too_long(path, MAX_HOSTNAME));
    }
    checks.all(path, name, names::dns_subdomain(name));
}

/// A pod on its node's network has that one's ports. In a template they may be left out: they are filled in when a pod is made of it.
fn node_ports(checks: &mut Checks, path: &dyn Display, spec: &Value, owner: Owner) {
    for (path, container) in items(spec, path, "containers") {
        for (path, port) in items(container, &path, "ports") {
            let (host, own) = (int(port, "hostPort").unwrap_or_default(), int(port, "containerPort").unwrap_or_default());
            if host != own && (host != 0 || owner == Owner::Pod) {
                checks.add(Cause::invalid(format_args!("{path}.hostPort"), &host.into(), "must match `containerPort` when `hostNetwork` is true"));
            }
        }
    }
}

fn dns(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let config = spec.get("dnsConfig");
    if text(spec, "dnsPolicy") == "None" {
        match config {
            None => return checks.required(path, "must provide `dnsConfig` when `dnsPolicy` is None"),
            Some(config) if list(config, "nameservers").is_empty() => {
                return checks.required(format_args!("{path}.nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None");
            }
            Some(_) => {}
        }
    }
    let Some(config) = config else { return };
    let servers = list(config, "nameservers");
    if servers.len() > MAX_SERVERS {
        let why = format!("must not have more than {MAX_SERVERS} nameservers");
        checks.add(Cause::invalid(format_args!("{path}.nameservers"), &servers.to_vec().into(), why));
    }
    for (i, server) in servers.iter().filter_map(Value::as_str).enumerate() {
        checks.all(format_args!("{path}.nameservers[{i}]"), server, addresses::ip(server));
    }
    searches(checks, &format_args!("{path}.searches"), list(config, "searches"));
    for (path, option) in items(config, path, "options") {
        if text(option, "name").is_empty() {
            checks.required(path, "must not be empty");
        }
    }
}

fn searches(checks: &mut Checks, path: &dyn Display, searches: &[Value]) {
    if searches.len() > MAX_SEARCHES {
        checks.add(Cause::invalid(path, &searches.to_vec().into(), format!("must not have more than {MAX_SEARCHES} search paths")));
    }
    let texts: Vec<&str> = searches.iter().filter_map(Value::as_str).collect();
    // one space between each two
    if texts.iter().map(|t| t.len() + 1).sum::<usize>() > MAX_SEARCH_CHARS + 1 {
        let why = format!("must not have more than {MAX_SEARCH_CHARS} characters (including spaces) in the search list");
        checks.add(Cause::invalid(path, &searches.to_vec().into(), why));
    }
    for (i, search) in texts.into_iter().enumerate().filter(|(_, s)| *s != ".") {
        let bare = search.strip_suffix('.').unwrap_or(search);
        checks.all(format_args!("{path}[{i}]"), bare, names::dns_subdomain_underscore(bare));
    }
}
