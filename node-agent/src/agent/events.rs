//! Tells pods' actors what happened to them: by the runtime's events, and by changes of the objects that they refer to.
use super::error::AgentError;
use super::pods::Pods;
use crate::actor::Message;
use crate::executor::Executor;
use crate::runtime::RuntimeError;
use crate::runtime::podman::service::{self, Socket};
use bus::actor::System;
use futures::StreamExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Passes on that an object was changed, to the pods that refer to it.
pub fn follow_references(executor: Arc<Executor>, pods: Arc<Pods>) {
    tokio::spawn(async move {
        loop {
            let key = executor.references.changed().await;
            for entry in executor.references.pods(&key).iter().filter_map(|uid| pods.entry(uid)) {
                entry.tell(Message::Refresh);
            }
        }
    });
}

/// As a safety net only: what the runtime tells by itself is what counts.
const RELIST: Duration = Duration::from_secs(300);

/// Passes on what the runtime tells, for as long as the system runs. Where that broke off, Podman is looked for anew.
pub fn follow_events(system: &System, executor: Arc<Executor>, pods: Arc<Pods>, podman: Socket, data: PathBuf) {
    let first = Arc::new(AtomicBool::new(true));
    let name = format!("runtime-{}", executor.node.name);
    system.task(&name, move |cancel| {
        let (executor, pods, podman, data, first) = (executor.clone(), pods.clone(), podman.clone(), data.clone(), first.clone());
        async move {
            if !first.swap(false, Ordering::Relaxed) {
                service::find(&podman, &data).await?;
            }
            cancel.run_until_cancelled(listen(&executor, &pods)).await.unwrap_or(Ok(()))
        }
    });
}

async fn listen(executor: &Executor, pods: &Pods) -> Result<(), AgentError> {
    let mut events = executor.runtime.events();
    let mut relist = tokio::time::interval(RELIST);
    // The first tick comes at once: what happened before the stream was open is seen by it.
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => {
                    if let Some(entry) = pods.entry(&event.uid) {
                        entry.tell(Message::Event(event));
                    }
                }
                Some(Err(e)) => return Err(e.into()),
                None => return Err(RuntimeError::Unreachable("its event stream ended".to_owned()).into()),
            },
            _ = relist.tick() => {
                pods.entries().iter().for_each(|entry| entry.tell(Message::Relist));
            }
        }
    }
}
