//! How often memory is asked for on the way of a write and of an event, over all threads. It doesn't depend on the machine, and hardly on the build.
//! Each bound has a little room over what was counted when it was written: who parses an object once more finds it here.
//! Nothing else may run in this process meanwhile: hence one test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use arc_swap::ArcSwap;
use bus::actor::System;
use bus::server::{Server, ServerOptions};
use bus::{Bus, Caller, Role};
use e2e::allocations::{Counting, so_far};
use futures::FutureExt;
use model::{Key, Object, kinds};
use serde_json::{Value, json};
use state::PipelineOptions;
use state::store::offline::Offline;
use state::store::{Store, StoreOp, StoreOptions, Write};
use state_client::{Body, Client, PatchKind, Request, Verb};
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `work` asks for memory, for each of `times`.
fn each<T>(times: u64, mut work: impl FnMut(u64) -> T) -> f64 {
    let before = so_far();
    for n in 0..times {
        std::hint::black_box(work(n));
    }
    (so_far() - before) as f64 / times as f64
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"k": "x".repeat(512)}})
}

fn put(name: &str) -> Write {
    Write { key: Key::new("", "configmaps", "default", name), expect: 0, op: StoreOp::Put(Object::from_value(map(name)).unwrap()) }
}

/// The steps by themselves, in this thread.
fn steps() -> Vec<(&'static str, f64)> {
    let json = map("c").to_string();
    let request = Request::new(Verb::Create, "", "configmaps", "default", "").body(Body::Json(json.clone().into()));
    let packed = bus::wire::encode("state.api", &request).unwrap();
    let decoded = each(100, |_| Object::from_json(json.as_bytes()).unwrap());
    let encoded = each(100, |_| bus::wire::encode("state.api", &request).unwrap());
    let unpacked = each(100, |_| bus::wire::decode::<Request>("state.api", &packed).unwrap());

    let mut store = Offline::default();
    let mut writes: Vec<Vec<Write>> = (0..100).map(|n| vec![put(&format!("c{n}"))]).collect();
    let committed = each(100, |_| {
        let batch = store.batch(writes.pop().unwrap()).unwrap();
        store.acknowledged(batch).unwrap()
    });
    let mut feeds: Vec<_> = (0..1000).map(|_| store.watch("", "configmaps").unwrap()).collect();
    let mut batches: Vec<_> = (0..20).map(|n| store.batch(vec![put(&format!("w{n}"))]).unwrap()).rev().collect();
    let fanned_out = each(20, |_| {
        store.acknowledged(batches.pop().unwrap()).unwrap();
        feeds.iter_mut().for_each(|feed| assert_eq!(feed.next().now_or_never().unwrap().unwrap().len(), 1));
    });
    vec![("decode", decoded), ("encode a request", encoded), ("decode a request", unpacked), ("commit", committed), ("an event to 1,000 watchers", fanned_out)]
}

/// The whole of `state`, with a real server, asked over a bus within the process.
async fn state(store: Store, table: Arc<ArcSwap<model::Kinds>>) -> Vec<(&'static str, f64)> {
    const TIMES: u64 = 200;
    let bus = Bus::local("test", Caller::new(Role::State, "s"));
    let _services = state::serve(&bus, store, PipelineOptions::new(table)).await.unwrap();
    let client = Client::new(bus.speaking_as(Caller::new(Role::Admin, "admin")));
    let mut counts = Vec::new();
    for (what, verb, body) in REQUESTS {
        let request = |n: u64| {
            let name = format!("{}{n}", if what == WARM { "warm" } else { "c" });
            let named = if matches!(verb, Verb::Get | Verb::Patch) { name.as_str() } else { "" };
            let mut request = Request::new(verb, "", "configmaps", "default", named).body(body(&name));
            request.options.limit = 100;
            request
        };
        let mut requests: Vec<Request> = (0..TIMES).map(request).collect();
        let before = so_far();
        while let Some(request) = requests.pop() {
            client.call(request).await.unwrap();
        }
        counts.push((what, (so_far() - before) as f64 / TIMES as f64));
    }
    counts
}

/// What is asked for first: its count has in it what is made once.
const WARM: &str = "warm up";

type Asked = (&'static str, Verb, fn(&str) -> Body);

/// What the pipeline is asked for, in this order.
const REQUESTS: [Asked; 5] = [
    (WARM, Verb::Create, |name| Body::Json(map(name).to_string().into())),
    ("create", Verb::Create, |name| Body::Json(map(name).to_string().into())),
    ("get", Verb::Get, |_| Body::None),
    ("merge patch", Verb::Patch, |name| Body::Patch(PatchKind::Merge, json!({"data": {"n": name}}).to_string().into())),
    ("list of 100", Verb::List, |_| Body::None),
];

/// At most so many allocations are expected of each.
const BOUNDS: [(&str, f64); 9] = [
    // 15: the map, and each string and name of a ConfigMap with six
    ("decode", 18.0),
    // 8 and 9: the buffer as it grows; the names of the request and its body
    ("encode a request", 10.0),
    ("decode a request", 12.0),
    // 24: JSON, subject, headers and their values, who waits, the object as it is served, its row and its change; no second parse, which would be 15
    ("commit", 28.0),
    // 1,013 for a thousand watchers: one list of changes each; what they share is made once
    ("an event to 1,000 watchers", 1_050.0),
    // 148: decoded once, never copied, defaulted, admitted, committed over the connection, read back by the tail, answered; some 40 of it for the owners of
    // its fields
    ("create", 152.0),
    // 58: a question for the log's end over the connection, and no parse
    ("get", 65.0),
    // 220: both, the object copied and merged; 23 of it for parsing the object, of which only JSON is kept, and 70 for the owners of its fields, which are
    // parsed and copied with it
    ("merge patch", 226.0),
    // 76: as a read, and one list: nothing for each of the 100
    ("list of 100", 85.0),
];

#[test]
fn memory_is_asked_for_no_more_often_than_it_was() {
    let mut counts = steps();
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start(ServerOptions::new(directory.path())).await.unwrap();
        let table = Arc::new(ArcSwap::from_pointee(kinds::builtin()));
        let js = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
        counts.extend(state(Store::open(js, StoreOptions::new("test", table.clone()), &System::new()).await.unwrap(), table).await);
        server.stop().await;
    });
    eprintln!("{counts:?}");
    for (what, bound) in BOUNDS {
        let (_, count) = counts.iter().find(|(counted, _)| *counted == what).unwrap();
        assert!(*count <= bound, "{what}: {count} allocations, and at most {bound} are expected; all: {counts:?}");
    }
}
