//! Services' addresses and node ports are unique, whichever process of `state` gives them.
use crate::fixture::{Cluster, SERVICES};
use bus::{Caller, Role};
use futures::future::join_all;
use model::{ApiError, Object, Stored};
use serde_json::{Value, json};
use state::store::{StoreOp, Write};
use state_client::{Body, Client, Request, Verb};
use std::collections::HashSet;
use std::sync::Arc;

fn service(name: &str, spec: Value) -> Value {
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec});
    service["spec"]["ports"] = json!([{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]);
    service
}

async fn create(client: &Client, service: Value) -> Result<Arc<Stored>, ApiError> {
    let body = Body::Json(service.to_string().into_bytes().into());
    client.object(Request::new(Verb::Create, "", "services", "default", "").body(body)).await
}

fn ip(service: &Stored) -> String {
    service.object().str_at(&["spec", "clusterIP"]).to_owned()
}

fn ports(service: &Stored) -> Vec<u64> {
    service.object().list_at(&["spec", "ports"]).iter().map(|p| p["nodePort"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_never_give_the_same_twice() {
    let cluster = Cluster::start().await;
    let (other, _services) = cluster.another().await;
    let clients = [cluster.admin().client, Client::new(other.speaking_as(Caller::new(Role::Admin, "admin")))];
    let both = clients.iter().enumerate().flat_map(|(process, client)| (0..150).map(move |n| (process, client, n)));
    let made = join_all(both.map(|(process, client, n)| create(client, service(&format!("s{process}-{n}"), json!({"type": "NodePort"}))))).await;
    let made: Vec<Arc<Stored>> = made.into_iter().map(Result::unwrap).collect();
    let ips: HashSet<String> = made.iter().map(|s| ip(s)).collect();
    let given: Vec<u64> = made.iter().flat_map(|s| ports(s)).collect();
    assert_eq!(ips.len(), made.len(), "an address twice");
    assert_eq!(given.iter().collect::<HashSet<_>>().len(), given.len(), "a node port twice");

    // the same address asked for at both: one gets it
    let wanted = json!({"clusterIP": "10.96.0.77"});
    let pair = join_all([create(&clients[0], service("x", wanted.clone())), create(&clients[1], service("y", wanted.clone()))]).await;
    let refused: Vec<&ApiError> = pair.iter().filter_map(|r| r.as_ref().err()).collect();
    assert_eq!(refused.len(), 1, "{pair:?}");
    assert!(refused[0].message.contains("provided IP is already allocated"), "{}", refused[0]);

    // and when it goes, the other can have it
    let (winner, loser) = if pair[0].is_ok() { ("x", "z") } else { ("y", "z") };
    clients[0].delete(SERVICES.0, SERVICES.1, "default", winner).await.unwrap();
    create(&clients[0], service(loser, wanted)).await.unwrap();
}

#[tokio::test]
async fn what_a_service_no_longer_has_is_free() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().client;
    let made = create(&client, service("a", json!({"type": "NodePort"}))).await.unwrap();
    let plain = json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80, "name": "a", "nodePort": null}, {"port": 81, "name": "b", "nodePort": null}]}});
    client.merge(SERVICES.0, SERVICES.1, "", "default", "a", &plain).await.unwrap();
    let mut again = service("b", json!({"type": "NodePort"}));
    again["spec"]["ports"][0]["nodePort"] = json!(ports(&made)[0]);
    assert_eq!(ports(&create(&client, again).await.unwrap())[0], ports(&made)[0]);
    // a create that is refused for its name keeps nothing
    let taken = create(&client, service("b", json!({"clusterIP": "10.96.0.99"}))).await.unwrap_err();
    assert!(taken.is_already_exists(), "{taken}");
    create(&client, service("c", json!({"clusterIP": "10.96.0.99"}))).await.unwrap();
}

#[tokio::test]
async fn protocols_of_one_port_share_its_node_port() {
    let cluster = Cluster::start().await;
    let client = cluster.admin().client;
    let dns = |given: [Value; 3]| {
        let [tcp, udp, other] = given;
        json!({"metadata": {"name": format!("dns{}{}{}", tcp, udp, other).replace("null", "x")}, "spec": {"type": "NodePort", "ports": [
            {"name": "t", "port": 53, "protocol": "TCP", "nodePort": tcp}, {"name": "u", "port": 53, "protocol": "UDP", "nodePort": udp}, {"name": "o", "port": 54, "nodePort": other},
        ]}})
    };
    let made = ports(&create(&client, dns([Value::Null, Value::Null, Value::Null])).await.unwrap());
    assert_eq!((made[0] == made[1], made[0] == made[2]), (true, false), "{made:?}");
    let asked = ports(&create(&client, dns([Value::Null, json!(30_777), Value::Null])).await.unwrap());
    assert_eq!((asked[0], asked[1]), (30_777, 30_777));
    let other = || json!({"metadata": {"name": "other"}, "spec": {"type": "NodePort", "ports": [{"port": 9, "protocol": "SCTP", "nodePort": 30_777}]}});
    let taken = create(&client, other()).await.unwrap_err();
    assert!(taken.message.contains("provided port is already allocated"), "the number is taken for all protocols: {taken}");
    client.delete(SERVICES.0, SERVICES.1, "default", "dnsx30777x").await.unwrap();
    let freed = create(&client, other()).await;
    assert_eq!(ports(&freed.unwrap()), [30_777]);
}

/// A process died between a claim and its Service. The next one on its data takes the claim back; another process can't know better than to wait.
#[tokio::test]
async fn what_a_former_run_left_claimed_is_taken_back() {
    let cluster = Cluster::start().await;
    let claim =
        json!({"metadata": {"name": "10.96.0.55"}, "owner": {"namespace": "default", "name": "a", "uid": "gone"}, "by": {"identity": "one", "run": "1"}});
    let key = model::Key::new("whalesong", "serviceclaims", "", "10.96.0.55");
    let op = StoreOp::Put(Object::from_value(claim).unwrap());
    cluster.store().await.commit(Write { key, expect: 0, op }).await.unwrap();
    let wanted = || service("a", json!({"clusterIP": "10.96.0.55"}));
    for (identity, free) in [(None, false), (Some("two"), false), (Some("one"), true)] {
        let (bus, _services) = cluster.another_called(identity).await;
        let client = Client::new(bus.speaking_as(Caller::new(Role::Admin, "admin")));
        assert_eq!(create(&client, wanted()).await.is_ok(), free, "{identity:?}");
    }
    // and what exists is refused for that
    assert!(create(&cluster.admin().client, wanted()).await.unwrap_err().is_already_exists());
}
