//! Watches: initial events, selectors, revisions.
use crate::fixture::{ACCOUNTS, CONFIG_MAPS, Cluster, PODS, Speaker, account, config_map, pod};
use bus::Role;
use model::ApiError;
use serde_json::json;
use state_client::{Event, Options, Request, Verb, Watch, WatchRequest};

async fn open(speaker: &Speaker, options: Options, initial_events: Option<bool>) -> Result<Watch, ApiError> {
    let request = Request { options, ..speaker.ask(Verb::Watch, CONFIG_MAPS, "default", "") };
    speaker.client.watch(WatchRequest::new(request, initial_events)).await
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

#[tokio::test(flavor = "multi_thread")]
async fn nodes_see_their_own_pods_only_and_all_of_them() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    let watch = |node: &'static str, revision: &str| {
        let agent = cluster.role(Role::Agent, node);
        let options = Options { field_selector: format!("spec.nodeName={node}"), resource_version: revision.to_owned(), ..Options::default() };
        let request = Request { options, ..agent.ask(Verb::Watch, PODS, "", "") };
        async move { agent.client.watch(WatchRequest { bookmarks: false, ..WatchRequest::new(request, None) }).await.unwrap() }
    };
    let first = admin.create(PODS, "default", pod("first")).await.unwrap();
    let bind = |name: &'static str, node: &'static str| admin.post(PODS, "default", name, "binding", json!({"target": {"kind": "Node", "name": node}}));
    bind("first", "n1").await.unwrap();
    let mut n1 = watch("n1", "0").await;
    let mut n2 = watch("n2", "0").await;
    let mut late = watch("n1", first.object().resource_version()).await;
    assert_eq!((next(&mut n1).await, next(&mut late).await), ("+first".into(), "+first".into()));
    for name in ["a", "b"] {
        admin.create(PODS, "default", pod(name)).await.unwrap();
    }
    bind("a", "n2").await.unwrap();
    bind("b", "n1").await.unwrap();
    admin.delete(PODS, "default", "b", json!({"gracePeriodSeconds": 0})).await.unwrap();
    admin.delete(PODS, "default", "a", json!({"gracePeriodSeconds": 0})).await.unwrap();
    for want in ["+b", "-b"] {
        assert_eq!((next(&mut n1).await, next(&mut late).await), (want.to_owned(), want.to_owned()));
    }
    assert_eq!((next(&mut n2).await, next(&mut n2).await), ("+a".into(), "-a".into()));
    // changes that came together are all seen
    let status = |i: usize| {
        let body = state_client::Body::Patch(state_client::PatchKind::Merge, json!({"status": {"message": i.to_string()}}).to_string().into_bytes().into());
        admin.ask(Verb::Patch, PODS, "default", "first").subresource("status").body(body)
    };
    let mut last = 0;
    for i in 0..50 {
        last = crate::fixture::stored(admin.send(status(i)).await.unwrap()).revision;
    }
    loop {
        match n1.next().await.unwrap().unwrap() {
            Event::Modified(o) if o.revision == last => break,
            Event::Modified(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// What an agent sees that comes back: all of its pods, or what it missed, or nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_come_back_are_told_what_they_missed() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    let watch = |revision: u64, initial: bool| {
        let agent = cluster.role(Role::Agent, "n1");
        let resource_version = if initial { String::new() } else { revision.to_string() };
        let options = Options { field_selector: "spec.nodeName=n1".to_owned(), resource_version, ..Options::default() };
        let request = Request { options, ..agent.ask(Verb::Watch, PODS, "", "") };
        async move { agent.client.watch(WatchRequest::new(request, initial.then_some(true))).await.unwrap() }
    };
    let bound = |name: &'static str, node: &'static str| {
        let admin = admin.clone();
        async move {
            admin.create(PODS, "default", pod(name)).await.unwrap();
            admin.post(PODS, "default", name, "binding", json!({"target": {"kind": "Node", "name": node}})).await.unwrap();
            admin.get(PODS, "default", name).await.unwrap().revision
        }
    };
    let seen = bound("a", "n1").await;
    bound("other", "n2").await;
    // elsewhere something happened, here nothing
    let mut quiet = watch(seen, false).await;
    bound("b", "n1").await;
    // here something happened
    let mut missed = watch(seen, false).await;
    assert_eq!((next(&mut quiet).await, next(&mut missed).await), ("+b".into(), "+b".into()));
    let mut anew = watch(0, true).await;
    let mut all = [next(&mut anew).await, next(&mut anew).await];
    all.sort();
    assert_eq!(all, ["+a", "+b"]);
    assert!(matches!(anew.next().await.unwrap().unwrap(), Event::Bookmark { initial_events_end: true, .. }));
    admin.delete(PODS, "default", "a", json!({"gracePeriodSeconds": 0})).await.unwrap();
    for watch in [&mut quiet, &mut missed, &mut anew] {
        assert_eq!(next(watch).await, "-a");
    }
    // the pod that is gone is no longer among those of a new watch
    let mut last = watch(0, true).await;
    assert_eq!(next(&mut last).await, "+b");
    assert!(matches!(last.next().await.unwrap().unwrap(), Event::Bookmark { initial_events_end: true, .. }));
}
