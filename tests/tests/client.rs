//! A program's client, kube-rs: what controllers and tools do through a client library, beside what people do through `kubectl`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::Cluster;
use e2e::history::client;
use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, AttachParams, DeleteParams, DynamicObject, EvictParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Discovery, ResourceExt, discovery::Scope};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MINUTE: Duration = Duration::from_secs(60);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(MINUTE, future).await.unwrap_or_else(|_| panic!("{what}: not within a minute"))
}

fn web(replicas: i32) -> Deployment {
    let container = json!({"name": "web", "image": "localhost/web:v1", "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/cgi-bin/who", "port": 8080}, "periodSeconds": 1}});
    serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}}}}))
    .unwrap()
}

/// As `kubectl rollout status` sees it: what was asked for last has been looked at, and only pods of that run.
fn rolled_out(deployment: Option<&Deployment>) -> bool {
    let Some((deployment, status)) = deployment.and_then(|d| Some((d, d.status.as_ref()?))) else { return false };
    let wanted = deployment.spec.replicas;
    status.observed_generation == deployment.metadata.generation && [status.replicas, status.updated_replicas, status.available_replicas] == [wanted; 3]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_runs_a_deployment() {
    let cluster = Cluster::start(&[]);
    let client = client(&cluster.data().join("kubeconfig")).await;
    let (deployments, pods): (Api<Deployment>, Api<Pod>) = (Api::default_namespaced(client.clone()), Api::default_namespaced(client.clone()));
    deployments.create(&PostParams::default(), &web(2)).await.unwrap();
    within("the rollout", await_condition(deployments.clone(), "web", rolled_out)).await.unwrap();
    let running = pods.list(&ListParams::default().labels("app=web").fields("status.phase=Running")).await.unwrap();
    assert_eq!(running.items.len(), 2);
    let name = running.items[0].name_any();
    talk(&pods, &name).await;
    forward(&pods, &name).await;

    // the scale subresource, and a strategic merge patch of one container by its name
    deployments.patch_scale("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 1}}))).await.unwrap();
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "env": [{"name": "A", "value": "b"}]}]}}}});
    let patched = deployments.patch("web", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    let container = &patched.spec.template.spec.unwrap().containers[0];
    assert_eq!((container.image.as_deref(), container.env.as_ref().map(Vec::len)), (Some("localhost/web:v1"), Some(1)));
    within("the second rollout", await_condition(deployments.clone(), "web", rolled_out)).await.unwrap();
    assert_eq!(deployments.get_scale("web").await.unwrap().status.unwrap().replicas, 1);

    let last = pods.list(&ListParams::default().labels("app=web")).await.unwrap().items.into_iter().find(|p| p.metadata.deletion_timestamp.is_none()).unwrap();
    pods.evict(&last.name_any(), &EvictParams::default()).await.unwrap();
    within("the eviction", await_condition(pods.clone(), &last.name_any(), conditions::is_deleted(&last.uid().unwrap()))).await.unwrap();
    deployments.delete("web", &DeleteParams::foreground()).await.unwrap();
    within("the deletion", async {
        while deployments.get_opt("web").await.unwrap().is_some() || !pods.list(&ListParams::default()).await.unwrap().items.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

/// exec with input and output, and a followed log.
async fn talk(pods: &Api<Pod>, name: &str) {
    let params = AttachParams::default().stdin(true).stderr(false);
    let mut cat = pods.exec(name, ["sh", "-c", "read line; echo got $line; exit 3"], &params).await.unwrap();
    cat.stdin().unwrap().write_all(b"hello\n").await.unwrap();
    let mut said = String::new();
    cat.stdout().unwrap().read_to_string(&mut said).await.unwrap();
    let status = cat.take_status().unwrap().await.unwrap();
    assert_eq!((said.as_str(), status.reason.as_deref()), ("got hello\n", Some("NonZeroExitCode")), "{status:?}");
    let params = LogParams { follow: true, container: Some("web".to_owned()), ..LogParams::default() };
    let mut tell = pods.exec(name, ["sh", "-c", "echo a line of the log > /proc/1/fd/1"], &AttachParams::default().stderr(false)).await.unwrap();
    let mut lines = pods.log_stream(name, &params).await.unwrap().lines();
    let line = within("a line", async {
        loop {
            match lines.try_next().await.unwrap() {
                Some(l) if l == "a line of the log" => return l,
                Some(_) => {}
                None => panic!("the log ended"),
            }
        }
    })
    .await;
    assert_eq!(line, "a line of the log");
    tell.take_status().unwrap().await.unwrap();
}

async fn forward(pods: &Api<Pod>, name: &str) {
    let mut ports = pods.portforward(name, &[8080]).await.unwrap();
    let mut stream = ports.take_stream(8080).unwrap();
    stream.write_all(b"GET /cgi-bin/who HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within("the answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains(&format!("v1 from {name}")), "{answer}");
}

/// A reflector starts with the objects that exist, as a stream or as a list, and holds what is written afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn reflectors_hold_what_is_written() {
    let cluster = Cluster::start(&["--no-node"]);
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&cluster.data().join("kubeconfig")).await);
    let map = |n: usize| -> ConfigMap { serde_json::from_value(json!({"metadata": {"name": format!("m{n}"), "labels": {"test": "yes"}}})).unwrap() };
    for n in 0..3 {
        maps.create(&PostParams::default(), &map(n)).await.unwrap();
    }
    for config in [watcher::Config::default().labels("test=yes"), watcher::Config::default().labels("test=yes").streaming_lists()] {
        let (store, writer) = reflector::store();
        let feed = tokio::spawn(reflector(writer, watcher(maps.clone(), config)).applied_objects().for_each(|_| std::future::ready(())));
        within("the first list", store.wait_until_ready()).await.unwrap();
        let before = store.len();
        maps.create(&PostParams::default(), &map(9)).await.unwrap();
        within("the news", async {
            while store.len() == before {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!((before, store.len()), (3, 4));
        maps.delete("m9", &DeleteParams::default()).await.unwrap();
        feed.abort();
    }
}

/// Tools find kinds by discovery and use them without types; each served kind that can be listed is.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_found_and_listed() {
    let cluster = Cluster::start(&["--no-node"]);
    let client = client(&cluster.data().join("kubeconfig")).await;
    let discovery = Discovery::new(client.clone()).run_aggregated().await.unwrap();
    let mut kinds = Vec::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            kinds.push(resource.kind.clone());
            if !capabilities.supports_operation("list") {
                continue;
            }
            let everywhere: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            everywhere.list(&ListParams::default()).await.unwrap_or_else(|e| panic!("{}: {e}", resource.kind));
            if capabilities.scope == Scope::Namespaced {
                let here: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
                here.list(&ListParams::default()).await.unwrap_or_else(|e| panic!("{}: {e}", resource.kind));
            }
        }
    }
    for kind in ["Pod", "Service", "Deployment", "ReplicaSet", "ControllerRevision", "EndpointSlice", "Endpoints", "Event", "Lease", "Role", "ServiceAccount"] {
        assert!(kinds.iter().any(|k| k == kind), "{kind} is missing in {kinds:?}");
    }
}
