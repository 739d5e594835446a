//! The window of changes: resuming, 410, the future, slow readers.
use crate::fixture::{Nats, delete, key, options, put, value};
use model::{Key, Reason};
use state::store::{Feed, RecordedChange, StoreOptions, WatchFrom, WindowLimits};
use std::sync::Arc;
use std::time::Duration;

async fn next(feed: &mut Feed) -> Vec<(String, bool, bool, u64)> {
    let changes = tokio::time::timeout(Duration::from_secs(5), feed.next()).await.expect("changes in time").unwrap();
    changes.iter().map(|c: &Arc<RecordedChange>| (c.new.key.name.to_string(), c.old.is_some(), c.deleted, c.revision)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_beginning_and_on() {
    let nats = Nats::start();
    let store = nats.store().await;
    let a = put(&store, &key("a"), 0, 1).await.unwrap();
    put(&store, &Key::new("", "configmaps", "other", "o"), 0, 1).await.unwrap();
    let mut all = store.watch("", "configmaps", "", WatchFrom::Initial).unwrap();
    let mut one = store.watch("", "configmaps", "default", WatchFrom::Initial).unwrap();
    assert_eq!(all.take_initial().iter().map(|s| s.key.name.to_string()).collect::<Vec<_>>(), ["a", "o"]);
    assert_eq!(one.take_initial().len(), 1);
    assert_eq!(one.revision(), 2);
    let b = put(&store, &key("b"), 0, 1).await.unwrap();
    let a2 = put(&store, &key("a"), a.revision, 2).await.unwrap();
    let gone = delete(&store, &b).await.unwrap();
    put(&store, &Key::new("", "configmaps", "other", "p"), 0, 1).await.unwrap();
    let expected = vec![("b".to_owned(), false, false, b.revision), ("a".to_owned(), true, false, a2.revision), ("b".to_owned(), true, true, gone.revision)];
    assert_eq!(next(&mut one).await, expected);
    assert_eq!(next(&mut all).await.len(), 4);
    assert_eq!(one.progress(), 6, "what happens elsewhere moves the bookmark");
    put(&store, &Key::new("", "secrets", "default", "s"), 0, 1).await.unwrap();
    assert_eq!((one.progress(), all.progress()), (7, 7));
    let mut resumed = store.watch("", "configmaps", "default", WatchFrom::After(b.revision)).unwrap();
    assert_eq!(next(&mut resumed).await, &expected[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_old_and_too_new() {
    let nats = Nats::start();
    let store = nats.store_with(StoreOptions { window: WindowLimits { events: 10, bytes: 1 << 20 }, ..options() }).await;
    let mut slow = store.watch("", "configmaps", "", WatchFrom::Now).unwrap();
    let mut last = put(&store, &key("a"), 0, 0).await.unwrap();
    for n in 1..30 {
        last = put(&store, &key("a"), last.revision, n).await.unwrap();
    }
    let error = store.watch("", "configmaps", "", WatchFrom::After(3)).err().unwrap();
    assert_eq!((error.reason, error.code(), &*error.message), (Reason::Expired, 410, "too old resource version: 3 (20)"));
    assert_eq!(slow.next().await.unwrap_err().reason, Reason::Expired);
    assert_eq!(next(&mut store.watch("", "configmaps", "", WatchFrom::After(20)).unwrap()).await.len(), 10);
    let error = store.watch("", "configmaps", "", WatchFrom::After(99)).unwrap().next().await.unwrap_err();
    assert_eq!((error.code(), &*error.message), (504, "Timeout: Too large resource version: 99, current: 30"));
    let mut future = store.watch("", "configmaps", "", WatchFrom::After(31)).unwrap();
    let (first, _) = tokio::join!(next(&mut future), async {
        let first = put(&store, &key("b"), 0, 0).await.unwrap();
        put(&store, &key("b"), first.revision, 1).await.unwrap();
    });
    assert_eq!(first, [("b".to_owned(), true, false, 32)], "neither skipped nor repeated");
    let restarted = nats.store().await;
    assert_eq!(restarted.watch("", "configmaps", "", WatchFrom::After(31)).err().unwrap().code(), 410, "the window starts at the load");
    restarted.watch("", "configmaps", "", WatchFrom::After(32)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_with_the_store() {
    let nats = Nats::start();
    let store = nats.store().await;
    let mut feed = store.watch("", "configmaps", "", WatchFrom::Now).unwrap();
    drop(store);
    assert_eq!(feed.next().await.unwrap_err().reason, Reason::ServiceUnavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_watchers_see_the_same() {
    let nats = Nats::start();
    let store = nats.store().await;
    let watchers: Vec<_> = (0..1000)
        .map(|_| {
            let mut feed = store.watch("", "configmaps", "", WatchFrom::Now).unwrap();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while seen.len() < 50 {
                    seen.extend(feed.next().await.unwrap().iter().map(|c| value(&c.new)));
                }
                seen
            })
        })
        .collect();
    for n in 0..50 {
        put(&store, &key(&format!("k{n}")), 0, n).await.unwrap();
    }
    let expected: Vec<_> = (0..50).map(serde_json::Value::from).collect();
    for watcher in watchers {
        assert_eq!(watcher.await.unwrap(), expected);
    }
}
