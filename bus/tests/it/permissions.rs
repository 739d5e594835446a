//! What the server lets each key do.

use crate::common::{CLUSTER, Flow, Got, Rig, SECOND, Want, want};
use bus::{Bus, BusError, Caller, Incoming, LeaseOptions, Opening, Role, To};
use bytes::Bytes;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::time::Duration;

#[derive(Debug, Serialize, Deserialize)]
struct Exec(String);
impl bus::Open for Exec {
    type Up = ByteBuf;
    type Down = ByteBuf;
    type Refusal = String;
    const SERVICE: &'static str = "node.exec";
}

async fn cat(opening: Opening<Exec>) {
    let mut stream = opening.accept().await.unwrap();
    while let Ok(Some(frame)) = stream.recv().await {
        stream.send(frame).await.unwrap();
    }
}

async fn give(incoming: Incoming<Want>) -> Got {
    Got { body: ByteBuf::from(vec![7; incoming.message.size]), received: incoming.message.body.len(), caller: incoming.caller }
}

async fn rig() -> Rig {
    let callers = [(Role::State, "s"), (Role::Agent, "n1"), (Role::Agent, "n2"), (Role::Gateway, "g"), (Role::Scheduler, "a"), (Role::Admin, "root")];
    Rig::start(&callers.map(|(role, name)| Caller::new(role, name)), 256 << 10).await
}

#[tokio::test]
async fn everybody_can_do_their_part() {
    let rig = rig().await;
    let (state, agent, gateway) = (rig.bus(Role::State, "s").await, rig.bus(Role::Agent, "n1").await, rig.bus(Role::Gateway, "g").await);
    let _service = state.serve("s", 4, give).await.unwrap();
    let _node = agent.accept("n1", cat).await.unwrap();
    for bus in [&agent, &gateway] {
        let got = bus.call(&To::Any, Want { size: 1 << 20, body: ByteBuf::from(vec![1; 1 << 20]) }, 10 * SECOND).await.unwrap();
        assert_eq!((got.received, got.body.len(), &got.caller), (1 << 20, 1 << 20, bus.caller()));
    }
    let mut stream = gateway.open(&To::instance("n1"), Exec("cat".to_owned()), SECOND).await.unwrap().unwrap();
    for size in [1, 1 << 20, 0] {
        stream.send(ByteBuf::from(vec![2; size])).await.unwrap();
        assert_eq!(stream.recv().await.unwrap().unwrap().len(), size);
    }
    for bus in [&state, &agent, &gateway] {
        assert!(bus.last_heard().elapsed() < 5 * SECOND);
    }
    let scheduler = rig.bus(Role::Scheduler, "a").await.leases(1);
    let lease = scheduler.acquire("scheduler", LeaseOptions::default()).await;
    state.leases(1).check(lease.fence()).await.unwrap();
    lease.release().await;
    let admin = rig.bus(Role::Admin, "root").await;
    let services: Vec<String> = admin.discover(Duration::from_millis(300)).await.into_iter().map(|s| format!("{} {}", s.service, s.caller)).collect();
    assert_eq!(services, ["node.exec agent/n1", "state.want state/s"]);
}

#[tokio::test]
async fn an_agent_cannot_speak_as_another_nor_hear_for_it() {
    let rig = rig().await;
    let (state, n1, gateway) = (rig.bus(Role::State, "s").await, rig.bus(Role::Agent, "n1").await, rig.bus(Role::Gateway, "g").await);
    let service = state.serve("s", 4, give).await.unwrap();
    for forged in [Caller::new(Role::Agent, "n2"), Caller::new(Role::State, "s"), Caller::new(Role::Admin, "root")] {
        let refused = n1.speaking_as(forged).call(&To::Any, want(1), 60 * SECOND).await;
        assert!(matches!(&refused, Err(BusError::Failed { why, .. }) if why.contains("ermissions")), "{refused:?}");
    }
    assert_eq!(service.stats().requests(), 0);
    let impostor = n1.accept("n2", cat).await.unwrap();
    let open = |bus: Bus, node: &'static str| async move { bus.open(&To::instance(node), Exec("cat".to_owned()), SECOND).await.map(|o| o.is_ok()) };
    assert_eq!(open(gateway, "n2").await, Err(BusError::NoResponder { service: "node.exec" }));
    drop(impostor);
    let n2 = rig.bus(Role::Agent, "n2").await;
    let _node = n2.accept("n2", cat).await.unwrap();
    assert!(matches!(open(n1, "n2").await, Err(BusError::Failed { .. })), "nodes don't ask each other");
}

#[tokio::test]
async fn only_state_reads_and_writes_the_log() {
    let rig = rig().await;
    let state = rig.bus(Role::State, "s").await;
    let js = state.jetstream().unwrap();
    let config = async_nats::jetstream::stream::Config {
        name: format!("KV_ws-{CLUSTER}-objects"),
        subjects: vec![format!("$KV.ws-{CLUSTER}-objects.>")],
        ..Default::default()
    };
    let mut log = js.create_stream(config).await.unwrap();
    js.publish(format!("$KV.ws-{CLUSTER}-objects.a.b"), "x".into()).await.unwrap().await.unwrap();
    for (role, name) in [(Role::Agent, "n1"), (Role::Gateway, "g"), (Role::Scheduler, "a"), (Role::Admin, "root")] {
        let bus = rig.bus(role, name).await;
        let client = bus.nats().unwrap();
        client.publish(format!("$KV.ws-{CLUSTER}-objects.a.b"), "forged".into()).await.unwrap();
        for pattern in [format!("$KV.ws-{CLUSTER}-objects.>"), format!("ws.{CLUSTER}.>"), ">".to_owned()] {
            let mut heard = client.subscribe(pattern).await.unwrap();
            client.flush().await.unwrap();
            js.publish(format!("$KV.ws-{CLUSTER}-objects.a.c"), "secret".into()).await.unwrap().await.unwrap();
            assert!(tokio::time::timeout(Duration::from_millis(50), heard.next()).await.is_err(), "{role:?} hears the log");
        }
        for api in ["STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET", "STREAM.DELETE", "STREAM.PURGE", "CONSUMER.CREATE"] {
            let asked = client.request(format!("$JS.API.{api}.KV_ws-{CLUSTER}-objects"), Bytes::from_static(b"{\"seq\":1}"));
            assert!(!matches!(tokio::time::timeout(Duration::from_millis(50), asked).await, Ok(Ok(_))), "{role:?} {api}");
        }
    }
    let forged = js
        .get_stream(format!("KV_ws-{CLUSTER}-objects"))
        .await
        .unwrap()
        .get_last_raw_message_by_subject(&format!("$KV.ws-{CLUSTER}-objects.a.b"))
        .await
        .unwrap();
    assert_eq!(&forged.payload[..], b"x");
    assert_eq!(log.info().await.unwrap().state.messages, 13);
}

#[tokio::test]
async fn a_user_can_be_added_while_it_runs() {
    let mut rig = Rig::start(&[Caller::new(Role::State, "s")], 1 << 20).await;
    let state = rig.bus(Role::State, "s").await;
    let key = bus::keys::NatsKey::generate();
    let options = rig.options(Role::Agent, "n9").credentials(bus::Credentials::Seed(key.seed().unwrap()));
    assert!(Bus::connect(options.clone()).await.is_err());
    rig.let_in(&Caller::new(Role::Agent, "n9"), key);
    let mut agent = Bus::connect(options.clone()).await;
    for _ in 0..100 {
        if agent.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        agent = Bus::connect(options.clone()).await;
    }
    let _service = state.serve("s", 4, give).await.unwrap();
    agent.unwrap().call(&To::Any, want(1), SECOND).await.unwrap();
    let _flows = state.accept("s", |opening: Opening<Flow>| opening.refuse("no".to_owned())).await.unwrap();
}
