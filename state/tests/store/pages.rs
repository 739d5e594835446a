//! Lists in pages, at one revision, while everything changes.
use crate::fixture::{Nats, delete, key, options, put, value};
use futures::future::join_all;
use state::store::{PageRequest, Store, StoreOptions, WindowLimits};

async fn fill(store: &Store, n: usize) {
    join_all((0..n).map(|n| {
        let store = store.clone();
        async move { put(&store, &key(&format!("k{n:03}")), 0, n).await.unwrap() }
    }))
    .await;
}

fn page(limit: u64, continue_token: &str) -> PageRequest {
    PageRequest { namespace: "default".into(), limit, continue_token: continue_token.into(), at: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_are_of_one_revision() {
    let nats = Nats::start();
    let store = nats.store().await;
    fill(&store, 100).await;
    let before: Vec<_> = store.list("", "configmaps", "default").items.iter().map(|s| s.json().clone()).collect();
    let (mut seen, mut token, mut remaining) = (Vec::new(), String::new(), Vec::new());
    for round in 0.. {
        let page = store.list_page("", "configmaps", &page(30, &token), None).await.unwrap();
        assert_eq!(page.revision, 100);
        seen.extend(page.items.iter().map(|s| s.json().clone()));
        remaining.push(page.remaining);
        token = page.continue_token;
        if token.is_empty() {
            break;
        }
        for n in (round..100).step_by(3) {
            let key = key(&format!("k{n:03}"));
            match store.get(&key) {
                Some(stored) if n % 2 == 0 => _ = delete(&store, &stored).await.unwrap(),
                Some(stored) => _ = put(&store, &key, stored.revision, "changed").await.unwrap(),
                None => _ = put(&store, &key, 0, "again").await.unwrap(),
            }
            put(&store, &crate::fixture::key(&format!("k{n:03}-new-{round}")), 0, 0).await.unwrap();
        }
    }
    assert_eq!(seen, before);
    assert_eq!(remaining, [Some(70), Some(40), Some(10), None]);
    let past = store.list_page("", "configmaps", &PageRequest { at: Some(100), ..page(0, "") }, None).await.unwrap();
    assert_eq!(past.items.iter().map(|s| s.json().clone()).collect::<Vec<_>>(), before, "an exact revision");
}

#[tokio::test(flavor = "multi_thread")]
async fn filtered_pages_are_full() {
    let nats = Nats::start();
    let store = nats.store().await;
    fill(&store, 90).await;
    let third = |s: &model::Stored| value(s).as_u64().unwrap().is_multiple_of(3);
    let first = store.list_page("", "configmaps", &page(20, ""), Some(&third)).await.unwrap();
    assert_eq!((first.items.len(), first.remaining), (20, None));
    let second = store.list_page("", "configmaps", &page(20, &first.continue_token), Some(&third)).await.unwrap();
    assert_eq!((second.items.len(), &*second.continue_token), (10, ""));
    assert!(first.items.iter().chain(&second.items).all(|s| third(s)));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_expire() {
    let nats = Nats::start();
    let store = nats.store_with(StoreOptions { window: WindowLimits { events: 20, bytes: 1 << 20 }, ..options() }).await;
    fill(&store, 60).await;
    let first = store.list_page("", "configmaps", &page(10, ""), None).await.unwrap();
    for n in 60..90 {
        put(&store, &key(&format!("k{n:03}")), 0, n).await.unwrap();
    }
    let error = store.list_page("", "configmaps", &page(10, &first.continue_token), None).await.unwrap_err();
    assert_eq!(error.code(), 410);
    assert!(error.message.starts_with("The provided continue parameter is too old to display a consistent list result."));
    let status = error.to_status();
    let mut token = status["metadata"]["continue"].as_str().unwrap().to_owned();
    let (mut names, mut revisions) = (Vec::new(), std::collections::BTreeSet::new());
    while !token.is_empty() {
        let next = store.list_page("", "configmaps", &page(30, &token), None).await.unwrap();
        names.extend(next.items.iter().map(|s| s.key.name.to_string()));
        revisions.insert(next.revision);
        token = next.continue_token;
        put(&store, &key(&format!("a{}", names.len())), 0, 0).await.unwrap();
    }
    assert_eq!(revisions.len(), 1, "from there on it is consistent again");
    assert_eq!(names, (10..90).map(|n| format!("k{n:03}")).collect::<Vec<_>>(), "inconsistent, but complete");
    let error = store.list_page("", "configmaps", &PageRequest { at: Some(5), ..page(0, "") }, None).await.unwrap_err();
    assert_eq!((error.code(), &*error.message), (410, "The resourceVersion for the provided list is too old."));
    for token in ["x", "!!", "e30", "eyJyIjotMX0"] {
        let error = store.list_page("", "configmaps", &page(10, token), None).await.unwrap_err();
        assert!(error.code() == 400 && error.message.starts_with("continue key is not valid"), "{error}");
    }
    let error = store.list_page("", "configmaps", &PageRequest { at: Some(500), ..page(0, "") }, None).await.unwrap_err();
    assert_eq!(error.code(), 504);
}
