//! Discovery by NATS' micro protocol.

use crate::common::{Got, Rig, SECOND, Want, want};
use bus::{Bus, Caller, Incoming, Role, To};
use serde_bytes::ByteBuf;
use serde_json::Value;
use std::time::Duration;

async fn give(incoming: Incoming<Want>) -> Got {
    Got { body: ByteBuf::new(), received: 0, caller: incoming.caller }
}

#[tokio::test]
async fn services_say_who_they_are_and_what_they_did() {
    let rig = Rig::open().await;
    let (state, admin) = (rig.bus(Role::State, "s").await, rig.bus(Role::Admin, "root").await);
    let service = state.serve("s", 4, give).await.unwrap();
    admin.call(&To::Any, want(0), SECOND).await.unwrap();
    let found = admin.discover(Duration::from_millis(200)).await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].service.as_str(), found[0].instance.as_str(), found[0].requests, found[0].errors), ("state.want", "s", 1, 0));
    assert_eq!(found[0].caller, Caller::new(Role::State, "s"));
    let raw = async_nats::connect(rig.server.url()).await.unwrap();
    for (subject, kind) in [("$SRV.PING", "ping"), ("$SRV.INFO.state-want", "info"), (&format!("$SRV.STATS.state-want.{}", found[0].id), "stats")] {
        let reply: Value = serde_json::from_slice(&raw.request(subject.to_owned(), "".into()).await.unwrap().payload).unwrap();
        assert_eq!(reply["type"], format!("io.nats.micro.v1.{kind}_response"));
        assert_eq!((&reply["name"], &reply["metadata"]["role"]), (&"state-want".into(), &"state".into()));
    }
    drop(service);
    assert_eq!(admin.discover(Duration::from_millis(100)).await, []);
}

#[tokio::test]
async fn a_process_alone_knows_its_own() {
    let bus = Bus::local("c", Caller::new(Role::State, "s"));
    let _service = bus.serve("s", 4, give).await.unwrap();
    assert_eq!(bus.discover(SECOND).await[0].service, "state.want");
}
