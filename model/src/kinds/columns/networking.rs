//! Ingresses, policies, and where Services' addresses come from.
use super::{AGE, NAME, list, or_none, some_of, text};
use crate::kind::Column;
use crate::object::Object;
use crate::selector::LabelSelector;
use serde_json::Value;

fn balancers(ingress: &Object) -> String {
    let name = |entry: &Value| ["ip", "hostname"].iter().find_map(|key| entry[*key].as_str()).unwrap_or_default().to_owned();
    ingress.list_at(&["status", "loadBalancer", "ingress"]).iter().map(name).collect::<Vec<_>>().join(",")
}

fn hosts(ingress: &Object) -> String {
    let names: Vec<String> = ingress.list_at(&["spec", "rules"]).iter().filter_map(|r| r["host"].as_str()).map(str::to_owned).collect();
    if names.is_empty() { "*".to_owned() } else { some_of(&names) }
}

pub(in crate::kinds) fn ingress() -> Vec<Column> {
    vec![
        NAME,
        text("Class", "Which class serves it", |o, _| {
            let class = o.str_at(&["spec", "ingressClassName"]);
            let class = if class.is_empty() { o.str_at(&["metadata", "annotations", "kubernetes.io/ingress.class"]) } else { class };
            or_none(class.to_owned())
        }),
        text("Hosts", "Names that it serves", |o, _| hosts(o).into()),
        text("Address", "Where it is reached", |o, _| balancers(o).into()),
        text(
            "Ports",
            "Ports that it serves",
            |o, _| if list(o.at(&["spec"]).unwrap_or(&Value::Null), "tls").is_empty() { "80".into() } else { "80, 443".into() },
        ),
        AGE,
    ]
}

pub(in crate::kinds) fn ingress_class() -> Vec<Column> {
    vec![
        NAME,
        text("Controller", "Who serves it", |o, _| o.str_at(&["spec", "controller"]).into()),
        text("Parameters", "What else belongs to it", |o, _| {
            let part = |key: &str| o.str_at(&["spec", "parameters", key]);
            match (part("kind"), part("apiGroup")) {
                ("", _) => super::NONE.into(),
                (kind, "") => format!("{kind}/{}", part("name")).into(),
                (kind, group) => format!("{kind}.{group}/{}", part("name")).into(),
            }
        }),
        AGE,
    ]
}

pub(in crate::kinds) fn network_policy() -> Vec<Column> {
    vec![
        NAME,
        text("Pod-Selector", "Labels of the pods that it is about", |o, _| {
            or_none(o.at(&["spec", "podSelector"]).and_then(|s| LabelSelector::from_json(s).ok()).map(|s| s.to_string()).unwrap_or_default())
        }),
        AGE,
    ]
}

pub(in crate::kinds) fn ip_address() -> Vec<Column> {
    vec![
        NAME,
        text("ParentRef", "What has it", |o, _| {
            let part = |key: &str| o.str_at(&["spec", "parentRef", key]);
            let parts = [part("group"), part("resource"), part("namespace"), part("name")];
            parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/").into()
        }),
    ]
}

pub(in crate::kinds) fn service_cidr() -> Vec<Column> {
    vec![
        NAME,
        text("CIDRs", "Ranges of addresses", |o, _| o.list_at(&["spec", "cidrs"]).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",").into()),
        AGE,
    ]
}
