//! The bus over a real server.

use crate::common::{CLUSTER, Flow, Got, Rig, SECOND, Usage, Want, want};
use bus::{Bus, BusError, Caller, ConnectError, Duplex, Incoming, Opening, Role, StreamError, To};
use bytes::Bytes;
use futures::StreamExt;
use serde_bytes::ByteBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

async fn give(incoming: Incoming<Want>) -> Got {
    let Want { size, body } = incoming.message;
    Got { body: ByteBuf::from(vec![7; size]), received: body.len(), caller: incoming.caller }
}

async fn flow(opening: Opening<Flow>) {
    let Flow { count, size } = opening.message;
    if size == 1 {
        return opening.refuse("one is too little".to_owned()).await;
    }
    if size == 2 {
        panic!("before the answer");
    }
    let mut stream = opening.accept().await.unwrap();
    for n in 0..count {
        if stream.send((n, ByteBuf::from(vec![1; size]))).await.is_err() {
            return;
        }
    }
    while let Ok(Some(n)) = stream.recv().await {
        match n {
            13 => return stream.cut("thirteen"),
            14 => panic!("fourteen"),
            n => stream.send((n, ByteBuf::new())).await.unwrap(),
        }
    }
}

type Stream = Duplex<u64, (u64, ByteBuf)>;

async fn opened(bus: &Bus, count: u64, size: usize) -> Stream {
    bus.open(&To::Any, Flow { count, size }, SECOND).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_call_crosses_connections() {
    let rig = Rig::open().await;
    let (state, agent) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Agent, "n.1").await);
    assert_eq!(agent.call(&To::Any, want(3), SECOND).await, Err(BusError::NoResponder { service: "state.want" }));
    let service = state.serve("s1", 8, give).await.unwrap();
    let got = agent.call(&To::Any, want(3), SECOND).await.unwrap();
    assert_eq!(got, Got { body: ByteBuf::from(vec![7; 3]), received: 0, caller: Caller::new(Role::Agent, "n.1") });
    assert_eq!(agent.call(&To::instance("s1"), want(0), SECOND).await.unwrap().caller.name, "n.1");
    assert_eq!(agent.call(&To::instance("s2"), want(3), SECOND).await, Err(BusError::NoResponder { service: "state.want" }));
    assert_eq!(agent.speaking_as(Caller::new(Role::Gateway, "g")).call(&To::Any, want(0), SECOND).await.unwrap().caller.role, Role::Gateway);
    assert_eq!(service.stats().requests(), 3);
    drop(service);
    state.nats().unwrap().flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(agent.call(&To::Any, want(3), SECOND).await, Err(BusError::NoResponder { service: "state.want" }));
}

#[tokio::test]
async fn what_is_in_this_process_needs_no_server() {
    let rig = Rig::open().await;
    let state = rig.bus(Role::State, "s1").await;
    let _service = state.serve("s1", 8, give).await.unwrap();
    rig.server.stop().await;
    assert_eq!(state.call(&To::Any, want(3), SECOND).await.unwrap().body.len(), 3);
}

#[tokio::test]
async fn large_messages_go_in_parts_both_ways() {
    let rig = Rig::start(&[], 64 << 10).await;
    let (state, gateway) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Gateway, "g").await);
    let _service = state.serve("s1", 8, give).await.unwrap();
    for (up, down) in [(0, 3 << 20), (3 << 20, 0), (3 << 20, 3 << 20), (62 << 10, 62 << 10), (64 << 10, 64 << 10)] {
        let got = gateway.call(&To::Any, Want { size: down, body: ByteBuf::from(vec![1; up]) }, 10 * SECOND).await.unwrap();
        assert_eq!((got.received, got.body.len(), got.caller.role), (up, down, Role::Gateway));
    }
}

#[tokio::test]
async fn a_handler_that_panics_is_an_error_at_once() {
    let rig = Rig::open().await;
    let (state, gateway) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Gateway, "g").await);
    let service = state.serve("s1", 8, |_: Incoming<Want>| async { panic!("no") }).await.unwrap();
    let began = Instant::now();
    let failed = BusError::Failed { service: "state.want", why: "the handler panicked".to_owned() };
    assert_eq!(gateway.call(&To::Any, want(1), 60 * SECOND).await, Err(failed.clone()));
    let large = Want { size: 0, body: ByteBuf::from(vec![0; 9 << 20]) };
    assert_eq!(gateway.call(&To::Any, large, 60 * SECOND).await, Err(failed));
    assert!(began.elapsed() < 10 * SECOND);
    assert_eq!(service.stats().errors(), 2);
}

#[tokio::test]
async fn instances_share_and_a_caller_gives_up_in_time() {
    let rig = Rig::open().await;
    let (a, b, gateway) = (rig.bus(Role::State, "a").await, rig.bus(Role::State, "b").await, rig.bus(Role::Gateway, "g").await);
    let counts: [Arc<AtomicUsize>; 2] = Default::default();
    let counting = |n: usize| {
        let count = counts[n].clone();
        move |incoming: Incoming<Want>| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                if incoming.message.size == 1 {
                    std::future::pending::<()>().await;
                }
                give(incoming).await
            }
        }
    };
    let _a = a.serve("a", 8, counting(0)).await.unwrap();
    let _b = b.serve("b", 8, counting(1)).await.unwrap();
    for _ in 0..200 {
        gateway.call(&To::Any, want(0), SECOND).await.unwrap();
    }
    assert!(counts.iter().all(|c| c.load(Ordering::SeqCst) > 20), "{counts:?}");
    let after = Duration::from_millis(100);
    assert_eq!(gateway.call(&To::Any, want(1), after).await, Err(BusError::Timeout { service: "state.want", after }));
}

#[tokio::test]
async fn a_stream_flows_both_ways_and_ends() {
    let rig = Rig::open().await;
    let (state, gateway) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Gateway, "g").await);
    let _service = state.accept("s1", flow).await.unwrap();
    let mut stream = opened(&gateway, 3000, 10).await;
    for n in 0..3000 {
        assert_eq!(stream.recv().await.unwrap().unwrap().0, n);
    }
    for n in 100..1000 {
        stream.send(n).await.unwrap();
        assert_eq!(stream.recv().await.unwrap().unwrap().0, n);
    }
    let (sender, mut receiver) = stream.split();
    drop(sender);
    assert_eq!(receiver.recv().await, Ok(None));
    assert_eq!(receiver.recv().await, Ok(None));
}

#[tokio::test]
async fn frames_of_megabytes_flow_within_the_window() {
    let rig = Rig::start(&[], 64 << 10).await;
    let (state, gateway) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Gateway, "g").await);
    let _service = state.accept("s1", flow).await.unwrap();
    let mut stream = opened(&gateway, 6, 5 << 20).await;
    for n in 0..6 {
        let (number, body) = stream.recv().await.unwrap().unwrap();
        assert_eq!((number, body.len()), (n, 5 << 20));
    }
}

#[tokio::test]
async fn a_cut_is_not_an_end() {
    let rig = Rig::open().await;
    let (state, gateway) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Gateway, "g").await);
    let _service = state.accept("s1", flow).await.unwrap();
    for (n, why) in [(13, "thirteen"), (14, "the other side panicked")] {
        let mut stream = opened(&gateway, 1, 0).await;
        stream.send(n).await.unwrap();
        assert_eq!(stream.recv().await.unwrap().unwrap().0, 0);
        assert_eq!(stream.recv().await, Err(StreamError::Cut(why.to_owned())));
    }
}

#[tokio::test]
async fn a_stream_is_refused_or_fails_at_once() {
    let rig = Rig::open().await;
    let (state, gateway) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Gateway, "g").await);
    assert!(matches!(gateway.open(&To::Any, Flow { count: 0, size: 0 }, SECOND).await, Err(BusError::NoResponder { .. })));
    let _service = state.accept("s1", flow).await.unwrap();
    assert!(matches!(gateway.open(&To::Any, Flow { count: 0, size: 1 }, SECOND).await, Ok(Err(why)) if why == "one is too little"));
    assert!(matches!(gateway.open(&To::Any, Flow { count: 0, size: 2 }, 60 * SECOND).await, Err(BusError::Failed { .. })));
}

#[tokio::test]
async fn a_reader_that_stops_makes_the_sender_wait_and_one_that_goes_ends_it() {
    let rig = Rig::open().await;
    let (state, gateway) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Gateway, "g").await);
    let (sent, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
    let (count, left) = (sent.clone(), gone.clone());
    let handler = move |opening: Opening<Flow>| {
        let (count, left) = (count.clone(), left.clone());
        async move {
            let mut stream = opening.accept().await.unwrap();
            while stream.send((0, ByteBuf::new())).await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
            stream.closed().await;
            left.notify_one();
        }
    };
    let _service = state.accept("s1", handler).await.unwrap();
    let stream = opened(&gateway, 0, 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(sent.load(Ordering::SeqCst), 256);
    drop(stream);
    tokio::time::timeout(SECOND, gone.notified()).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_dies_is_noticed() {
    let rig = Rig::open().await;
    let gateway = rig.bus(Role::Gateway, "g").await;
    let elsewhere = std::thread::spawn({
        let options = rig.options(Role::State, "s1");
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (ready, is_ready) = std::sync::mpsc::channel();
            let service = runtime.block_on(async {
                let state = Bus::connect(options).await.unwrap();
                let service = state.accept("s1", |opening: Opening<Flow>| async {
                    let stream = opening.accept().await.unwrap();
                    std::future::pending::<()>().await;
                    drop(stream);
                });
                let service = service.await.unwrap();
                ready.send(()).unwrap();
                tokio::time::sleep(2 * SECOND).await;
                service
            });
            is_ready.recv().unwrap();
            // nothing runs any more, and nothing is told to anybody
            std::mem::forget((service, runtime));
        }
    });
    tokio::time::sleep(SECOND).await;
    let mut stream = opened(&gateway, 0, 0).await;
    elsewhere.join().unwrap();
    let cut = tokio::time::timeout(25 * SECOND, stream.recv()).await.unwrap();
    assert!(matches!(cut, Err(StreamError::Cut(_))), "{cut:?}");
}

#[tokio::test]
async fn malformed_messages_are_refused_and_nothing_breaks() {
    let rig = Rig::open().await;
    let (state, gateway) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Gateway, "g").await);
    let (service, _streams) = (state.serve("s1", 8, give).await.unwrap(), state.accept("s1", flow).await.unwrap());
    let raw = async_nats::connect(rig.server.url()).await.unwrap();
    let inbox = format!("ws.{CLUSTER}.inbox.agent.n1.raw");
    let mut replies = raw.subscribe(format!("{inbox}.>")).await.unwrap();
    let mut stolen = async_nats::HeaderMap::new();
    stolen.insert("Ws-Port", "gateway.g.abc.1");
    let bodies = [&b""[..], b"\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"{}", &[0x91; 3000]];
    let cases = ["call.state.want.any.agent.n1", "open.state.flow.any.agent.n1"].into_iter().flat_map(|s| bodies.map(|body| (s, body, None, "400")));
    for (subject, body, headers, expected) in cases.chain([("open.state.flow.any.agent.n1", &b""[..], Some(stolen), "403")]) {
        let (subject, body) = (format!("ws.{CLUSTER}.{subject}"), Bytes::copy_from_slice(body));
        raw.publish_with_reply_and_headers(subject.clone(), format!("{inbox}.1"), headers.unwrap_or_default(), body).await.unwrap();
        let reply = tokio::time::timeout(SECOND, replies.next()).await.unwrap().unwrap();
        assert_eq!(reply.headers.unwrap().get("Nats-Service-Error-Code").unwrap().as_str(), expected, "{subject}");
    }
    // who doesn't say who they are isn't told anything either: what comes next is the answer to a later question
    for subject in ["call.state.want.any.nobody.n1", "call.state.want.i.s1.agent.=4"] {
        raw.publish_with_reply(format!("ws.{CLUSTER}.{subject}"), format!("{inbox}.2"), Bytes::new()).await.unwrap();
    }
    raw.publish_with_reply(format!("ws.{CLUSTER}.call.state.want.i.s1.agent.n1"), format!("{inbox}.3"), Bytes::from_static(b"\xff")).await.unwrap();
    let reply = tokio::time::timeout(SECOND, replies.next()).await.unwrap().unwrap();
    assert_eq!(reply.subject.as_str(), format!("{inbox}.3.state.s1"));
    assert_eq!(service.stats().errors(), 6);
    gateway.call(&To::Any, want(1), SECOND).await.unwrap();
}

#[tokio::test]
async fn packets_of_strangers_and_nonsense_do_not_touch_a_stream() {
    let rig = Rig::open().await;
    let (state, gateway) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Gateway, "g").await);
    let _service = state.accept("s1", flow).await.unwrap();
    let raw = async_nats::connect(rig.server.url()).await.unwrap();
    let mut packets = raw.subscribe(format!("ws.{CLUSTER}.stream.gateway.>")).await.unwrap();
    raw.flush().await.unwrap();
    let mut stream = opened(&gateway, 2, 0).await;
    let ours = packets.next().await.unwrap().subject.to_string();
    assert!(ours.ends_with(".state.s1"));
    let stranger = ours.replace(".state.s1", ".agent.n1");
    let cut = [&[4][..], &2u64.to_le_bytes(), b"by a stranger"].concat();
    for (subject, body) in [(&stranger, cut), (&ours, vec![99; 20]), (&ours, Vec::new())] {
        raw.publish(subject.clone(), body.into()).await.unwrap();
    }
    raw.flush().await.unwrap();
    for n in 0..2 {
        assert_eq!(stream.recv().await.unwrap().unwrap().0, n);
    }
    stream.send(50).await.unwrap();
    assert_eq!(stream.recv().await.unwrap().unwrap().0, 50);
    // a packet that was sent twice, or lost, is a cut
    raw.publish(ours, [&[11][..], &9u64.to_le_bytes()].concat().into()).await.unwrap();
    assert_eq!(stream.recv().await, Err(StreamError::Cut("packets were lost".to_owned())));
}

#[tokio::test]
async fn a_killed_server_comes_back_and_nothing_hangs() {
    let rig = Rig::open().await;
    let (state, gateway) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Gateway, "g").await);
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let slow = move |incoming: Incoming<Want>| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            if incoming.message.size == 1 {
                tokio::time::sleep(3 * SECOND).await;
            }
            give(incoming).await
        }
    };
    let _service = state.serve("s1", 64, slow).await.unwrap();
    let _streams = state.accept("s1", flow).await.unwrap();
    let mut stream = opened(&gateway, 1, 0).await;
    let waiting = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.call(&To::Any, want(1), 60 * SECOND).await }
    });
    while handled.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut connected = gateway.connected();
    rig.kill();
    let began = Instant::now();
    connected.wait_for(|up| !up).await.unwrap();
    assert!(matches!(waiting.await.unwrap(), Err(BusError::Disconnected(_))), "what waits for a reply knows at once");
    connected.wait_for(|up| *up).await.unwrap();
    println!("back after {:?}", began.elapsed());
    let mut answered = 0;
    for _ in 0..100 {
        answered += usize::from(gateway.call(&To::Any, want(0), SECOND).await.is_ok());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(answered > 50, "{answered}");
    assert!(handled.load(Ordering::SeqCst) <= 101, "nothing is handled twice");
    assert!(gateway.last_heard().elapsed() < 5 * SECOND);
    // the stream lost nothing, so it goes on; or it is cut
    let sent = stream.send(77).await;
    let end = tokio::time::timeout(20 * SECOND, async { while !matches!(stream.recv().await, Ok(Some((77, _))) | Err(_)) {} });
    assert!(sent.is_err() || end.await.is_ok());
}

#[tokio::test]
async fn no_connection_is_one_clear_error() {
    let dead = bus::ConnectOptions::new("nats://127.0.0.1:1", CLUSTER, Caller::new(Role::Agent, "n1"));
    let began = Instant::now();
    assert!(matches!(Bus::connect(dead).await, Err(ConnectError::Unreachable { .. })));
    assert!(began.elapsed() < 5 * SECOND);
    let known = Caller::new(Role::Agent, "n1");
    let rig = Rig::start(std::slice::from_ref(&known), 1 << 20).await;
    assert!(matches!(Bus::connect(rig.options(Role::Agent, "n2")).await, Err(ConnectError::Denied { .. })));
    let nonsense = rig.options(Role::Agent, "n1").credentials(bus::Credentials::Seed("x".to_owned()));
    assert!(matches!(Bus::connect(nonsense).await, Err(ConnectError::Credentials(_))));
    Bus::connect(rig.options(Role::Agent, "n1")).await.unwrap();
}

#[tokio::test]
async fn what_waited_for_a_service_that_stops_is_done_by_another() {
    let rig = Rig::open().await;
    let (a, b, gateway) = (rig.bus(Role::State, "a").await, rig.bus(Role::State, "b").await, rig.bus(Role::Gateway, "g").await);
    let slow = |incoming: Incoming<Want>| async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        give(incoming).await
    };
    let (first, _second) = (a.serve("a", 2, slow).await.unwrap(), b.serve("b", 64, slow).await.unwrap());
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.call(&To::Any, want(0), 60 * SECOND).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let began = Instant::now();
    drop(first);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!(began.elapsed() < 10 * SECOND);
}

#[tokio::test]
async fn calls_over_the_server_are_quick() {
    let rig = Rig::open().await;
    let (state, gateway) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Gateway, "g").await);
    let _service = state.serve("s1", 64, give).await.unwrap();
    let began = Instant::now();
    for _ in 0..1000 {
        gateway.call(&To::Any, want(100), SECOND).await.unwrap();
    }
    let each = began.elapsed() / 1000;
    println!("{each:?} a call over NATS");
    assert!(each < Duration::from_millis(20), "{each:?}");
}

/// More than a service can do: what it takes on it answers in time, and the rest hears soon that it is too much. Nothing is worked on in vain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overloaded_service_answers_what_it_can() {
    const CALLS: usize = 4_000;
    let rig = Rig::open().await;
    let (state, agent) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Agent, "n").await);
    let worked = Arc::new(AtomicUsize::new(0));
    let count = worked.clone();
    let _service = state
        .serve("s1", 8, move |incoming| {
            let count = count.clone();
            async move {
                // what the work costs: at most 800 a second are possible
                tokio::time::sleep(Duration::from_millis(10)).await;
                count.fetch_add(1, Ordering::Relaxed);
                give(incoming).await
            }
        })
        .await
        .unwrap();
    let began = Instant::now();
    let calls = (0..CALLS).map(|_| agent.call(&To::Any, want(1), 6 * SECOND));
    let outcomes = futures::future::join_all(calls).await;
    let answered = outcomes.iter().filter(|o| o.is_ok()).count();
    let busy = outcomes.iter().filter(|o| **o == Err(BusError::Busy { service: "state.want" })).count();
    assert_eq!(answered + busy, CALLS, "{:?}", outcomes.iter().find(|o| !matches!(o, Ok(_) | Err(BusError::Busy { .. }))));
    assert!(answered >= 100 && busy >= 1_000, "{answered} answered, {busy} refused");
    assert_eq!(worked.load(Ordering::Relaxed), answered);
    assert!(began.elapsed() < 6 * SECOND, "{:?}", began.elapsed());
    agent.call(&To::Any, want(1), SECOND).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_so_many_bytes_wait() {
    let rig = Rig::open().await;
    let (state, gateway) = (rig.bus(Role::State, "s1").await, rig.bus(Role::Gateway, "g").await);
    let (go, begun) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(tokio::sync::Notify::new()));
    let (gate, bell) = (go.clone(), begun.clone());
    let serve = move |incoming| {
        let (gate, bell) = (gate.clone(), bell.clone());
        async move {
            bell.notify_one();
            drop(gate.acquire().await);
            give(incoming).await
        }
    };
    let _service = state.serve("s1", 1, serve).await.unwrap();
    let large = || Want { size: 1, body: ByteBuf::from(vec![1; 900 << 10]) };
    let first = gateway.call(&To::Any, large(), 60 * SECOND);
    let more = async {
        begun.notified().await;
        let mut calls: futures::stream::FuturesUnordered<_> = (0..100).map(|_| gateway.call(&To::Any, large(), 60 * SECOND)).collect();
        // one is worked on, 64 MiB wait
        for _ in 0..100 - (64 << 10) / 901 {
            assert_eq!(calls.next().await, Some(Err(BusError::Busy { service: "state.want" })));
        }
        go.close();
        while let Some(outcome) = calls.next().await {
            assert_eq!(outcome.unwrap().received, 900 << 10);
        }
    };
    let (first, ()) = tokio::join!(first, more);
    assert_eq!(first.unwrap().received, 900 << 10);
}

#[tokio::test]
async fn notices_reach_all_who_listen_and_say_whose_they_are() {
    let callers = [(Role::State, "s"), (Role::Controllers, "c"), (Role::Agent, "n1")].map(|(role, name)| Caller::new(role, name));
    let rig = Rig::start(&callers, 1 << 20).await;
    let (state, controllers, agent) = (rig.bus(Role::State, "s").await, rig.bus(Role::Controllers, "c").await, rig.bus(Role::Agent, "n1").await);
    let (mut one, mut other) = (state.listen::<Usage>().await.unwrap(), controllers.listen::<Usage>().await.unwrap());
    for listener in [&mut one, &mut other] {
        // the server hears of a subscription and of a notice on different connections: the first notices may come before it listens
        let heard = async {
            loop {
                agent.tell(Usage(ByteBuf::from("x"))).await.unwrap();
                if let Ok(heard) = tokio::time::timeout(SECOND / 20, listener.recv()).await {
                    return heard.unwrap();
                }
            }
        };
        let heard = tokio::time::timeout(SECOND * 5, heard).await.unwrap();
        assert_eq!((heard.message.0.as_slice(), heard.caller), (&b"x"[..], Caller::new(Role::Agent, "n1")));
    }
    assert!(matches!(agent.tell(Usage(ByteBuf::from(vec![0; 2 << 20]))).await, Err(BusError::Codec { .. })));
}
