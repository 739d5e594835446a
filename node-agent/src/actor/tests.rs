use super::*;
use crate::runtime::hollow::Hollow;
use crate::testing::{executor, stored};
use bus::actor::{Options, System};
use bus::{Bus, Caller, Role};
use serde_json::json;
use state_client::Client;
use std::path::Path;

fn actor(dir: &Path) -> PodActor {
    let bus = Bus::local("test", Caller::new(Role::Agent, "n"));
    let wanted = Wanted::new("u".to_owned(), stored(json!({"metadata": {"name": "p", "namespace": "a", "uid": "u"}, "spec": {"containers": []}}), 1), false);
    PodActor::new(executor(Arc::new(Hollow::default()), Client::new(bus), dir), Arc::new(wanted), Box::new(|| {}))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[tokio::test]
async fn what_lacked_an_object_is_tried_as_soon_as_that_comes() {
    let dir = tempfile::tempdir().unwrap();
    let mut actor = actor(dir.path());
    let start = |name: &str| Slot::Start(name.to_owned());
    let kinds =
        [("env", TroubleKind::CreateContainerConfigError, true), ("pull", TroubleKind::ErrImagePull, true), ("name", TroubleKind::InvalidImageName, false)];
    for (name, kind, _) in kinds {
        for _ in 0..10 {
            actor.failed(start(name), kind, String::new(), at(0), false);
        }
        assert_eq!(actor.seen.troubles[&start(name)].retry, at(300), "the longest wait");
    }
    actor.renew(at(600 - 400));
    for (name, _, lacked) in kinds {
        assert_eq!(actor.seen.troubles[&start(name)].retry, if lacked { at(200) } else { at(300) }, "{name}");
    }
    assert_eq!(actor.refresh, Some(at(200)));
}

#[tokio::test]
async fn what_was_tried_with_the_old_objects_is_tried_again_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut actor = actor(dir.path());
    let slot = Slot::Start("c".to_owned());
    actor.failed(slot.clone(), TroubleKind::CreateContainerConfigError, String::new(), at(0), false);
    actor.seen.busy.insert(slot.clone());
    actor.renew(at(10));
    assert!(actor.renewed.remove(&slot));
    actor.failed(slot.clone(), TroubleKind::CreateContainerConfigError, String::new(), at(11), true);
    assert_eq!(actor.seen.troubles[&slot].retry, at(12));
    actor.failed(slot.clone(), TroubleKind::CreateContainerConfigError, String::new(), at(12), false);
    assert!(actor.seen.troubles[&slot].retry > at(13));
    (0..100).for_each(|_| actor.renew(at(12)));
    assert_eq!(actor.seen.troubles[&slot].retry, at(13), "however often it changes");
}

/// Forgets.
struct Deaf;

impl Actor for Deaf {
    type Message = Box<Message>;
    type Error = &'static str;
    async fn handle(&mut self, _: Box<Message>, _: &Context<Box<Message>>) -> Result<(), &'static str> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn what_has_no_room_is_made_up_for() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = actor(dir.path()).wanted;
    let system = System::new();
    let deaf = system.spawn("deaf", Options { mailbox: 2, ..Options::default() }, || Deaf);
    for _ in 0..10 {
        wanted.tell(&deaf, Message::Refresh);
    }
    assert!(wanted.behind.load(Ordering::SeqCst));
    system.shutdown(std::time::Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_node_has_no_room_for_is_rejected_unless_it_runs_here() {
    let full = json!({"metadata": {"name": "n"}, "status": {"allocatable": {"pods": "0"}}});
    for (begun, want) in [(false, Some("OutOfpods")), (true, None)] {
        let dir = tempfile::tempdir().unwrap();
        let mut actor = actor(dir.path());
        actor.executor.admission.learn(&stored(full.clone(), 1));
        actor.read_object().unwrap();
        actor.seen.sandbox = begun.then(crate::runtime::Sandbox::default);
        actor.enter().await;
        assert_eq!(actor.seen.rejected.as_ref().map(|why| &*why.reason), want);
        actor.read_object().unwrap();
        assert_eq!(actor.seen.rejected.is_some(), want.is_some(), "a change of the object changes nothing");
    }
}
