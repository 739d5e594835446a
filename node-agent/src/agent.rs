//! The root actor of the agent. It watches the pods of its node, starts an actor for each, and keeps the node registered.
mod error;
mod events;
mod kept;
mod options;
mod pods;
mod run;
mod strays;

pub use error::AgentError;
pub use kept::has_pods;
pub use options::AgentOptions;
pub use pods::Pods;
pub use run::run;

use crate::actor::{Message, PodActor, Wanted};
use crate::executor::Executor;
use crate::node::{NodeHeartbeat, Registration};
use bus::actor::{Options, System};
use kept::{is_over, kept, matters};
use model::{ApiError, Stored};
use pods::Entry;
use state_client::{Change, Reflector, Request, Verb};
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use strays::Strays;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One node's agent.
pub(crate) struct Agent {
    pub(crate) executor: Arc<Executor>,
    pub(crate) pods: Arc<Pods>,
    system: System,
    strays: Strays,
}

impl Agent {
    pub(crate) fn new(executor: Arc<Executor>, system: System) -> Arc<Self> {
        Arc::new(Self { executor, pods: Arc::default(), system, strays: Strays::default() })
    }

    /// Starts what every node has, simulated ones too, after a while: the heartbeat, and its pods; and the reports.
    pub(crate) fn begin(self: Arc<Self>, registration: Registration, after: Duration) {
        let node = self.executor.node.name.clone();
        crate::node::introduce(&self.executor, &registration);
        let executor = self.executor.clone();
        let (system, machine) = (self.system.clone(), registration.machine.clone());
        // from now, not from each of the tasks' restarts
        let begin = Instant::now() + after;
        system.task(&format!("node-{node}"), move |cancel| {
            let heartbeat = NodeHeartbeat::new(executor.clone(), registration.clone());
            not_before(begin, cancel, |cancel| async move { heartbeat.run(cancel).await })
        });
        let executor = self.executor.clone();
        system.task(&format!("reports-{node}"), move |cancel| {
            let executor = executor.clone();
            async move {
                executor.reports.run(&executor.client, cancel).await;
                Ok::<(), ApiError>(())
            }
        });
        let (executor, pods) = (self.executor.clone(), self.pods.clone());
        system.task(&format!("usage-{node}"), move |cancel| {
            let (executor, pods, machine) = (executor.clone(), pods.clone(), machine.clone());
            not_before(begin, cancel, |cancel| async move {
                crate::usage::report(executor, pods, machine, cancel).await;
                Ok::<(), ApiError>(())
            })
        });
        let executor = self.executor.clone();
        system.task(&format!("volumes-{node}"), move |cancel| {
            let executor = executor.clone();
            not_before(begin, cancel, |cancel| crate::directories::run(executor, cancel))
        });
        system.task(&format!("pods-{node}"), move |cancel| {
            let agent = self.clone();
            not_before(begin, cancel, |cancel| agent.follow_pods(cancel))
        });
    }

    async fn follow_pods(self: Arc<Self>, cancel: CancellationToken) -> Result<(), ApiError> {
        let mut request = Request::new(Verb::Watch, "", "pods", "", "");
        request.options.field_selector = format!("spec.nodeName={}", self.executor.node.name);
        let mut reflector = Reflector::new(self.executor.client.clone(), request);
        loop {
            let changes = tokio::select! {
                changes = reflector.next() => changes,
                () = cancel.cancelled() => return Ok(()),
            };
            for change in changes {
                match change {
                    Change::Applied { old, new } => {
                        if let Some(old) = old.map(|old| old.uid()).filter(|old| *old != new.uid()) {
                            self.gone(&old);
                        }
                        self.applied(new);
                    }
                    Change::Deleted(last) => self.gone(&last.uid()),
                    Change::Synced => {
                        let present: HashSet<String> = reflector.objects().map(|o| o.uid()).collect();
                        let missing: Vec<String> = self.pods.uids().into_iter().filter(|uid| !present.contains(uid)).collect();
                        for uid in missing {
                            self.gone(&uid);
                        }
                        self.strays.end(&self.executor);
                    }
                }
            }
        }
    }

    fn applied(&self, object: Arc<Stored>) {
        let uid = object.uid();
        match self.pods.entry(&uid) {
            Some(entry) => {
                let before = std::mem::replace(&mut *entry.wanted.object.lock().unwrap_or_else(PoisonError::into_inner), object.light());
                if self.executor.runtime.uses_files() && matters(before.object(), object.object()) {
                    entry.wanted.keep(&self.executor.dir(&uid));
                }
                entry.tell(Message::Changed);
            }
            None => {
                let left = self.strays.claim(&uid);
                self.start(uid, object, left);
            }
        }
    }

    fn gone(&self, uid: &str) {
        let Some(entry) = self.pods.entry(uid) else { return };
        entry.wanted.gone.store(true, Ordering::Relaxed);
        // who deletes a pod at once and binds another in its place finds that one admitted, as with the kubelet
        self.executor.leave(uid);
        entry.tell(Message::Changed);
    }

    fn start(&self, uid: String, object: Arc<Stored>, known: bool) {
        let name = format!("pod-{}-{}-{}", object.key.namespace, object.key.name, uid);
        if known && !is_over(object.object()) {
            self.executor.admission.hold(&uid, &object);
        }
        let wanted = Arc::new(Wanted::new(uid.clone(), object.light(), known));
        let (executor, for_actor, pods) = (self.executor.clone(), wanted.clone(), Arc::downgrade(&self.pods));
        let actor = self.system.spawn(&name, Options { mailbox: 64, restarts: None, ..Options::default() }, move || {
            let (pods, uid, node) = (pods.clone(), for_actor.uid.clone(), executor.clone());
            let ended = move || {
                if let Some(pods) = pods.upgrade() {
                    pods.remove(&uid);
                    node.admission.forget(&uid);
                }
            };
            PodActor::new(executor.clone(), for_actor.clone(), Box::new(ended))
        });
        self.pods.insert(uid, Entry { actor, wanted });
    }

    /// Takes over what an agent before left: pods from disk, with their containers; takes note of containers that belong to none of these.
    async fn adopt(&self) -> Result<(), AgentError> {
        let kept = kept(&self.executor.pods);
        let uids: HashSet<String> = kept.iter().map(|o| o.object().uid().to_owned()).collect();
        for container in self.executor.runtime.list(None).await? {
            if !uids.contains(&container.pod.uid) {
                self.strays.add(container);
            }
        }
        for object in kept {
            self.start(object.object().uid().to_owned(), object, true);
        }
        Ok(())
    }
}

/// Runs it once it is time, if it isn't cancelled before.
async fn not_before<R: Future<Output = Result<(), E>>, E>(
    begin: Instant,
    cancel: CancellationToken,
    work: impl FnOnce(CancellationToken) -> R,
) -> Result<(), E> {
    match cancel.run_until_cancelled(tokio::time::sleep_until(begin)).await {
        Some(()) => work(cancel).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
