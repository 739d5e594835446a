//! Tests that a failure of one pod doesn't affect the others.
use super::*;
use crate::runtime::hollow::Hollow;
use crate::runtime::{Event, EventKind};
use crate::testing::{Stuck, executor, stored};
use bus::{Bus, Caller, Incoming, Role};
use serde_json::{Value, json};
use state_client::{Batch, Body, Client, Reply};
use tokio::sync::mpsc;

fn pod(uid: &str, n: u64) -> Arc<Stored> {
    let meta = json!({"name": uid, "namespace": "a", "uid": uid, "labels": {"n": n.to_string()}});
    stored(json!({"metadata": meta, "spec": {"containers": [{"name": "c", "image": "i"}]}}), n + 1)
}

/// What comes at `state`: pods' names and phases.
async fn state() -> (Bus, bus::Service, mpsc::UnboundedReceiver<(String, String)>) {
    let bus = Bus::local("test", Caller::new(Role::State, "s"));
    let (tell, told) = mpsc::unbounded_channel();
    let taken = move |asked: Incoming<Batch>| {
        let tell = tell.clone();
        async move {
            let each = asked.message.0.into_iter().map(|request| {
                let Body::Patch(_, bytes) = &request.body else { return Err(ApiError::bad_request("no report")) };
                let status: Value = serde_json::from_slice(bytes).unwrap();
                tell.send((request.name.to_string(), status["status"]["phase"].as_str().unwrap().to_owned())).unwrap();
                Ok(Reply::Object { object: pod(&request.name, 0), created: false, warnings: Vec::new() })
            });
            each.collect::<Vec<_>>()
        }
    };
    let service = bus.serve::<Batch, _, _>("s", 64, taken).await.unwrap();
    (bus, service, told)
}

#[tokio::test]
async fn a_pod_that_the_runtime_never_answers_for_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (bus, _service, mut told) = state().await;
    let client = Client::new(bus.speaking_as(Caller::new(Role::Agent, "n")));
    let runtime = Arc::new(Stuck { simulated: Hollow::default(), uid: "stuck" });
    let system = System::new();
    let agent = Agent::new(executor(runtime, client, dir.path()), system.clone());
    let reporting = agent.clone();
    system.task("reports", move |cancel| {
        let agent = reporting.clone();
        async move {
            agent.executor.reports.run(&agent.executor.client, cancel).await;
            Ok::<(), ApiError>(())
        }
    });
    let all = async {
        agent.start("stuck".to_owned(), pod("stuck", 0), true);
        // More than any mailbox holds, of each kind.
        for n in 1..200 {
            agent.applied(pod("stuck", n));
            let entry = agent.pods.entry("stuck").unwrap();
            entry.tell(Message::Event(Event { id: format!("stuck.{n}"), uid: "stuck".to_owned(), kind: EventKind::Removed }));
            entry.tell(Message::Refresh);
            entry.tell(Message::Relist);
        }
        agent.applied(pod("other", 0));
        while told.recv().await.unwrap() != ("other".to_owned(), "Running".to_owned()) {}
        agent.gone("stuck");
        agent.gone("other");
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("nobody waits");
    assert!(agent.pods.entry("stuck").is_some_and(|e| e.wanted.gone.load(Ordering::Relaxed)));
    system.shutdown(Duration::from_millis(100)).await;
}
