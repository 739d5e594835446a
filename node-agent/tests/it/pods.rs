use crate::machine::{import, inside};
use crate::state::State;
use bus::actor::System;
use bus::{Caller, Role};
use model::Object;
use node_agent::{AgentOptions, Socket};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const NODE: &str = "n1";

async fn agent(state: &State, dir: &Path) -> System {
    let system = System::new();
    let options = AgentOptions {
        node_name: NODE.into(),
        podman: Socket::Own { root: dir.join("root"), runroot: dir.join("runroot") },
        data_dir: dir.join("data"),
        node_ip: Some([10, 244, 0, 1].into()),
        ..AgentOptions::default()
    };
    node_agent::run(state.bus.speaking_as(Caller::new(Role::Agent, NODE)), &system, options).await.unwrap();
    system
}

/// A cluster of one node with the image in place.
async fn node(dir: &Path) -> (State, System) {
    let state = State::start().await;
    state
        .create(
            "services",
            "default",
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes"}, "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 443}]}}),
        )
        .await;
    let system = agent(&state, dir).await;
    import(&dir.join("data/podman.sock"));
    (state, system)
}

fn pod(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["nodeName"] = json!(NODE);
    for list in ["containers", "initContainers"] {
        for c in spec[list].as_array_mut().into_iter().flatten() {
            c["image"] = c.get("image").cloned().unwrap_or(json!("localhost/busybox:1"));
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

fn sh(name: &str, script: &str) -> Value {
    json!({"name": name, "command": ["sh", "-c", script], "terminationMessagePath": "/dev/termination-log"})
}

fn condition(o: &Object, type_: &str) -> bool {
    o.list_at(&["status", "conditions"]).iter().any(|c| c["type"] == type_ && c["status"] == "True")
}

fn ready(o: &Object) -> bool {
    condition(o, "Ready")
}

fn first(o: &Object) -> &Value {
    o.list_at(&["status", "containerStatuses"]).first().unwrap_or(&Value::Null)
}

#[test]
fn a_pod_runs_and_ends() {
    inside("pods::a_pod_runs_and_ends", |dir| async move {
        let (state, system) = node(&dir).await;
        state.until("nodes", "", NODE, "ready", |o| o.is_some_and(ready)).await;
        let began = Instant::now();
        state.create("pods", "default", pod("a", json!({"containers": [sh("c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")]}))).await;
        let running = state.pod("a", "ready", ready).await;
        println!("created to ready: {:?}", began.elapsed());
        let o = running.object();
        assert_eq!(o.str_at(&["status", "phase"]), "Running");
        assert_eq!(o.str_at(&["status", "podIP"]), "10.244.0.2");
        assert_eq!(o.str_at(&["status", "qosClass"]), "BestEffort");
        assert!(first(o)["containerID"].as_str().unwrap().starts_with("podman://"));
        state.delete_pod("a", 5).await;
        state.no_pod("a").await;
        assert_eq!(state.reasons("a"), ["Pulled", "Created", "Started", "Killing"]);
        assert!(system.shutdown(Duration::from_secs(5)).await);
    });
}
