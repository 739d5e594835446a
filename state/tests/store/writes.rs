//! Compare-and-swap, deletion markers, group commit, objects that go by themselves.
use crate::fixture::{Nats, delete, events, key, object, options, put, value};
use bus::actor::System;
use futures::future::join_all;
use model::{Key, Stored};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use state::store::{CommitError, Group, Store, StoreOp, StoreOptions, WatchFrom, Write};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn compare_and_swap() {
    let nats = Nats::start();
    let store = nats.store().await;
    let a = key("a");
    let one = put(&store, &a, 0, 1).await.unwrap();
    assert_eq!(one.object().resource_version(), one.revision.to_string());
    assert_eq!(store.get(&a).unwrap().revision, one.revision);
    assert_eq!(put(&store, &a, 0, 2).await.unwrap_err(), CommitError::Conflict, "it exists");
    assert_eq!(put(&store, &key("b"), one.revision, 2).await.unwrap_err(), CommitError::Conflict, "it doesn't exist");
    let two = put(&store, &a, one.revision, 2).await.unwrap();
    assert!(two.revision > one.revision);
    assert_eq!(put(&store, &a, one.revision, 3).await.unwrap_err(), CommitError::Conflict, "it is older");
    assert_eq!(value(&store.get(&a).unwrap()), 2);
    let gone = delete(&store, &two).await.unwrap();
    assert!(gone.revision > two.revision && value(&gone) == 2);
    assert!(store.get(&a).is_none());
    assert_eq!(put(&store, &a, two.revision, 3).await.unwrap_err(), CommitError::Conflict, "it is gone");
    let again = put(&store, &a, 0, 4).await.unwrap();
    assert!(again.revision > gone.revision);
}

/// A quota and what it counts, so to speak: of two keys, each write of both finds both as it expects, or changes neither.
#[tokio::test(flavor = "multi_thread")]
async fn groups_are_written_whole() {
    let nats = Nats::start();
    let (one, other) = (nats.store().await, nats.store().await);
    let refused = |result: &Result<Arc<Stored>, CommitError>| matches!(result, Err(CommitError::Conflict));
    let count = put(&one, &key("count"), 0, 0).await.unwrap();
    let write = |key: &Key, expect: u64, number: u64| Write { key: key.clone(), expect, op: StoreOp::Put(object(key, number)) };
    let both = |name: String, counted: &Stored| {
        Group::from_vec(vec![write(&key("count"), counted.revision, value(counted).as_u64().unwrap() + 1), write(&key(&name), 0, 1)])
    };
    let done = one.commit_group(both("a".to_owned(), &count)).await;
    let revisions: Vec<u64> = done.iter().map(|result| result.as_ref().unwrap().revision).collect();
    assert_eq!(revisions, [count.revision + 1, count.revision + 2], "one behind the other");
    let stale = one.commit_group(both("b".to_owned(), &count)).await;
    assert!(stale.iter().all(refused) && one.get(&key("b")).is_none());
    let taken = one.commit_group(both("a".to_owned(), &one.get(&key("count")).unwrap())).await;
    assert!(taken.iter().all(refused));
    assert_eq!(value(&one.get(&key("count")).unwrap()), 1);
    // over a deletion marker
    delete(&one, &one.get(&key("a")).unwrap()).await.unwrap();
    assert!(one.commit_group(both("a".to_owned(), &one.get(&key("count")).unwrap())).await.iter().all(Result::is_ok));
    // many at once, through two stores, beside writes that are alone
    let add = async |store: &Store, name: String| loop {
        let counted = store.get(&key("count")).unwrap();
        if store.commit_group(both(name.clone(), &counted)).await.iter().all(Result::is_ok) {
            return;
        }
    };
    let adds = (0..12).map(|n| add(if n % 2 == 0 { &one } else { &other }, format!("n{n}")));
    let alone = (0..40).map(|n| {
        let one = &one;
        async move { put(one, &key(&format!("alone{n}")), 0, 1).await.unwrap() }
    });
    futures::join!(join_all(adds), join_all(alone));
    one.barrier("", "configmaps").await.unwrap();
    let there = one.list("", "configmaps", "").items;
    assert_eq!(there.iter().filter(|object| object.key.name.starts_with('n')).count(), 12);
    assert_eq!(value(&one.get(&key("count")).unwrap()), 14);
    // of several streams
    let event = Key::new("", "events", "a", "e");
    let third = nats.store_with(StoreOptions { kinds: events(Duration::from_secs(60)), ..options() }).await;
    let apart = third.commit_group(Group::from_vec(vec![write(&key("x"), 0, 1), write(&event, 0, 1)])).await;
    assert!(matches!(apart[0], Err(CommitError::Invalid(_))) && one.get(&key("x")).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_agree() {
    let nats = Nats::start();
    let (a, b) = (nats.store().await, nats.store().await);
    let key = key("x");
    let one = put(&a, &key, 0, 1).await.unwrap();
    assert_eq!(put(&b, &key, 0, 9).await.unwrap_err(), CommitError::Conflict);
    let two = put(&b, &key, one.revision, 2).await.unwrap();
    assert_eq!(put(&a, &key, one.revision, 9).await.unwrap_err(), CommitError::Conflict);
    assert_eq!(value(&a.get(&key).unwrap()), 2, "after a conflict the cache has what was conflicted with");
    let mut feed = a.watch("", "configmaps", "", WatchFrom::After(two.revision)).unwrap();
    let gone = delete(&b, &two).await.unwrap();
    let change = feed.next().await.unwrap().remove(0);
    assert!(change.deleted && change.revision == gone.revision && change.new.json() == gone.json(), "the marker carries the last object");
    assert_eq!(change.new.object().resource_version(), gone.revision.to_string());
    let three = put(&a, &key, 0, 3).await.unwrap();
    delete(&b, &three).await.unwrap();
    let late = nats.store().await;
    assert!(late.get(&key).is_none());
    put(&late, &key, 0, 4).await.unwrap();
    b.barrier("", "configmaps").await.unwrap();
    assert_eq!(value(&b.get(&key).unwrap()), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn create_where_the_marker_has_left_the_log() {
    let nats = Nats::start();
    let store = nats.store_with(StoreOptions { marker_ttl: Duration::from_secs(1), ..options() }).await;
    let one = put(&store, &key("a"), 0, 1).await.unwrap();
    delete(&store, &one).await.unwrap();
    let stream = nats.js().await.get_stream("KV_ws-test-objects").await.unwrap();
    let empty = async {
        while stream.get_info().await.unwrap().state.messages > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), empty).await.expect("markers expire");
    put(&store, &key("a"), 0, 2).await.unwrap();
    store.barrier("", "configmaps").await.unwrap();
    let late = nats.store().await;
    assert_eq!(value(&late.get(&key("a")).unwrap()), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_log_with_a_past_loads() {
    let nats = Nats::start();
    let options = StoreOptions { marker_ttl: Duration::from_secs(1), ..options() };
    let store = nats.store_with(options.clone()).await;
    let one = put(&store, &key("a"), 0, 1).await.unwrap();
    let gone = delete(&store, &one).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let late = nats.store_with(options).await;
    assert_eq!(late.revision("", "configmaps"), gone.revision);
    late.barrier("", "configmaps").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_creates_of_one_name_one_wins() {
    let nats = Nats::start();
    let (a, b) = (nats.store().await, nats.store().await);
    let writes = (0..60).map(|n| {
        let store = if n % 2 == 0 { a.clone() } else { b.clone() };
        async move { put(&store, &key("one"), 0, n).await }
    });
    let results = join_all(writes).await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    assert!(results.iter().all(|r| matches!(r, Ok(_) | Err(CommitError::Conflict))));
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_with_conflicts_lose_only_those() {
    let nats = Nats::start();
    let (a, b) = (nats.store().await, nats.store().await);
    let contested: Vec<_> = join_all((0..100).map(|n| {
        let store = &a;
        async move { put(store, &key_of("contested", n), 0, 0).await.unwrap() }
    }))
    .await;
    b.barrier("", "configmaps").await.unwrap();
    let race = |store: Store, mine: i32| {
        let contested = contested.clone();
        async move {
            let own = join_all((0..100).map(|n| {
                let (store, key) = (store.clone(), key_of(&format!("own-{mine}"), n));
                async move { put(&store, &key, 0, n).await }
            }));
            let shared = join_all(contested.into_iter().map(|s| {
                let store = store.clone();
                async move { put(&store, &s.key, s.revision, mine).await }
            }));
            tokio::join!(own, shared)
        }
    };
    let ((own_a, shared_a), (own_b, shared_b)) = tokio::join!(race(a.clone(), 1), race(b.clone(), 2));
    assert!(own_a.iter().chain(&own_b).all(Result::is_ok), "bystanders are not hurt");
    for (n, (x, y)) in shared_a.iter().zip(&shared_b).enumerate() {
        assert!(x.is_ok() != y.is_ok(), "contested {n}: {x:?} {y:?}");
        let winner = x.as_ref().or(y.as_ref()).unwrap();
        for store in [&a, &b] {
            store.barrier("", "configmaps").await.unwrap();
            assert_eq!(store.get(&winner.key).unwrap().json(), winner.json());
        }
    }
    assert!(a.stats()[0].split + b.stats()[0].split > 0, "{:?}", a.stats()[0]);
}

fn key_of(what: &str, n: i32) -> Key {
    key(&format!("{what}-{n}"))
}

async fn burst(store: &Store, n: i32) {
    let results = join_all((0..n).map(|n| {
        let (store, key) = (store.clone(), key_of("burst", n));
        tokio::spawn(async move { put(&store, &key, 0, n).await.map(|s| s.revision) })
    }))
    .await;
    let mut revisions: Vec<u64> = results.into_iter().map(|r| r.unwrap().unwrap()).collect();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), n as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes_share_batches() {
    let nats = Nats::start();
    let store = nats.store().await;
    burst(&store, 500).await;
    let stats = &store.stats()[0];
    assert!(stats.batches + stats.singles < 60, "{stats:?}");
    assert_eq!(stats.objects, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_batches() {
    let nats = Nats::start();
    let store = nats.store_with(StoreOptions { group_commit: false, ..options() }).await;
    burst(&store, 300).await;
    let stats = &store.stats()[0];
    assert_eq!((stats.batches, stats.singles, stats.objects), (0, 300, 300));
    let config = nats.js().await.get_stream("KV_ws-test-objects").await.unwrap().cached_info().config.clone();
    assert!(!config.allow_atomic_publish && config.deny_purge && config.deny_delete);
    let upgraded = nats.store().await;
    assert_eq!(upgraded.list("", "configmaps", "default").items.len(), 300);
    let config = nats.js().await.get_stream("KV_ws-test-objects").await.unwrap().cached_info().config.clone();
    assert!(config.allow_atomic_publish, "a newer state turns it on");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large() {
    let nats = Nats::start();
    let store = nats.store().await;
    assert!(matches!(put(&store, &key("big"), 0, "x".repeat(2 << 20)).await.unwrap_err(), CommitError::TooLarge { .. }));
    put(&store, &key("big"), 0, "x".repeat(1_000_000)).await.unwrap();
    let late = nats.store().await;
    assert_eq!(value(&late.get(&key("big")).unwrap()).as_str().map(str::len), Some(1_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_by_themselves() {
    let nats = Nats::start();
    let store = nats.store_with(StoreOptions { kinds: events(Duration::from_secs(1)), ..options() }).await;
    let other = nats.store_with(StoreOptions { kinds: events(Duration::from_secs(1)), ..options() }).await;
    let key = Key::new("", "events", "default", "e");
    let one = put(&store, &key, 0, "hello").await.unwrap();
    assert_eq!(one.revision, 1, "events have revisions of their own");
    for store in [&store, &other] {
        store.barrier("", "events").await.unwrap();
        let mut feed = store.watch("", "events", "default", WatchFrom::After(one.revision)).unwrap();
        let change = tokio::time::timeout(Duration::from_secs(5), feed.next()).await.unwrap().unwrap().remove(0);
        assert!(change.deleted && value(&change.new) == "hello" && change.new.revision == change.revision);
        assert!(store.get(&key).is_none());
    }
    let two = put(&store, &key, 0, "again").await.unwrap();
    delete(&store, &two).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_kept_apart() {
    let nats = Nats::start();
    let store = nats.store_with(StoreOptions { kinds: events(Duration::from_secs(60)), ..options() }).await;
    let key = Key::new("coordination.k8s.io", "leases", "kube-node-lease", "n1");
    let mut last = put(&store, &key, 0, 0).await.unwrap();
    for n in 1..20 {
        last = put(&store, &key, last.revision, n).await.unwrap();
    }
    assert_eq!(store.revision("", "pods"), 0, "the log is not worn");
    assert_eq!(store.stats()[2].objects, 1);
    let late = nats.store_with(StoreOptions { kinds: events(Duration::from_secs(60)), ..options() }).await;
    assert_eq!(value(&late.get(&key).unwrap()), 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_server_that_does_not_sync() {
    use crate::fixture::Sync;
    for (sync, allow, good) in [(Sync::Always, false, true), (Sync::Lazy, false, false), (Sync::Lazy, true, true)] {
        let nats = Nats::with(sync);
        let options = StoreOptions { system: Some(nats.connect("sys").await), allow_unsafe_sync: allow, ..options() };
        assert_eq!(
            Store::open(nats.js().await, options, &System::new()).await.map(drop),
            if good { Ok(()) } else { Err(state::store::StoreError::UnsafeSync) }
        );
    }
}

#[tokio::test]
async fn a_cluster_name_that_can_not_be_a_subject() {
    let nats = Nats::start();
    for name in ["", "a.b", "a b", "a*"] {
        let options = StoreOptions { cluster: name.to_owned(), ..options() };
        assert!(matches!(Store::open(nats.js().await, options, &System::new()).await.map(drop), Err(state::store::StoreError::Name(_))), "{name:?}");
    }
}

/// An operation on one of a few names; expectations are right unless `wrong`.
#[derive(Clone, Debug)]
struct Step {
    name: u8,
    delete: bool,
    wrong: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (0..5u8, any::<bool>(), proptest::bool::weighted(0.2)).prop_map(|(name, delete, wrong)| Step { name, delete, wrong })
}

#[test]
fn behaves_as_a_map_of_revisions() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let nats = Nats::start();
    let (store, witness) = runtime.block_on(async { (nats.store().await, nats.store().await) });
    let mut namespace = 0;
    let mut runner = TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() });
    let check = |steps: Vec<Step>| {
        namespace += 1;
        runtime.block_on(follow(&store, &witness, &format!("n{namespace}"), steps));
        Ok(())
    };
    runner.run_with(&proptest::collection::vec(step(), 1..40), check);
}

trait RunWith {
    fn run_with<S: Strategy>(&mut self, strategy: &S, check: impl FnMut(S::Value) -> Result<(), TestCaseError>);
}

impl RunWith for TestRunner {
    fn run_with<S: Strategy>(&mut self, strategy: &S, check: impl FnMut(S::Value) -> Result<(), TestCaseError>) {
        let check = std::cell::RefCell::new(check);
        self.run(strategy, |value| (check.borrow_mut())(value)).unwrap();
    }
}

async fn follow(store: &Store, witness: &Store, namespace: &str, steps: Vec<Step>) {
    let mut model: BTreeMap<u8, (u64, usize)> = BTreeMap::new();
    for (n, step) in steps.into_iter().enumerate() {
        let key = Key::new("", "configmaps", namespace, format!("k{}", step.name));
        let current = model.get(&step.name).map_or(0, |(revision, _)| *revision);
        let expect = if step.wrong { current + 1 } else { current };
        let op = if step.delete { StoreOp::Delete(object(&key, n)) } else { StoreOp::Put(object(&key, n)) };
        if step.delete && expect == 0 {
            continue;
        }
        match store.commit(Write { key, expect, op }).await {
            Ok(_) if step.wrong => panic!("a wrong expectation was accepted"),
            Ok(_) if step.delete => _ = model.remove(&step.name),
            Ok(stored) => _ = model.insert(step.name, (stored.revision, n)),
            Err(e) => assert!(step.wrong && e == CommitError::Conflict, "{e:?}"),
        }
    }
    witness.barrier("", "configmaps").await.unwrap();
    for store in [store, witness] {
        let listed: Vec<_> = store.list("", "configmaps", namespace).items.iter().map(|s| (s.key.name.to_string(), s.revision, value(s))).collect();
        let expected: Vec<_> = model.iter().map(|(k, (revision, v))| (format!("k{k}"), *revision, serde_json::json!(v))).collect();
        assert_eq!(listed, expected);
    }
}
