//! A caller whose connection is made bad on purpose.

use crate::common::{Flow, Got, Rig, SECOND, Want, want};
use bus::{Bus, BusError, Call, Caller, Duplex, Impairment, ImpairmentMode, Incoming, Opening, Role, Service, StreamError, To};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const DELAY: Duration = Duration::from_millis(300);

type Stream = Duplex<u64, (u64, ByteBuf)>;

/// A node whose connection can be impaired, in one process with who answers it.
struct Setup {
    node: Bus,
    impairment: Impairment,
    /// So many requests were answered.
    served: Arc<AtomicUsize>,
    _services: [Service; 2],
    bus: Bus,
    _rig: Rig,
}

/// A question to a node.
#[derive(Serialize, Deserialize)]
struct AskNode(u32);
impl Call for AskNode {
    type Reply = u32;
    const SERVICE: &'static str = "node.ask";
}

async fn setup() -> Setup {
    let rig = Rig::open().await;
    let (bus, impairment, served) = (rig.bus(Role::State, "s1").await, Impairment::default(), Arc::new(AtomicUsize::new(0)));
    let count = served.clone();
    let give = move |incoming: Incoming<Want>| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Got { body: ByteBuf::new(), received: 0, caller: incoming.caller } }
    };
    let services = [bus.serve("s1", 8, give).await.unwrap(), bus.accept("s1", echo).await.unwrap()];
    let node = bus.speaking_as(Caller::new(Role::Agent, "h0")).impaired_by(impairment.clone()).await.unwrap();
    Setup { node, impairment, served, _services: services, bus, _rig: rig }
}

async fn echo(opening: Opening<Flow>) {
    let mut stream = opening.accept().await.unwrap();
    while let Ok(Some(n)) = stream.recv().await {
        if stream.send((n, ByteBuf::new())).await.is_err() {
            return;
        }
    }
}

async fn open(node: &Bus) -> Stream {
    node.open(&To::Any, Flow { count: 0, size: 0 }, SECOND).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_unimpaired_connection_carries_calls_and_streams() {
    let setup = setup().await;
    assert_eq!(setup.node.call(&To::Any, want(0), SECOND).await.unwrap().caller, Caller::new(Role::Agent, "h0"));
    let mut stream = open(&setup.node).await;
    for n in 0..500 {
        stream.send(n).await.unwrap();
        assert_eq!(stream.recv().await.unwrap().unwrap().0, n);
    }
    let other = setup.bus.speaking_as(Caller::new(Role::Agent, "h0"));
    let (impaired, usual) = tokio::join!(setup.node.call(&To::Any, want(0), SECOND), other.call(&To::Any, want(0), SECOND));
    assert!(impaired.is_ok() && usual.is_ok(), "the same caller's usual bus has replies of its own");
}

#[tokio::test]
async fn delayed_messages_come_later_in_both_directions() {
    let setup = setup().await;
    let mut stream = open(&setup.node).await;
    setup.impairment.set(ImpairmentMode::Delayed(DELAY));
    let start = Instant::now();
    setup.node.call(&To::Any, want(0), 5 * SECOND).await.unwrap();
    assert!(start.elapsed() >= 2 * DELAY);
    let start = Instant::now();
    for n in 0..5 {
        stream.send(n).await.unwrap();
    }
    for n in 0..5 {
        assert_eq!(stream.recv().await.unwrap().unwrap().0, n);
    }
    assert!((2 * DELAY..4 * DELAY).contains(&start.elapsed()), "they don't wait for each other: {:?}", start.elapsed());
    let start = Instant::now();
    setup.bus.call(&To::Any, want(0), SECOND).await.unwrap();
    assert!(start.elapsed() < DELAY, "others aren't concerned");
}

#[tokio::test]
async fn a_blackhole_tells_nobody_and_gives_back_what_waited() {
    let setup = setup().await;
    let mut stream = open(&setup.node).await;
    setup.impairment.set(ImpairmentMode::Blackholed);
    stream.send(7).await.unwrap();
    let unheard = setup.node.call(&To::Any, want(0), SECOND).await;
    assert_eq!(unheard, Err(BusError::Timeout { service: "state.want", after: SECOND }));
    assert!(tokio::time::timeout(DELAY, stream.recv()).await.is_err());
    assert_eq!(setup.served.load(Ordering::SeqCst), 0);
    let waiting = tokio::spawn({
        let node = setup.node.clone();
        async move { node.call(&To::Any, want(0), 5 * SECOND).await }
    });
    tokio::time::sleep(DELAY).await;
    setup.impairment.set(ImpairmentMode::None);
    assert!(waiting.await.unwrap().is_ok());
    assert_eq!(stream.recv().await.unwrap().unwrap().0, 7);
    assert_eq!(setup.served.load(Ordering::SeqCst), 2, "what was given up is said too");
}

#[tokio::test]
async fn a_cut_is_known_at_once() {
    let setup = setup().await;
    let mut stream = open(&setup.node).await;
    setup.impairment.set(ImpairmentMode::Blackholed);
    let waiting = tokio::spawn({
        let node = setup.node.clone();
        async move { node.call(&To::Any, want(0), 60 * SECOND).await }
    });
    tokio::time::sleep(DELAY).await;
    let start = Instant::now();
    setup.impairment.set(ImpairmentMode::Disconnected);
    let gone = Err(BusError::Disconnected("the connection is cut".to_owned()));
    assert_eq!(waiting.await.unwrap(), gone);
    assert_eq!(stream.recv().await, Err(StreamError::Cut("the connection is cut".to_owned())));
    assert!(stream.send(1).await.is_err());
    assert_eq!(setup.node.call(&To::Any, want(0), 60 * SECOND).await, gone);
    assert!(matches!(setup.node.open(&To::Any, Flow { count: 0, size: 0 }, 60 * SECOND).await, Err(BusError::Disconnected(_))));
    assert!(start.elapsed() < SECOND);
    setup.impairment.set(ImpairmentMode::None);
    assert!(setup.node.call(&To::Any, want(0), SECOND).await.is_ok());
    assert_eq!(setup.served.load(Ordering::SeqCst), 1, "what was under way is lost");
    let mut stream = open(&setup.node).await;
    stream.send(1).await.unwrap();
    assert_eq!(stream.recv().await.unwrap().unwrap().0, 1);
}

#[tokio::test]
async fn what_an_impaired_caller_serves_is_impaired() {
    let setup = setup().await;
    let service = setup.node.serve("h0", 8, |asked: Incoming<AskNode>| async move { asked.message.0 }).await.unwrap();
    let to = To::instance("h0");
    assert_eq!(setup.bus.call(&to, AskNode(9), SECOND).await, Ok(9));
    setup.impairment.set(ImpairmentMode::Blackholed);
    assert!(matches!(setup.bus.call(&to, AskNode(9), SECOND).await, Err(BusError::Timeout { .. })));
    setup.impairment.set(ImpairmentMode::None);
    assert_eq!(setup.bus.call(&to, AskNode(9), SECOND).await, Ok(9));
    service.drain().await;
    tokio::time::sleep(DELAY).await;
    assert!(matches!(setup.bus.call(&to, AskNode(9), SECOND).await, Err(BusError::NoResponder { .. })));
}
