//! What applies cost, and what hostile clients can make of that.
use super::*;

const ROUNDS: u32 = if cfg!(debug_assertions) { 20 } else { 2000 };

/// A deployment as people write them.
fn typical() -> Object {
    deployment(
        json!({"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web", "tier": "front"}}, "spec": {
        "containers": [{"name": "web", "image": "nginx:1", "args": ["-g", "daemon off;"], "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 443}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "livenessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            {"name": "side", "image": "x", "ports": [{"containerPort": 9090}]}],
        "volumes": [{"name": "v", "configMap": {"name": "c"}}], "nodeSelector": {"os": "linux"}}}}),
    )
}

/// Prints what one apply costs: `cargo test --release -p model cost_of_an_apply -- --nocapture`.
#[test]
fn cost_of_an_apply() {
    let (made, mut changed) = (typical(), typical());
    changed.0["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2".into();
    let mut less = typical();
    less.0["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().pop();
    let live = update(&apply(None, &made, "one"), |o| o.set(&["metadata", "annotations"], json!({"deployment.kubernetes.io/revision": "1"})), "controller");
    let live = update(&live, |o| o.set(&["spec", "replicas"], 4), "scaler");
    let mut made = made;
    made.remove(&["spec", "replicas"]);
    for (what, live, configuration) in
        [("create", None, &made), ("nothing", Some(&live), &made), ("one field", Some(&live), &changed), ("one item less", Some(&live), &less)]
    {
        let begun = std::time::Instant::now();
        for _ in 0..ROUNDS {
            std::hint::black_box(applied(live, configuration, node(), &writer("one"), true).unwrap());
        }
        println!("apply, {what}: {:?}", begun.elapsed() / ROUNDS);
    }
    let begun = std::time::Instant::now();
    for n in 0..ROUNDS {
        std::hint::black_box(update(&live, |o| o.set(&["spec", "replicas"], n), "scaler"));
    }
    println!("update: {:?}", begun.elapsed() / ROUNDS);
}

/// Entries and lists of a client that is hostile take a bounded time.
#[test]
fn large_and_deep() {
    let begun = std::time::Instant::now();
    let mut live = apply(None, &with(&[container("c", "a")]), "one");
    let entry = |n: usize| json!({"manager": format!("m{n}"), "operation": "Update", "apiVersion": format!("v{n}"), "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}});
    let mut new = live.clone();
    new.set(&["metadata", "managedFields"], (0..10_000).map(entry).collect::<Vec<_>>());
    let owners = before(&mut new, Some(&live), false);
    new.set(&["spec", "replicas"], 2);
    updated(&mut new, Some(&live), owners, node(), &writer("two"));
    let env = |from: usize| (from..from + 10_000).map(|n| json!({"name": format!("e{n}"), "value": "x"})).collect::<Vec<_>>();
    live.0["spec"]["template"]["spec"]["containers"][0]["env"] = env(0).into();
    let next = apply(Some(&live), &with(&[json!({"name": "c", "env": env(5_000)})]), "two");
    apply(Some(&next), &with(&[json!({"name": "c", "env": env(9_000)})]), "two");
    let mut fields = json!({});
    (0..1_000).for_each(|_| fields = json!({"f:a": fields.take()}));
    assert_eq!(FieldSet::parse(&fields), None);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}
