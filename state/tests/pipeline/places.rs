//! Who asks for much doesn't keep others from what they need.
use crate::fixture::{ACCOUNTS, CONFIG_MAPS, Cluster, NAMESPACES, PODS, Speaker, account, config_map, pod};
use bus::Role;
use futures::future::join_all;
use model::{ApiError, Reason, Stored};
use serde_json::json;
use state::PipelineOptions;
use state::flow_control::{LevelLimits, PriorityLevels};
use state_client::{Reply, Verb};
use std::sync::Arc;
use std::time::Duration;

/// Longer than any machine takes.
const LONG: Duration = Duration::from_secs(60);

const SMALL: LevelLimits = LevelLimits { seats: 4, in_flight: 2_000, each: 2_000, bytes: 16 << 20, parked: 8 << 20 };

async fn cluster(users: LevelLimits, patience: Duration) -> Cluster {
    let rooms = PriorityLevels { components: SMALL, nodes: SMALL, users };
    let cluster = Cluster::start_with(|options| PipelineOptions { rooms, patience, ..options }).await;
    let admin = cluster.admin();
    admin.create(NAMESPACES, "", json!({"metadata": {"name": "new"}})).await.unwrap();
    for name in ["alice", "bob"] {
        let api = "rbac.authorization.k8s.io";
        let role = json!({"apiGroup": api, "kind": "ClusterRole", "name": "cluster-admin"});
        let binding = json!({"metadata": {"name": name}, "roleRef": role, "subjects": [{"apiGroup": api, "kind": "User", "name": name}]});
        admin.create((api, "clusterrolebindings"), "", binding).await.unwrap();
    }
    cluster
}

/// Creations of pods in a namespace whose account isn't there yet.
async fn pods(speaker: &Speaker, n: usize) -> Vec<Result<Arc<Stored>, ApiError>> {
    join_all((0..n).map(|n| async move { speaker.create(PODS, "new", pod(&format!("p{n}"))).await })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_wait_for_an_account_leave_room_for_who_makes_it() {
    let cluster = cluster(SMALL, LONG).await;
    let alice = cluster.user("alice");
    let (made, ()) = tokio::join!(pods(&alice, 600), async {
        // hers come one after another: once this one is done, the pods have had their places and wait
        alice.create(CONFIG_MAPS, "default", config_map("a")).await.unwrap();
        cluster.user("bob").create(CONFIG_MAPS, "default", config_map("b")).await.unwrap();
        cluster.role(Role::Controllers, "c").create(ACCOUNTS, "new", account("default")).await.unwrap();
    });
    for made in made {
        made.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_with_too_much_is_told_so_and_others_are_let_in() {
    let cluster = cluster(LevelLimits { in_flight: 40, ..SMALL }, LONG).await;
    let (alice, bob) = (cluster.user("alice"), cluster.user("bob"));
    let (made, ()) = tokio::join!(pods(&alice, 100), async {
        for n in 0..20 {
            bob.create(CONFIG_MAPS, "default", config_map(&format!("b{n}"))).await.unwrap();
        }
        let n1 = cluster.role(Role::Agent, "n1");
        n1.create(("", "nodes"), "", json!({"metadata": {"name": "n1"}})).await.unwrap();
        cluster.role(Role::Controllers, "c").create(ACCOUNTS, "new", account("default")).await.unwrap();
    });
    let refused: Vec<&ApiError> = made.iter().filter_map(|made| made.as_ref().err()).collect();
    // she had as much as was free beside it, when bob had none or one
    assert!((80..=81).contains(&refused.len()), "{}", refused.len());
    for refusal in refused {
        assert_eq!((refusal.reason, refusal.details.as_ref().map(|d| d.retry_after_seconds)), (Reason::TooManyRequests, Some(1)), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_an_account_is_bounded_in_bytes() {
    let cluster = cluster(LevelLimits { parked: 8 << 10, ..SMALL }, Duration::from_secs(1)).await;
    let made = pods(&cluster.user("alice"), 50).await;
    let with = |reason: Reason| made.iter().filter(|made| made.as_ref().is_err_and(|e| e.reason == reason)).count();
    // half of 8 KiB at once, each counted with one at least; nobody made the account
    assert_eq!((with(Reason::Forbidden), with(Reason::TooManyRequests)), (4, 46));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_is_deleted_place_by_place() {
    let cluster = cluster(LevelLimits { seats: 1, ..SMALL }, LONG).await;
    let alice = cluster.user("alice");
    for made in join_all((0..50).map(|n| alice.create(CONFIG_MAPS, "new", config_map(&format!("c{n}")))).collect::<Vec<_>>()).await {
        made.unwrap();
    }
    let deleted = alice.send(alice.ask(Verb::DeleteCollection, CONFIG_MAPS, "new", "")).await.unwrap();
    assert!(matches!(deleted, Reply::List(list) if list.items.len() == 50));
    assert_eq!(alice.get(CONFIG_MAPS, "new", "c7").await.unwrap_err().code(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_with_no_more_than_it_has_room_for() {
    let cluster = cluster(SMALL, LONG).await;
    let admin = cluster.admin();
    let large = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large"}, "data": {"a": "x".repeat(900_000)}});
    admin.create(CONFIG_MAPS, "new", large).await.unwrap();
    let replies = admin.client.batch(vec![admin.ask(Verb::Get, CONFIG_MAPS, "new", "large"); 200]).await;
    assert_eq!(replies.len(), 200);
    let refused = replies.iter().filter(|reply| reply.as_ref().is_err_and(|e| e.reason == Reason::TooManyRequests)).count();
    assert_eq!(replies.iter().filter(|reply| reply.is_ok()).count() + refused, 200);
    // what is worked on at once may come on top of it
    assert!(refused >= 200 - 64 - (16 << 20) / 900_000 - 1, "{refused}");
    assert!(admin.client.batch(vec![admin.ask(Verb::Get, CONFIG_MAPS, "new", "large"); 10]).await.iter().all(Result::is_ok));
}
