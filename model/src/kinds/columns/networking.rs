//! Ingresses and what else `networking.k8s.io` has.
use super::{AGE, NAME, NONE, at, column, list, or_none, text};
use crate::kind::Column;
use crate::object::Object;
use crate::selector::LabelSelector;
use serde_json::Value;
use std::collections::BTreeSet;

/// Most hosts that are shown.
const HOSTS: usize = 3;
/// Says that objects which name no class get this one.
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

pub(in crate::kinds) fn ingress() -> Vec<Column> {
    vec![
        NAME,
        text("Class", "The IngressClass whose controller serves it", |o, _| o.at(&["spec", "ingressClassName"]).cloned().unwrap_or_else(|| NONE.into())),
        text("Hosts", "Hosts whose requests it takes", |o, _| hosts(o.list_at(&["spec", "rules"])).into()),
        text("Address", "Where it is reached", |o, _| addresses(o).into()),
        text("Ports", "Ports that it opens", |o, _| if o.list_at(&["spec", "tls"]).is_empty() { "80" } else { "80, 443" }.into()),
        AGE,
    ]
}

fn hosts(rules: &[Value]) -> String {
    let mut shown = Vec::new();
    let mut more = false;
    for rule in rules {
        more |= shown.len() == HOSTS;
        if !more && !at(rule, "host").is_empty() {
            shown.push(at(rule, "host"));
        }
    }
    match (shown.is_empty(), more) {
        (true, _) => "*".to_owned(),
        (false, false) => shown.join(","),
        (false, true) => format!("{} + {} more...", shown.join(","), rules.len().saturating_sub(HOSTS)),
    }
}

fn addresses(ingress: &Object) -> String {
    let points = ingress.list_at(&["status", "loadBalancer", "ingress"]).iter();
    let one = |point: &Value| if at(point, "ip").is_empty() { at(point, "hostname") } else { at(point, "ip") };
    points.map(one).filter(|address| !address.is_empty()).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(",")
}

pub(in crate::kinds) fn ingress_class() -> Vec<Column> {
    vec![
        column("Name", "string", "name", "The object's name, and whether it is the default", |o, _| super::marked(o, &[DEFAULT_CLASS]).into()),
        text("Controller", "Which controller serves its Ingresses", |o, _| o.str_at(&["spec", "controller"]).into()),
        text("Parameters", "What configures it further", |o, _| o.at(&["spec", "parameters"]).map_or_else(|| NONE.into(), |p| parameters(p).into())),
        AGE,
    ]
}

fn parameters(reference: &Value) -> String {
    let group = reference.get("apiGroup").and_then(Value::as_str).map(|group| format!(".{group}")).unwrap_or_default();
    format!("{}{group}/{}", at(reference, "kind"), at(reference, "name"))
}

pub(in crate::kinds) fn network_policy() -> Vec<Column> {
    vec![NAME, text("Pod-Selector", "Labels of the pods that it is for", |o, _| or_none(pods(o))), AGE]
}

fn pods(policy: &Object) -> String {
    let selector = policy.at(&["spec", "podSelector"]).and_then(|s| LabelSelector::from_json(s).ok());
    selector.map(|s| s.to_string()).unwrap_or_default()
}

pub(in crate::kinds) fn ip_address() -> Vec<Column> {
    vec![NAME, text("ParentRef", "Whose address it is", |o, _| o.at(&["spec", "parentRef"]).map_or_else(|| NONE.into(), |p| parent(p).into()))]
}

fn parent(reference: &Value) -> String {
    let (group, resource, namespace) = (at(reference, "group"), at(reference, "resource"), at(reference, "namespace"));
    let kind = if group.is_empty() { resource } else { format!("{resource}.{group}") }.to_lowercase();
    let namespace = if namespace.is_empty() { namespace } else { format!("/{namespace}") };
    format!("{kind}{namespace}/{}", at(reference, "name"))
}

pub(in crate::kinds) fn service_cidr() -> Vec<Column> {
    vec![NAME, text("CIDRs", "Ranges of which Services get their addresses", |o, _| cidrs(o).into()), AGE]
}

fn cidrs(range: &Object) -> String {
    let spec = range.at(&["spec"]).unwrap_or(&Value::Null);
    list(spec, "cidrs").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}
