//! Who leads may write; who was deposed may not, whether it knows or not.
use crate::fixture::{CONFIG_MAPS, Cluster, config_map};
use bus::{LeaseOptions, Role};
use model::Reason;
use state_client::{Body, Request, Verb};

fn create(name: &str) -> Request {
    let body = Body::Json(config_map(name).to_string().into_bytes().into());
    Request::new(Verb::Create, CONFIG_MAPS.0, CONFIG_MAPS.1, "default", "").body(body)
}

#[tokio::test]
async fn a_deposed_holders_writes_are_refused_alone_and_in_batches() {
    let cluster = Cluster::start().await;
    let leases = ["a", "b"].map(|name| cluster.leases(Role::State, name));
    let first = leases[0].acquire("s", LeaseOptions::default()).await;
    let client = cluster.role(Role::State, "a").client.fenced(first.fence().clone());
    client.call(create("alone")).await.unwrap();
    for reply in client.batch((0..50).map(|n| create(&format!("batch-{n}"))).collect()).await {
        reply.unwrap();
    }
    // a successor, of which the first one hasn't heard yet
    let fence = first.fence().clone();
    first.release().await;
    let second = leases[1].acquire("s", LeaseOptions::default()).await;
    let refused = client.call(create("late")).await.unwrap_err();
    assert_eq!(refused.reason, Reason::Conflict);
    assert!(refused.message.contains("the lease s is no longer held"), "{refused}");
    let batch = client.batch(vec![create("late-1"), create("late-2"), Request::new(Verb::Delete, "", "configmaps", "default", "alone")]).await;
    assert!(batch.iter().all(|reply| reply.as_ref().is_err_and(|e| e.reason == Reason::Conflict)), "{batch:?}");
    // a batch that reads first doesn't let the rest slip through
    let read = Request::new(Verb::Get, "", "configmaps", "default", "alone");
    let mixed = client.batch(vec![read.clone(), create("late-3")]).await;
    assert!(mixed.iter().any(Result::is_err), "{mixed:?}");
    // reading harms nobody, and the successor writes
    client.call(read).await.unwrap();
    let successor = cluster.role(Role::State, "b").client.fenced(second.fence().clone());
    successor.call(create("late")).await.unwrap();
    assert!(cluster.admin().get(CONFIG_MAPS, "default", "late-3").await.is_err());
    // of the same token, but another run: not the holder either
    let forged = bus::FencingToken { token: second.fence().token, ..fence };
    assert!(cluster.role(Role::State, "a").client.fenced(forged).call(create("forged")).await.is_err());
}
