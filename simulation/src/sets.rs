//! What users do with DaemonSets, StatefulSets and ReplicationControllers.
use crate::ask::{act, delete, merge, names, object};
use crate::net::{NAMESPACE, Net};
use rand::Rng;
use rand::seq::IteratorRandom;
use serde_json::{Value, json};
use state_client::{Options, Propagation, Request, Verb};

/// Group and resource of each of them.
pub const KINDS: [(&str, &str); 3] = [("apps", "daemonsets"), ("apps", "statefulsets"), ("", "replicationcontrollers")];

fn image(net: &mut Net) -> Value {
    let image = format!("v{}", net.random.random_range(0..4));
    json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}})
}

fn template(net: &mut Net, name: &str) -> Value {
    let grace = net.random.random_range(0..10);
    json!({"metadata": {"labels": {"set": name}}, "spec": {"containers": [{"name": "c", "image": "v0"}], "terminationGracePeriodSeconds": grace}})
}

fn made(net: &mut Net, resource: &str) -> Value {
    let (name, random) = (format!("{}{}", &resource[..1], net.random.random_range(0..2)), net.random.random_range(0..4));
    let (replicas, wait) = (net.random.random_range(0..5), net.random.random_range(0..2) * 3);
    let template = template(net, &name);
    let spec = json!({"selector": {"matchLabels": {"set": name}}, "template": template, "minReadySeconds": wait});
    let (version, kind, more) = match resource {
        "daemonsets" => {
            let (surge, unavailable) = [(json!(0), json!(1)), (json!(0), json!("50%")), (json!(1), json!(0)), (json!("50%"), json!(0))][random].clone();
            ("apps/v1", "DaemonSet", json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}))
        }
        "statefulsets" => {
            let policy = ["OrderedReady", "Parallel"][random % 2];
            let rolling = json!({"partition": random / 3, "maxUnavailable": 1 + random / 2});
            let update = json!({"type": "RollingUpdate", "rollingUpdate": rolling});
            ("apps/v1", "StatefulSet", json!({"serviceName": "s", "replicas": replicas, "podManagementPolicy": policy, "updateStrategy": update}))
        }
        _ => ("v1", "ReplicationController", json!({"selector": {"set": name}, "replicas": replicas})),
    };
    let mut set = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec});
    for (key, value) in more.as_object().into_iter().flatten() {
        set["spec"][key] = value.clone();
    }
    set
}

/// One thing that somebody does with one of them.
pub fn user(net: &mut Net) {
    let (group, resource) = KINDS[net.random.random_range(0..KINDS.len())];
    let name = names(net, resource).into_iter().choose(&mut net.random);
    let request = match (net.random.random_range(0..6), name) {
        (0 | 1, _) | (_, None) => {
            let set = made(net, resource);
            Request::new(Verb::Create, group, resource, NAMESPACE, "").body(object(set))
        }
        (2, Some(name)) if resource != "daemonsets" => {
            let replicas = net.random.random_range(0..5);
            merge((group, resource), NAMESPACE, &name, &json!({"spec": {"replicas": replicas}}))
        }
        (3, Some(name)) => {
            let propagation = [None, Some(Propagation::Foreground), Some(Propagation::Orphan)].into_iter().choose(&mut net.random).flatten();
            delete((group, resource), NAMESPACE, &name, Options { propagation, ..Options::default() })
        }
        (_, Some(name)) => {
            let image = image(net);
            merge((group, resource), NAMESPACE, &name, &image)
        }
    };
    act(net, request);
}

/// Gives each another template.
pub fn roll_all(net: &mut Net) {
    for resource in KINDS {
        for name in names(net, resource.1) {
            let image = image(net);
            act(net, merge(resource, NAMESPACE, &name, &image));
        }
    }
}

/// Deletes all of them.
pub fn delete_all(net: &mut Net) {
    for resource in KINDS {
        for name in names(net, resource.1) {
            let propagation = [Some(Propagation::Foreground), Some(Propagation::Background)].into_iter().choose(&mut net.random).flatten();
            act(net, delete(resource, NAMESPACE, &name, Options { propagation, ..Options::default() }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_make_is_accepted() {
        let mut net = Net::new(7);
        let namespace = object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
        net.store.handle(&Request::new(Verb::Create, "", "namespaces", "", "").body(namespace), net.now).unwrap();
        for (group, resource) in KINDS {
            for _ in 0..50 {
                let set = made(&mut net, resource);
                let made = net.store.handle(&Request::new(Verb::Create, group, resource, NAMESPACE, "").body(object(set)), net.now);
                assert!(made.as_ref().err().is_none_or(|error| error.reason == model::Reason::AlreadyExists), "{made:?}");
            }
            assert_eq!(names(&net, resource).len(), 2);
        }
    }
}
