//! Each hot step by itself: `cargo bench -p bench`, or `cargo bench -p bench -- commit` for some.
#![allow(missing_docs, clippy::unwrap_used, reason = "divan's attributes make items; a fixture that fails is a mistake here")]
use bench::scheduling::{LOADS, cluster, pod};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use futures::FutureExt;
use model::{Key, Object, Stored, patch};
use scheduler::pod::PodInfo;
use scheduler::schedule;
use serde_json::{Value, json};
use state::store::offline::Offline;
use state::store::{Feed, StoreOp, Write};
use state_client::{Body, Request, Verb};
use std::sync::Arc;

fn main() {
    divan::main();
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"k": "x".repeat(512)}})
}

/// A pod of some 2 kB, with the status of a running one.
fn running() -> Value {
    let state = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    let status = |i: u32| json!({"name": format!("c{i}"), "ready": true, "restartCount": 0, "image": "registry.example/app:v1", "imageID": "i", "started": true, "state": state});
    let container = |i: u32| {
        let resources = json!({"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}});
        json!({"name": format!("c{i}"), "image": "registry.example/app:v1", "resources": resources, "env": [{"name": "A", "value": "b"}], "imagePullPolicy": "IfNotPresent"})
    };
    let conditions: Vec<Value> = ["Ready", "ContainersReady", "Initialized", "PodScheduled"].iter().map(|c| json!({"type": c, "status": "True"})).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web-5d4f-abcde", "namespace": "default", "uid": "0c1e2d3f", "labels": {"app": "web", "pod-template-hash": "5d4f"}},
        "spec": {"nodeName": "n1", "serviceAccountName": "default", "containers": [container(0), container(1)], "tolerations": [{"operator": "Exists"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": conditions, "containerStatuses": [status(0), status(1)]},
    })
}

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

mod decode {
    use super::*;

    #[divan::bench]
    fn json_to_object(bencher: Bencher<'_, '_>) {
        let json = running().to_string();
        bencher.bench(|| Object::from_json(black_box(json.as_bytes())).unwrap());
    }

    #[divan::bench]
    fn log_to_row(bencher: Bencher<'_, '_>) {
        let encoded = Stored::encode(&object(running())).unwrap();
        bencher.bench(|| Stored::decode(Key::new("", "pods", "default", "web"), 7, black_box(&encoded)).unwrap());
    }

    #[divan::bench]
    fn row_to_pod_of_the_scheduler(bencher: Bencher<'_, '_>) {
        let encoded = Stored::encode(&object(running())).unwrap();
        let row = || Stored::decode(Key::new("", "pods", "default", "web"), 7, &encoded).unwrap();
        bencher.with_inputs(row).bench_refs(|row| PodInfo::parse(row).unwrap());
    }

    fn create() -> Request {
        Request::new(Verb::Create, "", "pods", "default", "").body(Body::Json(running().to_string().into()))
    }

    #[divan::bench]
    fn request_to_messagepack(bencher: Bencher<'_, '_>) {
        let request = create();
        bencher.bench(|| bus::wire::encode("state.api", black_box(&request)).unwrap());
    }

    #[divan::bench]
    fn messagepack_to_request(bencher: Bencher<'_, '_>) {
        let packed = bus::wire::encode("state.api", &create()).unwrap();
        bencher.bench(|| bus::wire::decode::<Request>("state.api", black_box(&packed)).unwrap());
    }
}

mod patches {
    use super::*;

    #[divan::bench]
    fn merge(bencher: Bencher<'_, '_>) {
        let (pod, patch) = (object(running()), json!({"metadata": {"labels": {"a": "b"}}, "spec": {"nodeName": null}}).to_string());
        bencher.bench(|| patch::apply_merge(black_box(&pod), patch.as_bytes()).unwrap());
    }

    #[divan::bench]
    fn strategic(bencher: Bencher<'_, '_>) {
        let schema = model::kinds::builtin().resource("", "pods").unwrap().schema.clone();
        let patch =
            json!({"status": {"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [{"name": "c1", "ready": false}]}}).to_string();
        let pod = object(running());
        bencher.bench(|| patch::apply_strategic(black_box(&pod), patch.as_bytes(), schema.name()).unwrap());
    }

    #[divan::bench]
    fn json_patch(bencher: Bencher<'_, '_>) {
        let (pod, patch) = (object(running()), json!([{"op": "replace", "path": "/spec/containers/0/image", "value": "b"}]).to_string());
        bencher.bench(|| patch::apply_json(black_box(&pod), patch.as_bytes()).unwrap());
    }
}

fn writes(many: usize) -> Vec<Write> {
    let put = |name: String| Write { key: Key::new("", "configmaps", "default", name.as_str()), expect: 0, op: StoreOp::Put(object(config_map(&name))) };
    (0..many).map(|n| put(format!("c{n}"))).collect()
}

mod commit {
    use super::*;

    /// All that is done before the messages leave.
    #[divan::bench(args = [1, 16, 256])]
    fn make_batch(bencher: Bencher<'_, '_>, many: usize) {
        let store = Offline::default();
        bencher.counter(ItemsCount::new(many)).with_inputs(|| writes(many)).bench_local_values(|writes| store.batch(writes).unwrap());
    }

    /// All that is done once they are acknowledged.
    #[divan::bench(args = [1, 16, 256])]
    fn acknowledge(bencher: Bencher<'_, '_>, many: usize) {
        let made = || {
            let store = Offline::default();
            let batch = store.batch(writes(many)).unwrap();
            (store, batch)
        };
        bencher.counter(ItemsCount::new(many)).with_inputs(made).bench_local_values(|(mut store, batch)| {
            let stored = store.acknowledged(batch).unwrap();
            (store, stored)
        });
    }
}

mod fan_out {
    use super::*;

    /// One write, until each watcher has read it.
    #[divan::bench(args = [1, 100, 1000])]
    fn one_event(bencher: Bencher<'_, '_>, watchers: usize) {
        let watched = || {
            let store = Offline::default();
            let feeds: Vec<Feed> = (0..watchers).map(|_| store.watch("", "configmaps").unwrap()).collect();
            let batch = store.batch(writes(1)).unwrap();
            (store, feeds, batch)
        };
        bencher.counter(ItemsCount::new(watchers)).with_inputs(watched).bench_local_values(|(mut store, mut feeds, batch)| {
            store.acknowledged(batch).unwrap();
            feeds.iter_mut().for_each(|feed| _ = black_box(feed.next().now_or_never().unwrap().unwrap()));
            (store, feeds)
        });
    }
}

mod scheduling {
    use super::*;

    const PODS: usize = 256;

    /// One batch of each load on 1,000 nodes.
    #[divan::bench(args = LOADS.iter().map(|load| load.0), sample_count = 20, sample_size = 1)]
    fn batch(bencher: Bencher<'_, '_>, load: &str) {
        let load = LOADS.iter().find(|l| l.0 == load).unwrap();
        let pods: Vec<Arc<PodInfo>> = (0..PODS).map(|i| Arc::new(PodInfo::parse(&pod(load, i, i % 10).unwrap()).unwrap())).collect();
        bencher.counter(ItemsCount::new(PODS)).with_inputs(|| cluster(1000).unwrap()).bench_local_values(|mut snapshot| {
            let decisions = schedule(&mut snapshot, &pods, 7);
            (snapshot, decisions)
        });
    }
}

/// Server-side apply, and what a write costs of the owners of fields.
mod owners {
    use super::{Bencher, Object, black_box, json, object};
    use model::managed::{NoForms, Writer, applied};
    use model::schema::{Node, definition};

    fn node() -> &'static Node {
        definition("io.k8s.api.apps.v1.Deployment").unwrap()
    }

    fn writer(manager: &str) -> Writer<'_> {
        Writer { manager, api_version: "apps/v1", subresource: "", time: "2026-01-01T00:00:00Z", covers: |field| field != "status", forms: &NoForms }
    }

    /// A deployment as people write them.
    fn typical(image: &str) -> Object {
        let web = json!({"name": "web", "image": image, "args": ["-g", "daemon off;"], "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 443}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "livenessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]});
        let spec = json!({"containers": [web, {"name": "side", "image": "x", "ports": [{"containerPort": 9090}]}],
            "volumes": [{"name": "v", "configMap": {"name": "c"}}], "nodeSelector": {"os": "linux"}});
        let template = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}, "spec": spec});
        object(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template}}))
    }

    fn apply(live: Option<&Object>, configuration: &Object) -> Object {
        applied(live, configuration, node(), &writer("one"), true).unwrap()
    }

    #[divan::bench]
    fn apply_a_new_object(bencher: Bencher<'_, '_>) {
        let made = typical("nginx:1");
        bencher.bench(|| apply(None, black_box(&made)));
    }

    #[divan::bench]
    fn apply_the_same(bencher: Bencher<'_, '_>) {
        let made = typical("nginx:1");
        let live = apply(None, &made);
        bencher.bench(|| apply(Some(black_box(&live)), black_box(&made)));
    }

    #[divan::bench]
    fn apply_another_image(bencher: Bencher<'_, '_>) {
        let (live, changed) = (apply(None, &typical("nginx:1")), typical("nginx:2"));
        bencher.bench(|| apply(Some(black_box(&live)), black_box(&changed)));
    }
}
