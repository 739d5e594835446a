//! Fixtures that read well: `node("n1").cpu("4").label("zone", "a")`, `pod("web-1").app("web").cpu("500m")`.
use crate::node::NodeInfo;
use crate::outcome::{Decision, Outcome};
use crate::pod::PodInfo;
use crate::schedule::schedule;
use crate::snapshot::Snapshot;
use model::{Key, Object, Stored};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub fn stored(resource: &str, object: Value) -> Stored {
    let object = Object::from_value(object).expect("a map");
    let group = match resource {
        "storageclasses" => "storage.k8s.io",
        "poddisruptionbudgets" => "policy",
        _ => "",
    };
    let key = Key::new(group, resource, object.namespace(), object.name());
    Stored::from_object(key, object).expect("an object")
}

#[derive(Clone)]
pub struct NodeFixture(pub Object);

/// 4 cores, 8 GiB, 10 pods, and its name as `kubernetes.io/hostname`.
pub fn node(name: &str) -> NodeFixture {
    let allocatable = json!({"cpu": "4", "memory": "8Gi", "pods": "10"});
    let meta = json!({"name": name, "labels": {"kubernetes.io/hostname": name}});
    NodeFixture(
        Object::from_value(json!({"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {"taints": []}, "status": {"allocatable": allocatable}}))
            .expect("a map"),
    )
}

impl NodeFixture {
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.0.set(&["metadata", "labels", key], value);
        self
    }
    pub fn zone(self, value: &str) -> Self {
        self.label("topology.kubernetes.io/zone", value)
    }
    pub fn has(mut self, resource: &str, amount: &str) -> Self {
        self.0.set(&["status", "allocatable", resource], amount);
        self
    }
    /// `key=value:Effect`.
    pub fn taint(mut self, taint: &str) -> Self {
        let (pair, effect) = taint.split_once(':').expect("key=value:Effect");
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let mut taints = self.0.list_at(&["spec", "taints"]).to_vec();
        taints.push(json!({"key": key, "value": value, "effect": effect}));
        self.0.set(&["spec", "taints"], taints);
        self
    }
    pub fn cordoned(mut self) -> Self {
        self.0.set(&["spec", "unschedulable"], true);
        self
    }
    pub fn image(mut self, name: &str, mib: i64) -> Self {
        let mut images = self.0.list_at(&["status", "images"]).to_vec();
        images.push(json!({"names": [name], "sizeBytes": mib << 20}));
        self.0.set(&["status", "images"], images);
        self
    }
    pub fn name(&self) -> &str {
        self.0.name()
    }
    pub fn info(&self) -> NodeInfo {
        NodeInfo::parse(&stored("nodes", Value::Object(self.0.0.clone()))).expect("a node")
    }
}

#[derive(Clone)]
pub struct PodFixture(pub Object);

/// In `default`, with one container that asks for nothing; its UID is its name.
pub fn pod(name: &str) -> PodFixture {
    let meta = json!({"name": name, "namespace": "default", "uid": name, "labels": {}});
    let spec = json!({"containers": [{"name": "c", "image": "app"}]});
    PodFixture(Object::from_value(json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {"phase": "Pending"}})).expect("a map"))
}

impl PodFixture {
    pub fn set(mut self, path: &[&str], value: Value) -> Self {
        self.0.set(path, value);
        self
    }
    fn push(mut self, path: &[&str], value: Value) -> Self {
        let mut all = self.0.list_at(path).to_vec();
        all.push(value);
        self.0.set(path, all);
        self
    }
    pub fn namespace(self, namespace: &str) -> Self {
        self.set(&["metadata", "namespace"], json!(namespace))
    }
    pub fn label(self, key: &str, value: &str) -> Self {
        self.set(&["metadata", "labels", key], json!(value))
    }
    pub fn app(self, app: &str) -> Self {
        self.label("app", app)
    }
    pub fn owner(self, uid: &str) -> Self {
        self.push(&["metadata", "ownerReferences"], json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": uid, "uid": uid, "controller": true}))
    }
    pub fn asks(self, resource: &str, amount: &str) -> Self {
        let mut container = self.0.list_at(&["spec", "containers"]).first().cloned().unwrap_or_default();
        container["resources"]["requests"][resource] = json!(amount);
        self.set(&["spec", "containers"], json!([container]))
    }
    pub fn cpu(self, amount: &str) -> Self {
        self.asks("cpu", amount)
    }
    pub fn memory(self, amount: &str) -> Self {
        self.asks("memory", amount)
    }
    pub fn host_port(self, port: i32) -> Self {
        let mut container = self.0.list_at(&["spec", "containers"]).first().cloned().unwrap_or_default();
        container["ports"] = json!([{"containerPort": 80, "hostPort": port}]);
        self.set(&["spec", "containers"], json!([container]))
    }
    pub fn priority(self, priority: i32) -> Self {
        self.set(&["spec", "priority"], json!(priority))
    }
    pub fn claim(self, name: &str) -> Self {
        self.push(&["spec", "volumes"], json!({"name": name, "persistentVolumeClaim": {"claimName": name}}))
    }
    pub fn never_preempts(self) -> Self {
        self.set(&["spec", "preemptionPolicy"], json!("Never"))
    }
    /// So many seconds after some point in time.
    pub fn started(self, second: i64) -> Self {
        let time = jiff::Timestamp::from_second(1_767_225_600 + second).expect("a time");
        self.set(&["status", "startTime"], json!(model::time::format(time)))
    }
    pub fn nominated(self, node: &str) -> Self {
        self.set(&["status", "nominatedNodeName"], json!(node))
    }
    pub fn gated(self) -> Self {
        self.set(&["spec", "schedulingGates"], json!([{"name": "wait"}]))
    }
    pub fn terminating(self) -> Self {
        self.set(&["metadata", "deletionTimestamp"], json!("2026-01-01T00:00:00Z"))
    }
    pub fn selector(self, key: &str, value: &str) -> Self {
        self.set(&["spec", "nodeSelector", key], json!(value))
    }
    pub fn tolerates(self, toleration: Value) -> Self {
        self.push(&["spec", "tolerations"], toleration)
    }
    pub fn node_affinity(self, expression: Value) -> Self {
        let path = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"];
        self.push(&path, json!({"matchExpressions": [expression]}))
    }
    pub fn prefers_nodes(self, weight: i32, key: &str, value: &str) -> Self {
        let path = ["spec", "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution"];
        self.push(&path, json!({"weight": weight, "preference": {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}}))
    }
    /// `podAffinity` or `podAntiAffinity` to pods of an app.
    pub fn requires(self, what: &str, app: &str, key: &str) -> Self {
        let path = ["spec", "affinity", what, "requiredDuringSchedulingIgnoredDuringExecution"];
        self.push(&path, json!({"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}))
    }
    pub fn prefers(self, what: &str, weight: i32, app: &str, key: &str) -> Self {
        let path = ["spec", "affinity", what, "preferredDuringSchedulingIgnoredDuringExecution"];
        self.push(&path, json!({"weight": weight, "podAffinityTerm": {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}}))
    }
    /// Spread over `key` among the pods of an app.
    pub fn spread(self, app: &str, key: &str, max_skew: i32, when: &str) -> Self {
        let constraint = json!({"topologyKey": key, "maxSkew": max_skew, "whenUnsatisfiable": when, "labelSelector": {"matchLabels": {"app": app}}});
        self.push(&["spec", "topologySpreadConstraints"], constraint)
    }
    pub fn on(self, node: &str) -> Self {
        self.set(&["spec", "nodeName"], json!(node))
    }
    pub fn info(&self) -> Arc<PodInfo> {
        Arc::new(PodInfo::parse(&stored("pods", Value::Object(self.0.0.clone()))).expect("a pod"))
    }
}

/// A claim in `default`, with more of a spec and with annotations.
pub fn claim(name: &str, class: &str, size: &str, more: &Value, annotations: &[(&str, &str)]) -> Value {
    let annotations: BTreeMap<&str, &str> = annotations.iter().copied().collect();
    let meta = json!({"name": name, "namespace": "default", "uid": name, "annotations": annotations});
    let mut spec = json!({"storageClassName": class, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec})
}

/// A volume that nobody has, reached from nodes with these labels.
pub fn volume(name: &str, class: &str, size: &str, labels: &[(&str, &str)]) -> Value {
    let expressions: Vec<Value> = labels.iter().map(|(key, value)| json!({"key": key, "operator": "In", "values": [value]})).collect();
    let mut spec = json!({"storageClassName": class, "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}});
    if !expressions.is_empty() {
        spec["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": expressions}]}});
    }
    json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec, "status": {"phase": "Available"}})
}

pub fn storage_class(name: &str, provisioner: &str, mode: &str) -> Value {
    json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": mode})
}

/// A budget in `default` for the pods of an app, of which so many may go.
pub fn budget(name: &str, app: &str, allowed: i32) -> Stored {
    let spec = json!({"selector": {"matchLabels": {"app": app}}});
    let meta = json!({"name": name, "namespace": "default"});
    stored(
        "poddisruptionbudgets",
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec, "status": {"disruptionsAllowed": allowed}}),
    )
}

/// A snapshot of these nodes, with these pods on them.
pub fn snapshot(nodes: &[NodeFixture], bound: &[PodFixture]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for node in nodes {
        snapshot.apply_node(node.name(), node.info());
    }
    for pod in bound {
        snapshot.apply_pod(&pod.info());
    }
    snapshot
}

/// What becomes of pods: `web-1 → n2`, or the message.
pub fn decisions(snapshot: &mut Snapshot, pods: &[PodFixture]) -> Vec<Decision> {
    schedule(snapshot, &pods.iter().map(PodFixture::info).collect::<Vec<_>>(), 7)
}

/// What becomes of one pod, in full words.
pub fn told(decision: &Decision) -> String {
    match &decision.outcome {
        Outcome::Bind(node) => node.to_string(),
        Outcome::Unschedulable(why) => why.message(),
    }
}

/// What becomes of one pod: a node's name, or the message.
pub fn place(nodes: &[NodeFixture], bound: &[PodFixture], pod: &PodFixture) -> String {
    outcome(decisions(&mut snapshot(nodes, bound), std::slice::from_ref(pod)).first().expect("a decision"))
}

pub fn outcome(decision: &Decision) -> String {
    match &decision.outcome {
        Outcome::Bind(node) => node.to_string(),
        Outcome::Unschedulable(why) => why.diagnosis.message(),
    }
}

/// How many of the decisions went to each node.
pub fn spread_of(decisions: &[Decision]) -> BTreeMap<String, usize> {
    decisions.iter().fold(BTreeMap::new(), |mut all, d| {
        *all.entry(outcome(d)).or_default() += 1;
        all
    })
}
