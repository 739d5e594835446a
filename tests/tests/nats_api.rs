//! The API over NATS, as programs use it that have a key of a user's: requests and their answers, watches, and what such a key can't do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use async_nats::{Client, ConnectOptions, HeaderMap, Message};
use e2e::{Cluster, Machine, output, run};
use futures::StreamExt;
use serde_json::{Value, json};
use std::future::Future;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

/// Runs something on a machine's network: NATS listens there on its own loopback.
fn on<T: Send + 'static, R: Future<Output = T>>(machine: &Machine, work: impl FnOnce() -> R + Send + 'static) -> T {
    let netns = std::fs::File::open(machine.netns()).unwrap();
    let thread = std::thread::spawn(move || {
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&netns), Some(rustix::thread::LinkNameSpaceType::Network)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work())
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A key for a user, with these rules of what it may ask.
fn key(cluster: &Cluster, user: &str, rules: &[&str]) -> String {
    let file = cluster.lab.path().join(format!("{user}.nk"));
    let allow = rules.iter().flat_map(|rule| ["--allow", rule]);
    run(cluster.whalesong(&["creds", "client", user, "--out", file.to_str().unwrap()]).args(allow));
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

/// A program of a user.
#[derive(Clone)]
struct Program {
    client: Client,
    user: &'static str,
}

impl Program {
    async fn connect(seed: &str, user: &'static str) -> Self {
        let options = ConnectOptions::with_nkey(seed.to_owned()).custom_inbox_prefix(format!("ws.default.inbox.client.{user}"));
        Self { client: options.connect("nats://127.0.0.1:4222").await.unwrap(), user }
    }

    fn subject(&self, rest: &str) -> String {
        format!("ws.default.api.{}.{rest}", self.user)
    }

    async fn message(&self, rest: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Message {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.insert(*name, *value));
        let asked = self.client.request_with_headers(self.subject(rest), map, body.into());
        tokio::time::timeout(LIMIT, asked).await.unwrap().unwrap()
    }

    /// The code of an answer, and its document.
    async fn ask(&self, rest: &str, headers: &[(&str, &str)], body: Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer = self.message(rest, headers, body).await;
        (code(&answer), serde_json::from_slice(&answer.payload).unwrap())
    }
}

fn code(answer: &Message) -> u16 {
    answer.headers.as_ref().unwrap().get("Status-Code").unwrap().as_str().parse().unwrap()
}

#[test]
fn programs() {
    let cluster = Cluster::start(&["--no-node"]);
    cluster.k(&["create", "rolebinding", "ci", "--clusterrole=admin", "--user=ci"]);
    cluster.k(&["create", "clusterrolebinding", "reader", "--clusterrole=view", "--user=reader"]);
    let (ci, reader) = (key(&cluster, "ci", &[]), key(&cluster, "reader", &["get:core/configmaps:default", "watch:core/configmaps:default"]));
    let bad = output(&mut cluster.whalesong(&["creds", "client", "x", "--allow", "pods"]));
    assert!(!bad.status.success() && String::from_utf8_lossy(&bad.stderr).contains("is no rule"), "{bad:?}");
    let bad = output(&mut cluster.whalesong(&["creds", "client", "system:masters"]));
    assert!(!bad.status.success(), "{bad:?}");
    let ours = ci.clone();
    on(&cluster.machines[0], move || requests(ours));
    on(&cluster.machines[0], move || watches(ci.clone(), reader.clone()));
    let fields = &cluster.get(&["configmap", "kept", "--show-managed-fields"])["metadata"]["managedFields"];
    assert_eq!(fields[0]["manager"], "robot", "{fields}");
    run(&mut cluster.whalesong(&["creds", "revoke", "client", "reader"]));
}

async fn requests(seed: String) {
    let ci = Program::connect(&seed, "ci").await;
    let object = json!({"metadata": {"name": "m"}, "data": {"a": "b"}});
    let made = ci.ask("create.core.configmaps.default.=", &[], object.clone()).await;
    assert_eq!((made.0, &made.1["metadata"]["name"]), (201, &json!("m")));
    let again = ci.message("create.core.configmaps.default.=", &[], object.to_string().into_bytes()).await;
    let headers = again.headers.as_ref().unwrap();
    let error = ["Nats-Service-Error-Code", "Nats-Service-Error"].map(|name| headers.get(name).unwrap().as_str().to_owned());
    assert_eq!(error, ["409", "configmaps \"m\" already exists"]);
    let packed = ci.message("get.core.configmaps.default.m", &[("Accept", "application/msgpack")], Vec::new()).await;
    // a map of four fields with short names
    assert!(packed.payload.starts_with(b"\x84\xaaapiVersion\xa2v1"), "{:?}", &packed.payload[..16]);
    // what was answered in MessagePack can be sent back in it
    let put = ci.message("update.core.configmaps.default.m", &[("Content-Type", "application/msgpack")], packed.payload.to_vec()).await;
    assert_eq!(code(&put), 200, "{:?}", put.payload);
    let patched = ci.ask("patch.core.configmaps.default.m", &[("fieldManager", "robot")], json!({"data": {"c": "d"}})).await;
    assert_eq!((patched.0, &patched.1["data"]), (200, &json!({"a": "b", "c": "d"})));
    let kept = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "b"}});
    let applied = ci.ask("patch.core.configmaps.default.kept", &[("Content-Type", "application/apply-patch+yaml"), ("fieldManager", "robot")], kept).await;
    assert_eq!(applied.0, 201, "{}", applied.1);
    let page = ci.ask("list.core.configmaps.default.=", &[("limit", "1")], Value::Null).await;
    assert!(page.0 == 200 && page.1["items"].as_array().unwrap().len() == 1 && page.1["metadata"]["continue"].is_string(), "{}", page.1);
    let old = ci.ask("get.autoscaling.horizontalpodautoscalers.default.x", &[("Api-Version", "v1")], Value::Null).await;
    assert_eq!((old.0, &old.1["reason"]), (404, &json!("NotFound")));
    for (subject, body, want) in [
        ("get.core.configmaps.default.=", Value::Null, 400),
        ("list.core.configmaps.default.m", Value::Null, 400),
        ("frob.core.configmaps.default.m", Value::Null, 400),
        ("get.core.nothings.default.m", Value::Null, 404),
        ("get.core.configmaps.kube-system.m", Value::Null, 403),
        ("list.core.nodes.=.=", Value::Null, 403),
        ("create.core.configmaps.default.=", json!({"metadata": {"name": "BAD"}}), 422),
        ("get.core.pods.default.x.exec", Value::Null, 400),
        ("create.authorization=2Ek8s=2Eio.selfsubjectaccessreviews.=.=", json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}), 201),
    ] {
        let (code, answer) = ci.ask(subject, &[], body).await;
        assert_eq!(code, want, "{subject}: {answer}");
    }
    let broken = ci.message("create.core.configmaps.default.=", &[("Content-Type", "application/msgpack")], vec![0x91; 100_000]).await;
    assert_eq!(code(&broken), 400);
    let strange = ci.message("list.core.configmaps.default.=", &[("watch", "true")], Vec::new()).await;
    assert!(strange.payload.starts_with(b"{\"kind\":\"ConfigMapList\""), "the subject alone says what is done");
}

async fn watches(ci: String, reader: String) {
    let (ci, reader) = (Program::connect(&ci, "ci").await, Program::connect(&reader, "reader").await);
    let inbox = reader.client.new_inbox();
    let mut events = reader.client.subscribe(inbox.clone()).await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("fieldSelector", "metadata.name=m");
    headers.insert("timeoutSeconds", "30");
    reader.client.publish_with_reply_and_headers(reader.subject("watch.core.configmaps.default.="), inbox, headers, "".into()).await.unwrap();
    let mut next = async || -> (String, Option<async_nats::Subject>) {
        let message = tokio::time::timeout(LIMIT, events.next()).await.unwrap().unwrap();
        let event: Value = serde_json::from_slice(&message.payload).unwrap();
        (event["type"].as_str().unwrap().to_owned(), message.reply)
    };
    assert_eq!(next().await.0, "ADDED");
    // one message in a thousand wants to be acknowledged: without, no more come
    let mut wanted = None;
    for n in 2..=1_000 {
        ci.ask("patch.core.configmaps.default.m", &[], json!({"data": {"n": n.to_string()}})).await;
        let (kind, reply) = next().await;
        assert_eq!((kind.as_str(), reply.is_some()), ("MODIFIED", n == 1_000));
        wanted = reply;
    }
    ci.ask("delete.core.configmaps.default.m", &[], Value::Null).await;
    tokio::time::timeout(Duration::from_millis(300), next()).await.unwrap_err();
    reader.client.publish(wanted.unwrap(), "".into()).await.unwrap();
    assert_eq!(next().await.0, "DELETED");
    refusals(&ci, &reader).await;
}

/// What a key can't do: ask as somebody else, ask what it isn't allowed, listen to others, be answered elsewhere.
async fn refusals(ci: &Program, reader: &Program) {
    let short = Duration::from_millis(500);
    let other = ci.client.request("ws.default.api.reader.get.core.configmaps.default.kept", "".into());
    assert!(tokio::time::timeout(short, other).await.is_err());
    let narrow = reader.client.request(reader.subject("list.core.configmaps.default.="), "".into());
    assert!(tokio::time::timeout(short, narrow).await.is_err());
    assert_eq!(reader.ask("get.core.configmaps.default.kept", &[], Value::Null).await.0, 200);
    let mut others = ci.client.subscribe("ws.default.inbox.client.reader.>").await.unwrap();
    let mut log = ci.client.subscribe("$KV.>").await.unwrap();
    for elsewhere in ["_INBOX.x", "ws.default.inbox.client.reader.x", "ws.default.call.state.api.any.state.x"] {
        ci.client.publish_with_reply(ci.subject("get.core.configmaps.default.kept"), elsewhere, "".into()).await.unwrap();
    }
    ci.client.flush().await.unwrap();
    assert_eq!(reader.ask("get.core.configmaps.default.kept", &[], Value::Null).await.0, 200);
    assert!(tokio::time::timeout(short, others.next()).await.is_err());
    assert!(tokio::time::timeout(short, log.next()).await.is_err());
}
