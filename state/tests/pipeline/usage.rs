//! What nodes and pods use, as `metrics.k8s.io` has it.
use crate::fixture::{ACCOUNTS, At, Cluster, PODS, account, node, pod};
use bus::Role;
use jiff::Timestamp;
use serde_json::json;
use state_client::usage::{ContainerSample, NodeUsage, PodSample};
use state_client::{Body, Reply, Verb};
use std::time::Duration;

const POD_METRICS: At = ("metrics.k8s.io", "pods");
const NODE_METRICS: At = ("metrics.k8s.io", "nodes");

fn said(uid: &str, name: &str, seconds: i64, cpu_nanos: u64) -> NodeUsage {
    let at = Timestamp::now().as_second() - 100 + seconds;
    let started = Timestamp::from_second(0).unwrap();
    let container = ContainerSample { name: "c".to_owned(), run: "1".to_owned(), started, cpu_nanos, memory: 1 << 20 };
    let pod = PodSample { namespace: "default".to_owned(), name: name.to_owned(), uid: uid.to_owned(), containers: vec![container] };
    NodeUsage { at: Timestamp::from_second(at).unwrap(), cpu_nanos, memory: 2 << 20, pods: vec![pod] }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_says_of_itself_and_its_pods_counts_and_nothing_else() {
    let cluster = Cluster::start().await;
    let (admin, scheduler, user) = (cluster.admin(), cluster.role(Role::Scheduler, "s"), cluster.user("alice"));
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    for name in ["n1", "n2"] {
        admin.create(("", "nodes"), "", node(name)).await.unwrap();
    }
    let mut mine = pod("p");
    mine["metadata"]["labels"] = json!({"app": "x"});
    let uid = admin.create(PODS, "default", mine).await.unwrap().uid();
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}});
    scheduler.post(PODS, "default", "p", "binding", binding).await.unwrap();
    let (one, other) = (cluster.role(Role::Agent, "n1"), cluster.role(Role::Agent, "n2"));
    for (seconds, cpu) in [(0, 0), (10, 5_000_000_000)] {
        other.client.bus().tell(said(&uid, "p", seconds, cpu * 3)).await.unwrap();
        one.client.bus().tell(said(&uid, "p", seconds, cpu)).await.unwrap();
        // nobody else speaks for a node
        scheduler.client.bus().tell(said(&uid, "p", seconds, cpu * 7)).await.unwrap();
    }
    let made = loop {
        match admin.get(POD_METRICS, "default", "p").await {
            Ok(made) => break made,
            Err(error) if error.is_not_found() => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error:?}"),
        }
    };
    assert_eq!(made.object().list_at(&["containers"]), [json!({"name": "c", "usage": {"cpu": "500m", "memory": "1Mi"}})]);
    let list = |at: At, namespace: &'static str, selector: &'static str| {
        let mut request = admin.ask(Verb::List, at, namespace, "");
        request.options.label_selector = selector.to_owned();
        let admin = admin.clone();
        async move {
            match admin.send(request).await.unwrap() {
                Reply::List(list) => list.items.iter().map(|item| item.key.name.to_string()).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!((list(POD_METRICS, "", "app=x").await, list(POD_METRICS, "", "app=y").await), (vec!["p".to_owned()], vec![]));
    assert_eq!(list(NODE_METRICS, "", "").await, ["n1", "n2"]);
    let absent = admin.get(POD_METRICS, "default", "q").await.unwrap_err();
    assert_eq!((absent.code(), absent.message.as_str()), (404, "podmetrics.metrics.k8s.io \"default/q\" not found"));
    assert_eq!(user.get(POD_METRICS, "default", "p").await.unwrap_err().code(), 403);
    let made = admin.send(admin.ask(Verb::Create, NODE_METRICS, "", "").body(Body::Json("{}".into()))).await;
    assert_eq!(made.unwrap_err().code(), 405);
}
