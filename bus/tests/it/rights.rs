//! Every subject that there is, tried with every role's key on a real server: what each may publish and hear is written down here once more, independently
//! of the rules that the server is given.

use crate::common::{CLUSTER, Rig};
use async_nats::Client;
use bus::{Caller, Role};
use std::collections::HashSet;
use tokio::sync::mpsc::UnboundedReceiver;

const SERVICES: [&str; 10] = [
    "state.api",
    "state.watch",
    "node.stream",
    "gateway.x",
    "scheduler.x",
    "controllers.x",
    "metrics.query",
    "process.status",
    "process.join",
    "process.reload",
];
/// Roles that hold leases, and answer requests to any instance.
const CONTROL: [Role; 3] = [Role::Gateway, Role::Scheduler, Role::Controllers];

fn everybody() -> Vec<Caller> {
    let of = [
        (Role::State, "s"),
        (Role::Gateway, "g"),
        (Role::Scheduler, "a"),
        (Role::Controllers, "c"),
        (Role::Agent, "n1"),
        (Role::Agent, "n2"),
        (Role::Admin, "admin"),
        (Role::Join, "UTOKEN"),
        (Role::Client, "ci"),
    ];
    of.map(|(role, name)| Caller::new(role, name)).to_vec()
}

fn tokens(caller: &Caller) -> String {
    format!("{}.{}", caller.role.name(), caller.name)
}

/// Concrete subjects of all kinds, of this cluster and beside it.
fn subjects(root: &str) -> Vec<String> {
    let mut all = vec![];
    for from in everybody().iter().map(tokens) {
        for (verb, service) in ["call", "open"].into_iter().flat_map(|verb| SERVICES.map(|service| (verb, service))) {
            all.extend(["any", "i.n1", "i.n2", "i.s"].map(|target| format!("{root}.{verb}.{service}.{target}.{from}")));
        }
        all.extend([format!("{root}.inbox.{from}.K.7"), format!("{root}.js.{from}.K.x.y")]);
        all.extend(["node.usage", "node.other"].map(|topic| format!("{root}.notice.{topic}.{from}")));
        for by in everybody().iter().map(tokens) {
            all.extend([format!("{root}.inbox.{from}.K.7.{by}"), format!("{root}.inbox.{from}.K.7.8.{by}"), format!("{root}.stream.{from}.K.7.{by}")]);
        }
    }
    for user in ["ci", "n1"] {
        all.extend([format!("{root}.api.{user}.get.core.pods.web.a"), format!("{root}.ack.{user}.g.1"), format!("{root}.ack.{user}.h.1")]);
    }
    all.extend(["log.a.b", "other", "inbox"].map(|word| format!("{root}.{word}")));
    all
}

/// What isn't below any cluster.
fn outside() -> Vec<String> {
    let mut all: Vec<String> =
        ["$SRV.PING", "$SRV.STATS.x.y", "_INBOX.a", "_INBOX.a.b", "orders.new", "$SYS.REQ.SERVER.PING", "$KV.x.y", "$JS.ACK.x"].map(str::to_owned).to_vec();
    for bucket in ["objects", "events", "leases", "locks", "other"] {
        all.extend([CLUSTER, "other"].map(|cluster| format!("$KV.ws-{cluster}-{bucket}.a.b")));
    }
    for stream in [format!("KV_ws-{CLUSTER}-locks"), "ABSENT".to_owned()] {
        let apis = ["STREAM.CREATE", "STREAM.INFO", "STREAM.UPDATE", "STREAM.MSG.GET", "STREAM.MSG.DELETE", "STREAM.PURGE", "STREAM.SNAPSHOT", "DIRECT.GET"];
        all.extend(apis.map(|api| format!("$JS.API.{api}.{stream}")));
        all.push(format!("$JS.API.CONSUMER.CREATE.{stream}"));
    }
    all
}

fn may_ask(role: Role, service: &str) -> bool {
    match role {
        Role::State | Role::Admin => true,
        Role::Gateway => service.starts_with("state.") || service.starts_with("node.") || service == "process.status",
        Role::Controllers => service.starts_with("state.") || service.starts_with("metrics."),
        Role::Scheduler | Role::Agent => service.starts_with("state."),
        Role::Join => service == "process.join",
        Role::Client => false,
    }
}

fn may_serve(caller: &Caller, service: &str, target: &str) -> bool {
    let word = service.split('.').next().unwrap();
    match caller.role {
        Role::State => true,
        Role::Agent => matches!(word, "node" | "process") && target == format!("i.{}", caller.name),
        Role::Admin | Role::Join | Role::Client => false,
        Role::Gateway if word == "metrics" => true,
        role => word == role.name() || word == "process",
    }
}

/// Which of the cluster's buckets a subject is a key of.
fn bucket(subject: &str) -> Option<&str> {
    let (bucket, _) = subject.strip_prefix("$KV.")?.split_once('.')?;
    bucket.strip_prefix(&format!("ws-{CLUSTER}-")).filter(|name| *name != "other")
}

fn may_publish(caller: &Caller, subject: &str) -> bool {
    let (own, control) = (tokens(caller), CONTROL.contains(&caller.role));
    let state = caller.role == Role::State;
    if subject.starts_with("$JS.") {
        let locks = ["CREATE", "INFO", "MSG.GET"].iter().any(|api| subject == format!("$JS.API.STREAM.{api}.KV_ws-{CLUSTER}-locks"));
        return state || (control && locks);
    }
    if subject.starts_with("$SRV.") {
        return state || matches!(caller.role, Role::Gateway | Role::Admin);
    }
    if subject.starts_with("_INBOX.") {
        return control;
    }
    if let Some(bucket) = bucket(subject) {
        return state || (control && bucket == "locks");
    }
    let Some(rest) = subject.strip_prefix(&format!("ws.{CLUSTER}.")) else { return false };
    if state {
        return true;
    }
    let words: Vec<&str> = rest.split('.').collect();
    let client = caller.role == Role::Client;
    match words[0] {
        "api" | "ack" => client && words[1] == caller.name,
        "inbox" | "stream" if client => false,
        "inbox" if caller.role == Role::Gateway && words.get(1) == Some(&"client") => true,
        "call" | "open" => rest.ends_with(&format!(".{own}")) && may_ask(caller.role, &words[1..3].join(".")),
        "inbox" if rest.starts_with(&format!("inbox.{own}.")) => true,
        "inbox" => (control || caller.role == Role::Agent) && words.len() == 7 && rest.ends_with(&format!(".{own}")),
        "stream" => rest.ends_with(&format!(".{own}")),
        "notice" => caller.role == Role::Agent && rest == format!("notice.node.usage.{own}"),
        _ => false,
    }
}

fn may_hear(caller: &Caller, subject: &str) -> bool {
    let (own, control) = (tokens(caller), CONTROL.contains(&caller.role));
    let state = caller.role == Role::State;
    if subject.starts_with("$SRV.") {
        return !matches!(caller.role, Role::Admin | Role::Join | Role::Client);
    }
    if subject.starts_with("_INBOX.") {
        return caller.role == Role::Admin;
    }
    if let Some(bucket) = bucket(subject) {
        return state || (control && bucket == "locks");
    }
    let Some(rest) = subject.strip_prefix(&format!("ws.{CLUSTER}.")) else { return false };
    if state {
        return true;
    }
    let words: Vec<&str> = rest.split('.').collect();
    match words[0] {
        "call" | "open" => may_serve(caller, &words[1..3].join("."), &words[3..words.len() - 2].join(".")),
        "api" => caller.role == Role::Gateway,
        "ack" => caller.role == Role::Gateway && words[2] == caller.name,
        "stream" if caller.role == Role::Client => false,
        "inbox" | "stream" => rest.starts_with(&format!("{}.{own}.", words[0])),
        "notice" => caller.role == Role::Controllers && rest.starts_with("notice.node.usage."),
        "js" => control && rest.starts_with(&format!("js.{own}.")),
        _ => false,
    }
}

/// The client library keeps no more than so many refusals for who listens to them.
const AT_ONCE: usize = 60;

/// Which of these subjects the server refuses. After each handful comes one that it refuses always, so that nothing is missed and nothing waited for.
async fn refusals<'a>(client: &Client, refused: &mut UnboundedReceiver<String>, tried: &'a [String], hear: bool) -> HashSet<&'a str> {
    let (mut all, of) = (HashSet::new(), if hear { "subscription" } else { "publish" });
    for some in tried.chunks(AT_ONCE) {
        let mut held = vec![];
        for subject in some {
            if hear { held.push(client.subscribe(subject.clone()).await.unwrap()) } else { client.publish(subject.clone(), "".into()).await.unwrap() }
        }
        client.publish("never.allowed", "".into()).await.unwrap();
        loop {
            let words = refused.recv().await.unwrap();
            let subject = words.split('"').nth(1).unwrap();
            if subject == "never.allowed" {
                break;
            }
            assert!(words.to_lowercase().contains(of), "{words}");
            all.extend(some.iter().find(|s| *s == subject).map(String::as_str));
        }
    }
    all
}

#[tokio::test]
async fn each_key_may_do_what_its_role_needs_and_no_more() {
    let rig = Rig::start(&everybody(), 1 << 20).await;
    let mut tried = [subjects(&format!("ws.{CLUSTER}")), outside(), ["ws.other", &format!("ws.{CLUSTER}2")].map(foreign).concat()].concat();
    tried.sort();
    tried.dedup();
    let mut wrong = vec![];
    for caller in everybody() {
        let (client, mut refused) = rig.raw(&caller).await;
        let not_said = refusals(&client, &mut refused, &tried, false).await;
        wrong.extend(tried.iter().filter(|s| not_said.contains(s.as_str()) == may_publish(&caller, s)).map(|s| format!("{caller} publishes {s}")));
        let not_heard = refusals(&client, &mut refused, &tried, true).await;
        wrong.extend(tried.iter().filter(|s| not_heard.contains(s.as_str()) == may_hear(&caller, s)).map(|s| format!("{caller} hears {s}")));
    }
    assert!(wrong.is_empty(), "{} of them are other than expected:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every hundredth subject of another cluster: none of them is anybody's.
fn foreign(root: &str) -> Vec<String> {
    subjects(root).into_iter().step_by(100).collect()
}

/// Patterns that reach further than one's own are refused whole.
#[tokio::test]
async fn nobody_hears_by_a_pattern_what_they_may_not_hear() {
    let rig = Rig::start(&everybody(), 1 << 20).await;
    let patterns = [">", "*.>", "ws.>", "$KV.>", "$JS.>", "$SYS.>", "*.*.*.*.*.*.*.*.*"].map(str::to_owned);
    let inside = [">", "log.>", "inbox.>", "inbox.*.*.>", "call.>", "call.state.api.any.*.*", "stream.>", "open.node.stream.i.*.*.*", "js.>", "notice.>"];
    let patterns: Vec<String> = patterns.into_iter().chain(inside.map(|p| format!("ws.{CLUSTER}.{p}"))).collect();
    for caller in everybody().into_iter().filter(|caller| caller.role != Role::State) {
        let (client, mut refused) = rig.raw(&caller).await;
        let refused = refusals(&client, &mut refused, &patterns, true).await;
        let allowed: Vec<&String> = patterns.iter().filter(|p| !refused.contains(p.as_str())).collect();
        assert!(allowed.is_empty(), "{caller} hears {allowed:?}");
    }
}
