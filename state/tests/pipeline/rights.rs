//! What Kubernetes' documentation lets a node do, written down as plainly as it can be: the measure for the node authorizer. Nothing of it is taken from
//! that; it knows no index, no cache and no order of checks.
use serde_json::{Value, json};

/// How a pod refers to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Env,
    EnvFrom,
    InitEnv,
    InitEnvFrom,
    Volume,
    Projected,
    /// Secrets only.
    Pull,
    /// Of a debugging container, which a pod has only later.
    Ephemeral,
}

pub const WAYS: [Way; 8] = [Way::Env, Way::EnvFrom, Way::InitEnv, Way::InitEnvFrom, Way::Volume, Way::Projected, Way::Pull, Way::Ephemeral];

/// One reference of a pod.
#[derive(Clone, Debug)]
pub struct Use {
    pub secret: bool,
    pub way: Way,
    pub name: String,
}

#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    /// `""`: not bound yet.
    pub node: String,
    pub mirror: bool,
    pub account: String,
    pub uses: Vec<Use>,
}

/// What a node asks for. Empty strings say nothing.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub node: &'a str,
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    /// Of the path, or of the selector of a list or watch.
    pub name: &'a str,
    /// `spec.nodeName` in the selector.
    pub selected: &'a str,
}

impl Pod {
    pub fn json(&self) -> Value {
        let mut spec = json!({
            "containers": [{"name": "c", "image": "i", "env": [], "envFrom": []}],
            "initContainers": [{"name": "i", "image": "i", "env": [], "envFrom": []}],
            "volumes": [],
            "imagePullSecrets": [],
        });
        if self.uses.iter().any(|u| u.way == Way::Ephemeral) {
            spec["ephemeralContainers"] = json!([{"name": "e", "env": []}]);
        }
        if !self.account.is_empty() {
            spec["serviceAccountName"] = json!(self.account);
        }
        if !self.node.is_empty() {
            spec["nodeName"] = json!(self.node);
        }
        for (n, one) in self.uses.iter().enumerate() {
            one.write(&mut spec, n);
        }
        let annotations = if self.mirror { json!({"kubernetes.io/config.mirror": "x"}) } else { json!({}) };
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": self.namespace, "name": self.name, "annotations": annotations}, "spec": spec})
    }

    /// Whether it has `name` to do with a Secret, or a ConfigMap.
    fn uses(&self, secret: bool, name: &str) -> bool {
        self.uses.iter().any(|u| u.secret == secret && u.name == name && (secret || u.way != Way::Pull))
    }
}

impl Use {
    fn write(&self, spec: &mut Value, n: usize) {
        let (key, from, volume) = if self.secret {
            ("secretKeyRef", "secretRef", json!({"secret": {"secretName": self.name}}))
        } else {
            ("configMapKeyRef", "configMapRef", json!({"configMap": {"name": self.name}}))
        };
        let env = json!({"name": format!("E{n}"), "valueFrom": {key: {"name": self.name, "key": "k"}}});
        let env_from = json!({from: {"name": self.name}});
        let push = |spec: &mut Value, pointer: &str, value: Value| spec.pointer_mut(pointer).unwrap().as_array_mut().unwrap().push(value);
        match self.way {
            Way::Env => push(spec, "/containers/0/env", env),
            Way::EnvFrom => push(spec, "/containers/0/envFrom", env_from),
            Way::InitEnv => push(spec, "/initContainers/0/env", env),
            Way::InitEnvFrom => push(spec, "/initContainers/0/envFrom", env_from),
            Way::Ephemeral => push(spec, "/ephemeralContainers/0/env", env),
            Way::Pull if self.secret => push(spec, "/imagePullSecrets", json!({"name": self.name})),
            Way::Pull => {}
            Way::Volume => {
                let mut volume = volume;
                volume["name"] = json!(format!("v{n}"));
                push(spec, "/volumes", volume);
            }
            Way::Projected => {
                let source = if self.secret { json!({"secret": {"name": self.name}}) } else { json!({"configMap": {"name": self.name}}) };
                push(spec, "/volumes", json!({"name": format!("p{n}"), "projected": {"sources": [source]}}));
            }
        }
    }
}

fn reads(verb: &str) -> bool {
    matches!(verb, "get" | "list" | "watch")
}

/// Whether a node may do this in a cluster with these pods.
pub fn may(pods: &[Pod], ask: &Ask<'_>) -> bool {
    let own = |pod: &&Pod| pod.node == ask.node && pod.namespace == ask.namespace;
    // of what runs there by the cluster's will: a mirror pod is the node's own
    let mine = || pods.iter().filter(own).filter(|pod| !pod.mirror);
    let is = |name: &str| format!("{}/{}", ask.group, ask.resource) == name;
    if ask.node.is_empty() {
        return false;
    }
    match ask.subresource {
        "" => {}
        "status" => return (is("/nodes") || is("/pods")) && matches!(ask.verb, "update" | "patch"),
        "eviction" => return is("/pods") && ask.verb == "create",
        "token" => return is("/serviceaccounts") && ask.verb == "create" && mine().any(|pod| pod.account == ask.name && !ask.name.is_empty()),
        _ => return false,
    }
    if is("/nodes") {
        return matches!(ask.verb, "create" | "update" | "patch") || (reads(ask.verb) && ask.name == ask.node);
    }
    if is("/pods") {
        let limited = ask.selected == ask.node && ask.verb != "get";
        let known = pods.iter().filter(own).any(|pod| pod.name == ask.name);
        return matches!(ask.verb, "create" | "delete") || (reads(ask.verb) && (limited || known));
    }
    if is("/secrets") || is("/configmaps") {
        return reads(ask.verb) && !ask.name.is_empty() && mine().any(|pod| pod.uses(is("/secrets"), ask.name));
    }
    if is("/serviceaccounts") {
        return ask.verb == "get" && !ask.name.is_empty() && mine().any(|pod| pod.account == ask.name);
    }
    if is("coordination.k8s.io/leases") {
        let written = matches!(ask.verb, "get" | "update" | "patch" | "delete") && ask.name == ask.node;
        return ask.namespace == "kube-node-lease" && (written || ask.verb == "create");
    }
    let uniform: &[(&str, &[&str])] = &[
        ("/events", &["create", "update", "patch"]),
        ("events.k8s.io/events", &["create", "update", "patch"]),
        ("/services", &["get", "list", "watch"]),
        ("/endpoints", &["get"]),
        ("discovery.k8s.io/endpointslices", &["list", "watch"]),
        ("authentication.k8s.io/tokenreviews", &["create"]),
        ("authorization.k8s.io/subjectaccessreviews", &["create"]),
        ("authorization.k8s.io/localsubjectaccessreviews", &["create"]),
    ];
    uniform.iter().any(|(name, verbs)| is(name) && verbs.contains(&ask.verb))
}
