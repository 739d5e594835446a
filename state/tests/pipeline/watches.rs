//! Watches: initial events, selectors, revisions.
use crate::fixture::{CONFIG_MAPS, Cluster, Speaker, config_map};
use model::ApiError;
use serde_json::json;
use state_client::{Event, Options, Request, Verb, Watch, WatchRequest};

async fn open(speaker: &Speaker, options: Options, initial_events: Option<bool>) -> Result<Watch, ApiError> {
    let request = Request { options, ..speaker.ask(Verb::Watch, CONFIG_MAPS, "default", "") };
    speaker.client.watch(WatchRequest { request, bookmarks: true, initial_events }).await
}

/// The next event, short: `+name`, `~name`, `-name`, `bookmark`, `initial`, `code`.
async fn next(watch: &mut Watch) -> String {
    match watch.next().await.unwrap().unwrap() {
        Event::Added(o) => format!("+{}", o.key.name),
        Event::Modified(o) => format!("~{}", o.key.name),
        Event::Deleted(o) => format!("-{}", o.key.name),
        Event::Bookmark { initial_events_end: true, .. } => "initial".to_owned(),
        Event::Bookmark { .. } => "bookmark".to_owned(),
        Event::Error(e) => e.code().to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_and_what_happens() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let first = admin.create(CONFIG_MAPS, "default", config_map("a")).await.unwrap();
    let mut all = open(&admin, Options::default(), Some(true)).await.unwrap();
    let mut since = open(&admin, Options { resource_version: first.object().resource_version().into(), ..Options::default() }, None).await.unwrap();
    assert_eq!((next(&mut all).await, next(&mut all).await), ("+a".into(), "initial".into()));
    admin.create(CONFIG_MAPS, "default", config_map("b")).await.unwrap();
    admin.patch(CONFIG_MAPS, "", "default", "b", json!({"data": {"a": "2"}})).await.unwrap();
    admin.create(CONFIG_MAPS, "kube-system", config_map("elsewhere")).await.unwrap();
    admin.delete(CONFIG_MAPS, "default", "a", json!({})).await.unwrap();
    for want in ["+b", "~b", "-a"] {
        assert_eq!((next(&mut all).await, next(&mut since).await), (want.to_owned(), want.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_is_entered_and_left() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let mut watch = open(&admin, Options { label_selector: "tier=front".into(), ..Options::default() }, Some(true)).await.unwrap();
    assert_eq!(next(&mut watch).await, "initial");
    admin.create(CONFIG_MAPS, "default", config_map("a")).await.unwrap();
    let label = |tier: &str| admin.patch(CONFIG_MAPS, "", "default", "a", json!({"metadata": {"labels": {"tier": tier}}}));
    let entered = label("front").await.unwrap();
    label("back").await.unwrap();
    let entered_again = label("front").await.unwrap();
    assert!(entered_again.revision > entered.revision);
    admin.patch(CONFIG_MAPS, "", "default", "a", json!({"data": {"x": "y"}})).await.unwrap();
    admin.delete(CONFIG_MAPS, "default", "a", json!({})).await.unwrap();
    for want in ["+a", "-a", "+a", "~a", "-a"] {
        assert_eq!(next(&mut watch).await, want);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_needs_permission_and_a_revision_that_is_held() {
    let cluster = Cluster::start().await;
    let alice = cluster.user("alice");
    let refused = open(&alice, Options::default(), None).await.err().unwrap();
    assert_eq!(refused.message, r#"configmaps is forbidden: User "alice" cannot watch resource "configmaps" in API group "" in the namespace "default""#);
    let bad = open(&cluster.admin(), Options { resource_version: "x".into(), ..Options::default() }, None).await.err().unwrap();
    assert_eq!(bad.code(), 400);
}
