//! The streams are key-value buckets, and what was stored before they were is brought over.
use crate::fixture::{Nats, delete, key, object, put, value};
use async_nats::jetstream::kv::{self, Operation};
use async_nats::jetstream::stream::Config;
use async_nats::{HeaderMap, header};
use futures::{StreamExt, TryStreamExt};
use model::{Key, Stored};
use std::time::Duration;

async fn bucket(nats: &Nats) -> kv::Store {
    nats.js().await.get_key_value("ws-test-objects").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn any_client_of_key_value_buckets_sees_objects_and_their_changes() {
    let nats = Nats::start();
    let store = nats.store().await;
    let first = put(&store, &key("a.b"), 0, 1).await.unwrap();
    put(&store, &key("c"), 0, 1).await.unwrap();
    let bucket = bucket(&nats).await;
    let mut keys: Vec<String> = bucket.keys().await.unwrap().try_collect().await.unwrap();
    keys.sort();
    assert_eq!(keys, ["=.configmaps.default.a=2Eb", "=.configmaps.default.c"]);
    let entry = bucket.entry("=.configmaps.default.a=2Eb").await.unwrap().unwrap();
    assert_eq!((entry.revision, entry.operation), (first.revision, Operation::Put));
    let shown: serde_json::Value = serde_json::from_slice(&entry.value).unwrap();
    assert_eq!((&shown["metadata"]["name"], &shown["data"]["value"]), (&"a.b".into(), &1.into()));
    let mut watch = bucket.watch("=.configmaps.>").await.unwrap();
    let second = put(&store, &key("a.b"), first.revision, 2).await.unwrap();
    delete(&store, &second).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let entry = tokio::time::timeout(Duration::from_secs(5), watch.next()).await.unwrap().unwrap().unwrap();
        seen.push((entry.key, entry.operation));
    }
    let name = "=.configmaps.default.a=2Eb".to_owned();
    assert_eq!(seen, [(name.clone(), Operation::Put), (name.clone(), Operation::Delete)]);
    assert_eq!(bucket.get(name).await.unwrap(), None, "what is deleted isn't there");
    assert_eq!(bucket.status().await.unwrap().history(), 1);
}

/// A message as it was stored before.
async fn publish_old(nats: &Nats, subject: &str, key: &Key, more: &[(&str, &str)]) -> u64 {
    let js = nats.js().await;
    let mut headers = HeaderMap::new();
    headers.insert("Whalesong-Id", "0.1");
    headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
    more.iter().for_each(|(name, value)| headers.insert(*name, *value));
    let payload = Stored::encode(&object(key, &*key.name)).unwrap();
    js.publish_with_headers(format!("ws.test.log.{subject}"), headers, payload).await.unwrap().await.unwrap().sequence
}

async fn old_stream(nats: &Nats) {
    let config = Config {
        name: "WS_test_LOG".to_owned(),
        subjects: vec!["ws.test.log.>".to_owned()],
        max_messages_per_subject: 1,
        allow_message_ttl: true,
        allow_direct: true,
        ..Config::default()
    };
    let locks = Config { name: "WS_test_LOCKS".to_owned(), subjects: vec!["ws.test.locks.>".to_owned()], ..Config::default() };
    nats.js().await.create_stream(config).await.unwrap();
    nats.js().await.create_stream(locks).await.unwrap();
}

/// Two objects and the marker of a third.
async fn what_was_before(nats: &Nats) -> u64 {
    old_stream(nats).await;
    publish_old(nats, "_.configmaps.default.a%2Eb", &key("a.b"), &[]).await;
    publish_old(nats, "_.configmaps.default.gone", &key("gone"), &[("Whalesong-Op", "delete"), ("Nats-TTL", "3600s")]).await;
    publish_old(nats, "_.configmaps.default.c", &key("c"), &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_before_is_brought_over() {
    let nats = Nats::start();
    let last = what_was_before(&nats).await;
    for _ in 0..2 {
        let store = nats.store().await;
        let found: Vec<_> = store.list("", "configmaps", "default").items.iter().map(|o| (o.key.name.to_string(), value(o))).collect();
        assert_eq!(found, [("a.b".to_owned(), "a.b".into()), ("c".to_owned(), "c".into())]);
        let a = store.get(&key("a.b")).unwrap();
        assert!(a.revision > last, "revisions go on from {last}: {}", a.revision);
        for name in ["WS_test_LOG", "WS_test_LOCKS"] {
            assert!(nats.js().await.get_stream(name).await.is_err(), "the stream of before is gone: {name}");
        }
    }
    let store = nats.store().await;
    let (a, gone) = (store.get(&key("a.b")).unwrap(), put(&store, &key("gone"), 0, 2).await.unwrap());
    put(&store, &key("a.b"), a.revision, 2).await.unwrap();
    assert!(gone.revision > last);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_stopped_while_bringing_it_over_is_continued() {
    let nats = Nats::start();
    let last = what_was_before(&nats).await;
    let js = nats.js().await;
    let half = Config {
        name: "KV_ws-test-objects".to_owned(),
        subjects: vec!["$KV.ws-test-objects.>".to_owned()],
        max_messages_per_subject: 1,
        allow_direct: true,
        allow_message_ttl: true,
        first_sequence: Some(last + 1),
        metadata: [("whalesong.filling".to_owned(), "WS_test_LOG".to_owned())].into(),
        ..Config::default()
    };
    js.create_stream(half).await.unwrap();
    js.publish("$KV.ws-test-objects.=.configmaps.default.c", Stored::encode(&object(&key("c"), "c")).unwrap()).await.unwrap().await.unwrap();
    let (one, two) = tokio::join!(nats.store(), nats.store());
    for store in [one, two] {
        let found: Vec<String> = store.list("", "configmaps", "default").items.iter().map(|o| o.key.name.to_string()).collect();
        assert_eq!(found, ["a.b", "c"]);
    }
    assert!(js.get_stream("WS_test_LOG").await.is_err());
}
