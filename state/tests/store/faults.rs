//! `kill -9` of the server in the middle of everything, checked against a history.
use crate::fixture::{Nats, key, options, put, value};
use bus::actor::System;
use futures::TryStreamExt;
use state::store::{CommitError, Store, StoreOptions, WatchFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

fn quick() -> StoreOptions {
    StoreOptions { ack_timeout: Duration::from_millis(500), ..options() }
}

/// What a set of writers did.
#[derive(Default)]
struct History {
    done: AtomicU64,
    unknown: AtomicU64,
    stop: AtomicBool,
}

/// Adds one to a counter that others add to, too, again and again.
async fn count(store: Store, name: String, history: Arc<History>) {
    let key = key(&name);
    while !history.stop.load(Ordering::Relaxed) {
        let (revision, n) = store.get(&key).map_or((0, 0), |s| (s.revision, value(&s).as_u64().unwrap()));
        match put(&store, &key, revision, n + 1).await {
            Ok(_) => _ = history.done.fetch_add(1, Ordering::Relaxed),
            Err(CommitError::Unknown(_)) => _ = history.unknown.fetch_add(1, Ordering::Relaxed),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(e) => panic!("{e}"),
        }
    }
}

async fn interrupted_counting(options: StoreOptions, names: usize) {
    let mut nats = Nats::start();
    let (a, b) = (nats.store_with(options.clone()).await, nats.store_with(options.clone()).await);
    let histories: Vec<Arc<History>> = (0..names).map(|_| Arc::default()).collect();
    let mut writers = tokio::task::JoinSet::new();
    for (n, history) in histories.iter().enumerate() {
        for store in [&a, &a, &b] {
            writers.spawn(count(store.clone(), format!("c{n}"), history.clone()));
        }
    }
    let mut feed = a.watch("", "configmaps", "", WatchFrom::Now).unwrap();
    let history = histories.clone();
    let watcher = tokio::spawn(async move {
        let mut last = std::collections::HashMap::new();
        while !history.iter().all(|h| h.stop.load(Ordering::Relaxed)) {
            for change in tokio::time::timeout(Duration::from_secs(20), feed.next()).await.expect("events go on").unwrap() {
                let n = value(&change.new).as_u64().unwrap();
                let before = last.insert(change.new.key.name.clone(), n).unwrap_or(0);
                assert!(n > before, "{} went from {before} to {n}", change.new.key);
            }
        }
    });
    for pause in [300, 700, 450] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        nats.kill();
        tokio::time::sleep(Duration::from_millis(100)).await;
        nats.run();
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    histories.iter().for_each(|h| h.stop.store(true, Ordering::Relaxed));
    while let Some(result) = writers.join_next().await {
        result.unwrap();
    }
    put(&a, &key("last"), 0, 1).await.unwrap();
    watcher.await.unwrap();
    let late = nats.store_with(options).await;
    b.barrier("", "configmaps").await.unwrap();
    let mut total = 0;
    for (n, history) in histories.iter().enumerate() {
        let (done, unknown) = (history.done.load(Ordering::Relaxed), history.unknown.load(Ordering::Relaxed));
        for store in [&a, &b, &late] {
            let counted = store.get(&key(&format!("c{n}"))).map_or(0, |s| value(&s).as_u64().unwrap());
            assert!((done..=done + unknown).contains(&counted), "c{n}: {done} acknowledged, {unknown} unknown, {counted} counted");
        }
        total += done;
    }
    println!("{total} acknowledged; {:?}; {:?}", a.stats()[0], b.stats()[0]);
    assert!(total > 100, "{total}");
    assert!(a.stats()[0].resolved + b.stats()[0].resolved > 0, "some acknowledgements were lost");
    assert_eq!(a.stats()[0].loads, 1, "a restart is caught up with, not loaded anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_dies_during_batches() {
    interrupted_counting(quick(), 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_dies_during_single_writes() {
    interrupted_counting(StoreOptions { group_commit: false, ..quick() }, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_go_while_others_write() {
    let nats = Nats::start();
    let store = nats.store().await;
    let histories: Vec<Arc<History>> = (0..32).map(|_| Arc::default()).collect();
    let mut writers = tokio::task::JoinSet::new();
    for (n, history) in histories.iter().enumerate() {
        writers.spawn(count(store.clone(), format!("c{n}"), history.clone()));
    }
    let stream = nats.js().await.get_stream("KV_ws-test-objects").await.unwrap();
    for gone in 1..=9 {
        let begun_again = async {
            while store.stats()[0].follows <= gone {
                let names: Vec<String> = stream.consumer_names().try_collect().await.unwrap();
                for name in names {
                    stream.delete_consumer(&name).await.unwrap();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), begun_again).await.expect("the tail begins again");
    }
    histories.iter().for_each(|h| h.stop.store(true, Ordering::Relaxed));
    while let Some(result) = writers.join_next().await {
        result.unwrap();
    }
    assert_eq!(store.stats()[0].loads, 1, "what was acknowledged meanwhile is not another stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_absence_is_loaded_anew() {
    let mut nats = Nats::start();
    let options = StoreOptions { marker_ttl: Duration::from_secs(2), ..quick() };
    let (a, b) = (nats.store_with(options.clone()).await, nats.store_with(options.clone()).await);
    put(&a, &key("kept"), 0, 1).await.unwrap();
    b.barrier("", "configmaps").await.unwrap();
    let mut feed = b.watch("", "configmaps", "", WatchFrom::Now).unwrap();
    drop(a);
    nats.kill();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    nats.run();
    let error = tokio::time::timeout(Duration::from_secs(10), feed.next()).await.unwrap().unwrap_err();
    assert_eq!(error.code(), 410, "a watch can't know what it missed");
    assert_eq!(b.stats()[0].loads, 2);
    assert_eq!(value(&b.get(&key("kept")).unwrap()), 1);
    put(&b, &key("new"), 0, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_nothing_waits_for_ever() {
    let mut nats = Nats::start();
    let limits = StoreOptions { resolve_for: Duration::from_secs(1), barrier_timeout: Duration::from_secs(1), ..quick() };
    let store = nats.store_with(limits).await;
    put(&store, &key("a"), 0, 1).await.unwrap();
    nats.kill();
    let within = Duration::from_secs(20);
    let error = tokio::time::timeout(within, put(&store, &key("b"), 0, 1)).await.unwrap().unwrap_err();
    assert!(matches!(error, CommitError::Unknown(_) | CommitError::Unavailable(_)), "{error:?}");
    assert!(tokio::time::timeout(within, store.barrier("", "configmaps")).await.unwrap().is_err());
    assert_eq!(value(&store.get(&key("a")).unwrap()), 1, "reads go on");
    nats.run();
    let back = async { while put(&store, &key("c"), 0, 1).await.is_err() {} };
    tokio::time::timeout(within, back).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_dies_during_a_load() {
    let mut nats = Nats::start();
    let store = nats.store().await;
    let keys = (0..3_000).map(|n| key(&format!("k{n}")));
    let written = futures::future::join_all(keys.map(|key| {
        let store = store.clone();
        async move { put(&store, &key, 0, "x".repeat(2_000)).await.unwrap() }
    }));
    written.await;
    for pause in [5, 20, 60] {
        let js = nats.js().await;
        let opening = tokio::spawn(async move { Store::open(js, quick(), &System::new()).await });
        tokio::time::sleep(Duration::from_millis(pause)).await;
        nats.kill();
        nats.run();
        match tokio::time::timeout(Duration::from_secs(30), opening).await.unwrap().unwrap() {
            Ok(late) => assert_eq!(late.list("", "configmaps", "").items.len(), 3_000),
            Err(e) => assert!(matches!(e, state::store::StoreError::Stream { .. }), "{e}"),
        }
    }
}
