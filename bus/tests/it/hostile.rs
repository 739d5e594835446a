//! What somebody gets who has a node's key and uses it as nobody is meant to: each test fails when the boundary that it names is gone.

use crate::common::{CLUSTER, Flow, Got, Rig, SECOND, Want, want};
use async_nats::HeaderMap;
use bus::wire::{Packet, encode};
use bus::{Bus, Call, Caller, Incoming, Open, Opening, Role, To};
use bytes::Bytes;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::time::Duration;

#[derive(Debug, Serialize, Deserialize)]
struct Exec(String);
impl Open for Exec {
    type Up = ByteBuf;
    type Down = ByteBuf;
    type Refusal = String;
    const SERVICE: &'static str = "node.exec";
}

const SOON: Duration = Duration::from_millis(200);

fn state() -> Caller {
    Caller::new(Role::State, "s")
}
fn evil() -> Caller {
    Caller::new(Role::Agent, "evil")
}
fn gateway() -> Caller {
    Caller::new(Role::Gateway, "g")
}

async fn rig() -> Rig {
    Rig::start(&[state(), evil(), gateway(), Caller::new(Role::Agent, "n1")], 1 << 20).await
}

async fn give(incoming: Incoming<Want>) -> Got {
    Got { body: ByteBuf::from(vec![7; incoming.message.size]), received: incoming.message.body.len(), caller: incoming.caller }
}

/// A log as `state` has it, with one entry.
async fn log(bus: &Bus) -> async_nats::jetstream::stream::Stream {
    let js = bus.jetstream().unwrap();
    let subjects = vec![format!("$KV.ws-{CLUSTER}-objects.>")];
    let config = async_nats::jetstream::stream::Config { name: format!("KV_ws-{CLUSTER}-objects"), subjects, ..Default::default() };
    let stream = js.create_stream(config).await.unwrap();
    js.publish(format!("$KV.ws-{CLUSTER}-objects.a"), "kept".into()).await.unwrap().await.unwrap();
    stream
}

async fn intact(stream: &async_nats::jetstream::stream::Stream) {
    let entry = stream.get_last_raw_message_by_subject(&format!("$KV.ws-{CLUSTER}-objects.a")).await.unwrap();
    assert_eq!((entry.sequence, &entry.payload[..]), (1, &b"kept"[..]));
}

/// Subjects that a reply must never reach.
fn forbidden_replies(rig: &Rig) -> Vec<String> {
    let stream = format!("KV_ws-{CLUSTER}-objects");
    vec![
        format!("$JS.API.STREAM.DELETE.{stream}"),
        format!("$JS.API.STREAM.PURGE.{stream}"),
        format!("$KV.ws-{CLUSTER}-objects.a"),
        format!("ws.{CLUSTER}.call.state.want.any.state.s"),
        format!("{}.1", rig.inbox(&gateway())),
        format!("{}.1.state.s", rig.inbox(&gateway())),
        format!("{}.1.2", rig.inbox(&evil())),
        format!("{}.x", rig.inbox(&evil())),
        format!("ws.{CLUSTER}.stream.gateway.g.raw.1.agent.evil"),
        "_INBOX.somebody".to_owned(),
        "orders.new".to_owned(),
    ]
}

#[tokio::test]
async fn replies_go_to_the_askers_own_inbox_or_nowhere() {
    let rig = rig().await;
    let bus = Bus::connect(rig.options(Role::State, "s")).await.unwrap();
    let log = log(&bus).await;
    let _service = bus.serve("s", 4, give).await.unwrap();
    let (raw, _) = rig.raw(&evil()).await;
    let mut own = raw.subscribe(format!("{}.>", rig.inbox(&evil()))).await.unwrap();
    let observer = rig.observer().await;
    let mut all = observer.subscribe(">").await.unwrap();
    settled(&observer, "settled".to_owned()).await;
    let request = format!("ws.{CLUSTER}.call.state.want.any.agent.evil");
    let bodies = [Bytes::from_static(b"\x01\x02\x03"), encode("state.want", &want(1)).unwrap().into()];
    for reply in forbidden_replies(&rig) {
        for body in &bodies {
            raw.publish_with_reply(request.clone(), reply.clone(), body.clone()).await.unwrap();
        }
    }
    // requests are answered in the order of their arrival, so that after these answers nothing else is to come
    for n in [1_u8, 2] {
        raw.publish_with_reply(request.clone(), format!("{}.{n}", rig.inbox(&evil())), bodies[1].clone()).await.unwrap();
        let answer = tokio::time::timeout(5 * SECOND, own.next()).await.unwrap().unwrap();
        assert_eq!(answer.subject.as_str(), format!("{}.{n}.state.s", rig.inbox(&evil())));
    }
    intact(&log).await;
    while let Ok(Some(seen)) = tokio::time::timeout(SOON, all.next()).await {
        let spoken_by_state = seen.subject.starts_with(&format!("{}.", rig.inbox(&evil()))) || seen.subject.contains(".inbox.state.s.");
        assert!(
            seen.subject.as_str() == request
                || seen.subject.as_str() == "settled"
                || seen.subject.contains(".js.state.")
                || seen.subject.starts_with("$JS")
                || spoken_by_state,
            "{}",
            seen.subject
        );
    }
}

#[tokio::test]
async fn the_key_of_replies_reaches_inboxes_and_streams_only() {
    let rig = rig().await;
    let bus = Bus::connect(rig.options(Role::State, "s")).await.unwrap();
    let log = log(&bus).await;
    let (raw, mut refused) = rig.raw_replies(&state()).await;
    for subject in forbidden_replies(&rig).into_iter().filter(|s| !s.contains(".inbox.") && !s.contains(".stream.") && !s.starts_with("_INBOX")) {
        raw.publish(subject.clone(), "".into()).await.unwrap();
        assert!(refused.recv().await.unwrap().contains(&subject), "{subject}");
    }
    raw.subscribe(">").await.unwrap();
    assert!(refused.recv().await.unwrap().contains("Subscription"));
    intact(&log).await;
}

/// With response permissions, a key could make any subject its own by sending itself a message that names it for replies.
#[tokio::test]
async fn nobody_gives_themselves_the_right_to_answer() {
    let rig = rig().await;
    let bus = Bus::connect(rig.options(Role::State, "s")).await.unwrap();
    let log = log(&bus).await;
    for caller in [evil(), gateway()] {
        let (raw, mut refused) = rig.raw(&caller).await;
        let own = format!("{}.1", rig.inbox(&caller));
        let mut heard = raw.subscribe(own.clone()).await.unwrap();
        let delete = format!("$JS.API.STREAM.DELETE.KV_ws-{CLUSTER}-objects");
        raw.publish_with_reply(own, delete.clone(), "".into()).await.unwrap();
        heard.next().await.unwrap();
        raw.publish(delete.clone(), "".into()).await.unwrap();
        assert!(refused.recv().await.unwrap().contains(&delete), "{caller}");
    }
    intact(&log).await;
}

/// Waits until the server has seen what a connection said before, subscriptions included: what is said to oneself has come back.
async fn settled(client: &async_nats::Client, own: String) {
    let mut echo = client.subscribe(own.clone()).await.unwrap();
    client.publish(own, "".into()).await.unwrap();
    echo.next().await.unwrap();
}

/// Listens for what the gateway asks of a hostile node's agent.
async fn requests(rig: &Rig, raw: &async_nats::Client) -> async_nats::Subscriber {
    let heard = raw.subscribe(format!("ws.{CLUSTER}.open.node.exec.i.evil.*.*")).await.unwrap();
    settled(raw, format!("{}.0", rig.inbox(&evil()))).await;
    heard
}

#[tokio::test]
async fn a_node_answers_what_it_was_asked_and_nothing_else() {
    let rig = rig().await;
    let (state_bus, gateway_bus) = (rig.bus(Role::State, "s").await, rig.bus(Role::Gateway, "g").await);
    let (raw, mut refused) = rig.raw(&evil()).await;
    let mut asked = requests(&rig, &raw).await;
    // the gateway asks the state something that takes a while, and then the hostile node, which learns the gateway's inbox
    let (answer, wait) = tokio::sync::watch::channel(false);
    let _service = state_bus
        .serve("s", 4, move |incoming: Incoming<Want>| {
            let mut wait = wait.clone();
            async move {
                wait.wait_for(|go| *go).await.unwrap();
                give(incoming).await
            }
        })
        .await
        .unwrap();
    let asking = gateway_bus.clone();
    let real = tokio::spawn(async move { asking.call(&To::Any, want(3), 10 * SECOND).await });
    let opener = gateway_bus.clone();
    let opening = tokio::spawn(async move { opener.open(&To::instance("evil"), Exec("x".to_owned()), 2 * SECOND).await.map(|o| o.is_ok()) });
    let request = asked.next().await.unwrap();
    let inbox = request.reply.unwrap().to_string();
    let (base, number) = inbox.rsplit_once('.').unwrap();
    let forged: Bytes = encode("state.want", &Got { body: ByteBuf::new(), received: 666, caller: evil() }).unwrap().into();
    for other in 0..number.parse::<u64>().unwrap() + 5 {
        for subject in [format!("{base}.{other}"), format!("{base}.{other}.state.s"), format!("{base}.{other}.agent.n1")] {
            raw.publish(subject.clone(), forged.clone()).await.unwrap();
            assert!(refused.recv().await.unwrap().contains(&subject), "{subject}");
        }
        if other.to_string() != number {
            raw.publish(format!("{base}.{other}.agent.evil"), forged.clone()).await.unwrap();
        }
    }
    // a stream that it would have lead to somebody else
    let mut elsewhere = HeaderMap::new();
    elsewhere.insert("Ws-Port", "agent.n1.X.7");
    raw.publish_with_headers(format!("{inbox}.agent.evil"), elsewhere, Bytes::new()).await.unwrap();
    let opened = opening.await.unwrap();
    assert!(matches!(&opened, Err(bus::BusError::Failed { why, .. }) if why.contains("can't be read")), "{opened:?}");
    answer.send_replace(true);
    let got = real.await.unwrap().unwrap();
    assert_eq!((got.received, got.caller), (0, gateway()), "the forged answer didn't count");
}

#[tokio::test]
async fn streams_and_requests_of_others_are_out_of_reach() {
    let rig = rig().await;
    let bus = rig.bus(Role::State, "s").await;
    let service = bus.serve("s", 4, give).await.unwrap();
    let _flows = bus.accept("s", |opening: Opening<Flow>| async move { drop(opening.accept().await) }).await.unwrap();
    let (raw, _) = rig.raw(&evil()).await;
    let mut own = raw.subscribe(format!("{}.>", rig.inbox(&evil()))).await.unwrap();
    let mut number = 0_u64;
    let cases: [(&str, &str, Bytes); 6] = [
        ("Ws-Port", "gateway.g.X.1", encode("state.want", &want(1)).unwrap().into()),
        ("Ws-Port", "agent.evil.>.1", encode("state.want", &want(1)).unwrap().into()),
        ("Ws-Port", "nonsense", Bytes::new()),
        ("Ws-Timeout", "18446744073709551615", Bytes::from_static(b"\xc1")),
        ("Ws-Timeout", "-1", vec![0x91; 100_000].into()),
        ("Ws-Part", "0/99999999999", Bytes::from_static(b"\xdf\xff\xff\xff\xff")),
    ];
    for verb in ["call.state.want", "open.state.flow"] {
        for (name, value, body) in &cases {
            number += 1;
            let mut headers = HeaderMap::new();
            headers.insert(*name, *value);
            let (subject, reply) = (format!("ws.{CLUSTER}.{verb}.any.agent.evil"), format!("{}.{number}", rig.inbox(&evil())));
            raw.publish_with_reply_and_headers(subject, reply, headers, body.clone()).await.unwrap();
            let answer = tokio::time::timeout(5 * SECOND, own.next()).await.unwrap().unwrap();
            let code = answer.headers.as_ref().and_then(|h| h.get("Nats-Service-Error-Code")).map(|c| c.as_str().to_owned());
            assert!(matches!(code.as_deref(), Some("400" | "403")), "{verb} {name}: {value}: {code:?}");
        }
    }
    // all the same it goes on for others, and what was replayed was asked again by who may ask
    let n1 = rig.bus(Role::Agent, "n1").await;
    assert_eq!(n1.call(&To::Any, want(2), SECOND).await.unwrap().body.len(), 2);
    assert_eq!(service.stats().errors(), 3);
}

/// Before the answer says who accepted, packets count from who was asked only.
#[tokio::test]
async fn a_stream_that_is_being_opened_hears_only_who_was_asked() {
    let rig = rig().await;
    let (n1, gateway_bus) = (rig.bus(Role::Agent, "n1").await, rig.bus(Role::Gateway, "g").await);
    let (heard, mut openings) = tokio::sync::mpsc::channel(1);
    let _execs = n1
        .accept("n1", move |opening: Opening<Exec>| {
            let heard = heard.clone();
            async move { heard.send(opening).await.unwrap() }
        })
        .await
        .unwrap();
    // what the gateway says to the hostile node tells it the gateway's connection
    let (raw, _) = rig.raw(&evil()).await;
    let mut asked = requests(&rig, &raw).await;
    let opener = gateway_bus.clone();
    drop(tokio::spawn(async move { opener.open(&To::instance("evil"), Exec("x".to_owned()), SECOND).await.map(|o| o.is_ok()) }));
    let port = asked.next().await.unwrap().headers.unwrap().get("Ws-Port").unwrap().as_str().to_owned();
    let (connection, number) = port.rsplit_once('.').unwrap();
    let opener = gateway_bus.clone();
    let opening = tokio::spawn(async move { opener.open(&To::instance("n1"), Exec("x".to_owned()), 10 * SECOND).await.unwrap().unwrap() });
    let accepted = openings.recv().await.unwrap();
    for id in 0..number.parse::<u64>().unwrap() + 10 {
        let packet = Packet::Data { number: 0, first: true, last: true, body: vec![0xc4, 1, 66].into() };
        raw.publish(format!("ws.{CLUSTER}.stream.{connection}.{id}.agent.evil"), packet.encode()).await.unwrap();
    }
    raw.flush().await.unwrap();
    accepted.accept().await.unwrap().send(ByteBuf::from(vec![1])).await.unwrap();
    assert_eq!(opening.await.unwrap().recv().await.unwrap().unwrap().into_vec(), [1]);
}

/// Accepts streams and hands them out.
async fn accepts(bus: &Bus) -> (bus::Service, tokio::sync::mpsc::Receiver<bus::Duplex<(u64, ByteBuf), u64>>) {
    let (opened, streams) = tokio::sync::mpsc::channel(1);
    let accept = move |opening: Opening<Flow>| {
        let opened = opened.clone();
        async move { opened.send(opening.accept().await.unwrap()).await.unwrap() }
    };
    (bus.accept("s", accept).await.unwrap(), streams)
}

/// What is unread of a stream is bounded by bytes, whatever its sender thinks of credit.
#[tokio::test]
async fn a_stream_holds_no_more_than_its_window() {
    let rig = rig().await;
    let bus = rig.bus(Role::State, "s").await;
    let (_flows, mut streams) = accepts(&bus).await;
    let (raw, _) = rig.raw(&evil()).await;
    let mut own = raw.subscribe(format!("{}.>", rig.inbox(&evil()))).await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("Ws-Port", "agent.evil.raw.1");
    let body = Bytes::from(encode("state.flow", &Flow { count: 0, size: 0 }).unwrap());
    raw.publish_with_reply_and_headers(format!("ws.{CLUSTER}.open.state.flow.any.agent.evil"), format!("{}.1", rig.inbox(&evil())), headers, body)
        .await
        .unwrap();
    let answer = own.next().await.unwrap();
    let port = answer.headers.unwrap().get("Ws-Port").unwrap().as_str().to_owned();
    let mut stream = streams.recv().await.unwrap();
    for number in 0..40 {
        let packet = Packet::Data { number, first: true, last: false, body: vec![0; 512 << 10].into() };
        raw.publish(format!("ws.{CLUSTER}.stream.{port}.agent.evil"), packet.encode()).await.unwrap();
    }
    raw.flush().await.unwrap();
    // nothing was read until it was cut: had all that came been held, the frame would go on
    stream.closed().await;
    let end = stream.recv().await;
    assert!(matches!(&end, Err(bus::StreamError::Cut(why)) if why.contains("more than it may")), "{end:?}");
}

/// Answers everybody at once but one, who waits until told.
async fn keeps_waiting(bus: &Bus, who: Caller) -> (bus::Service, tokio::sync::watch::Sender<bool>) {
    let (go, wait) = tokio::sync::watch::channel(false);
    let answer = move |incoming: Incoming<Want>| {
        let (mut wait, waits) = (wait.clone(), incoming.caller == who);
        async move {
            if waits {
                wait.wait_for(|go| *go).await.unwrap();
            }
            give(incoming).await
        }
    };
    (bus.serve("s", 4096, answer).await.unwrap(), go)
}

#[tokio::test]
async fn one_node_does_not_take_the_places_of_all() {
    let rig = rig().await;
    let bus = rig.bus(Role::State, "s").await;
    let (_service, go) = keeps_waiting(&bus, evil()).await;
    let (raw, _) = rig.raw(&evil()).await;
    let mut own = raw.subscribe(format!("{}.>", rig.inbox(&evil()))).await.unwrap();
    let body = Bytes::from(encode(Want::SERVICE, &want(0)).unwrap());
    for n in 0..2_000 {
        raw.publish_with_reply(format!("ws.{CLUSTER}.call.state.want.any.agent.evil"), format!("{}.{n}", rig.inbox(&evil())), body.clone()).await.unwrap();
    }
    raw.flush().await.unwrap();
    let n1 = rig.bus(Role::Agent, "n1").await;
    n1.call(&To::Any, want(1), 5 * SECOND).await.unwrap();
    let mut refused = 0;
    while refused < 2_000 - 512 {
        let answer = tokio::time::timeout(5 * SECOND, own.next()).await.unwrap().unwrap();
        refused += u32::from(answer.headers.is_some_and(|h| h.get("Nats-Service-Error-Code").is_some_and(|c| c.as_str() == "429")));
    }
    go.send_replace(true);
}

/// What waits to be said is bounded in bytes: a stream that has no room for its last word is over without it, and the other side notices the silence.
#[tokio::test]
async fn what_waits_to_be_said_is_bounded() {
    const STREAMS: usize = 12;
    let rig = Rig::open().await;
    let (bus, gateway) = (rig.bus(Role::State, "s").await, rig.bus(Role::Gateway, "g").await);
    let (_flows, mut streams) = accepts(&bus).await;
    let (mut ours, mut theirs) = (vec![], vec![]);
    for _ in 0..STREAMS {
        theirs.push(gateway.open(&To::Any, Flow { count: 0, size: 0 }, SECOND).await.unwrap().unwrap());
        ours.push(streams.recv().await.unwrap());
    }
    // nothing else runs on this thread meanwhile, so that all of it waits at once
    for stream in ours {
        stream.cut("w".repeat(1 << 20));
    }
    let (mut told, mut silent) = (0, 0);
    for mut stream in theirs {
        match stream.recv().await {
            Err(bus::StreamError::Cut(why)) if why.len() == 1 << 20 => told += 1,
            Err(bus::StreamError::Cut(why)) if why.contains("nothing was heard") => silent += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((told, silent), (7, STREAMS - 7));
}

#[tokio::test]
async fn users_do_not_take_the_places_of_components() {
    let controllers = Caller::new(Role::Controllers, "c");
    let rig = Rig::start(&[state(), gateway(), controllers], 1 << 20).await;
    let bus = rig.bus(Role::State, "s").await;
    let (_service, go) = keeps_waiting(&bus, gateway()).await;
    let users = rig.bus(Role::Gateway, "g").await;
    let flood: Vec<_> = (0..1_500)
        .map(|_| {
            let users = users.clone();
            tokio::spawn(async move { users.call(&To::Any, want(1), 60 * SECOND).await })
        })
        .collect();
    // the last of the flood is there before the component asks: both go through the server in their order
    let (raw, _) = rig.raw(&gateway()).await;
    settled(&raw, format!("{}.0", rig.inbox(&gateway()))).await;
    while users.nats().unwrap().statistics().out_messages.load(std::sync::atomic::Ordering::Relaxed) < 1_500 {
        tokio::task::yield_now().await;
    }
    rig.bus(Role::Controllers, "c").await.call(&To::Any, want(1), 5 * SECOND).await.unwrap();
    go.send_replace(true);
    for call in flood {
        call.await.unwrap().unwrap();
    }
}

/// An agent with many pods opens many watches when it starts.
#[tokio::test]
async fn a_node_opens_many_streams_at_once() {
    let rig = rig().await;
    let bus = rig.bus(Role::State, "s").await;
    let (go, wait) = tokio::sync::watch::channel(0);
    let waiting = std::sync::Arc::new(go);
    let (count, mut all) = (waiting.clone(), wait);
    let _flows = bus
        .accept("s", move |opening: Opening<Flow>| {
            let count = count.clone();
            async move {
                count.send_modify(|n| *n += 1);
                count.subscribe().wait_for(|n| *n >= 300).await.unwrap();
                drop(opening.accept().await);
            }
        })
        .await
        .unwrap();
    let n1 = rig.bus(Role::Agent, "n1").await;
    let open = |_| n1.open(&To::Any, Flow { count: 0, size: 0 }, 10 * SECOND);
    let opened = futures::future::join_all((0..300).map(open)).await;
    assert!(opened.iter().all(|o| matches!(o, Ok(Ok(_)))));
    all.wait_for(|n| *n == 300).await.unwrap();
}

#[tokio::test]
async fn who_is_shut_out_is_cut_off_and_stays_out() {
    let mut rig = rig().await;
    let bus = rig.bus(Role::State, "s").await;
    let _service = bus.serve("s", 4, give).await.unwrap();
    let agent = rig.bus(Role::Agent, "evil").await;
    agent.call(&To::Any, want(1), SECOND).await.unwrap();
    let options = rig.options(Role::Agent, "evil");
    rig.shut_out(&evil()).await;
    assert!(matches!(Bus::connect(options).await, Err(bus::ConnectError::Denied { .. })));
    agent.connected().wait_for(|up| !*up).await.unwrap();
    let n1 = rig.bus(Role::Agent, "n1").await;
    n1.call(&To::Any, want(1), SECOND).await.unwrap();
}
