//! Sends the status of the node's pods to `state`. A node has one message in progress at a time, and the next one carries everything that was reported
//! meanwhile. When many nodes come back, or the log can't be written, the load on `state` therefore grows with the number of nodes and not of pods.
use crate::actor::Message;
use crate::runtime::PodRef;
use bus::Backoff;
use bus::actor::ActorRef;
use k8s_openapi::api::core::v1::PodStatus;
use model::{ApiError, Reason, Stored};
use serde_json::{Value, json};
use state_client::{Body, Client, PatchKind, Reply, Request, Verb};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The most reports in one message.
const MOST: usize = 64;
/// How long a node waits before it reports again when nobody took its report: from …
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// … up to this. While the bus is away a request waits for it by itself.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What there is to say of a pod.
pub struct Report {
    /// Which pod.
    pub pod: PodRef,
    /// Its status.
    pub status: Box<PodStatus>,
    /// Who is told [`Message::Written`].
    pub from: ActorRef<Box<Message>>,
}

#[derive(Default)]
struct Waiting {
    by_uid: HashMap<String, Report>,
    order: VecDeque<String>,
}

/// A node's reports.
#[derive(Default)]
pub struct Reports {
    waiting: Mutex<Waiting>,
    more: Notify,
}

/// Reports that are being sent. Those that were not answered wait again when this is dropped.
struct Sent<'a> {
    home: &'a Reports,
    reports: VecDeque<Report>,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        let mut waiting = self.home.lock();
        while let Some(report) = self.reports.pop_back() {
            waiting.order.push_front(report.pod.uid.clone());
            // an actor that began anew may have more recent news
            waiting.by_uid.entry(report.pod.uid.clone()).or_insert(report);
        }
    }
}

impl Reports {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a report of a pod that has none under way.
    pub fn put(&self, report: Report) {
        let mut waiting = self.lock();
        waiting.order.push_back(report.pod.uid.clone());
        waiting.by_uid.insert(report.pod.uid.clone(), report);
        drop(waiting);
        self.more.notify_one();
    }

    /// Puts news in the place of a pod's report, if that hasn't been sent yet.
    pub fn renew(&self, report: Report) {
        if let Some(old) = self.lock().by_uid.get_mut(&report.pod.uid) {
            *old = report;
        }
    }

    fn take(&self) -> Sent<'_> {
        let mut waiting = self.lock();
        let n = waiting.order.len().min(MOST);
        let uids: Vec<String> = waiting.order.drain(..n).collect();
        let reports = uids.iter().filter_map(|uid| waiting.by_uid.remove(uid)).collect();
        Sent { home: self, reports }
    }

    /// Sends what there is to send, until cancelled.
    pub async fn run(&self, client: &Client, cancel: CancellationToken) {
        let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
        loop {
            let sent = self.take();
            if sent.reports.is_empty() {
                let more = cancel.run_until_cancelled(self.more.notified()).await;
                if more.is_none() {
                    return;
                }
                continue;
            }
            match cancel.run_until_cancelled(send(client, sent)).await {
                Some(true) => backoff.reset(),
                Some(false) if cancel.run_until_cancelled(tokio::time::sleep(backoff.pause())).await.is_some() => {}
                _ => return,
            }
        }
    }
}

/// Sends reports and tells the pods' actors. `false` when nobody could take them: then they wait again.
async fn send(client: &Client, mut sent: Sent<'_>) -> bool {
    let requests: Vec<Request> = sent.reports.iter().map(request).collect();
    let replies = client.batch(requests).await;
    let mut away = VecDeque::new();
    for reply in replies {
        let Some(report) = sent.reports.pop_front() else { break };
        match reply {
            Err(error) if nobody_there(&error) => {
                tracing::debug!(pod = report.pod.name, %error, "the status was not written");
                away.push_back(report);
            }
            reply => {
                let written = Message::Written(report.status, reply.and_then(object));
                tell(report.from, written).await;
            }
        }
    }
    sent.reports = away;
    sent.reports.is_empty()
}

/// Nobody else's reports wait for a pod that is busy.
async fn tell(actor: ActorRef<Box<Message>>, written: Message) {
    let mut telling = Box::pin(async move {
        if let Err(stopped) = actor.send(Box::new(written)).await {
            tracing::trace!(%stopped, "a pod's actor ended before its report");
        }
    });
    if futures::poll!(&mut telling).is_pending() {
        tokio::spawn(telling);
    }
}

/// Whether all of the node's reports would fail like this one.
fn nobody_there(error: &ApiError) -> bool {
    matches!(error.reason, Reason::ServiceUnavailable | Reason::Timeout | Reason::ServerTimeout | Reason::TooManyRequests)
}

fn object(reply: Reply) -> Result<Arc<Stored>, ApiError> {
    match reply {
        Reply::Object { object, .. } => Ok(object),
        _ => Err(ApiError::internal("the reply is not an object")),
    }
}

fn request(report: &Report) -> Request {
    let PodRef { uid, namespace, name } = &report.pod;
    let patch = patch(uid, &report.status).to_string().into_bytes();
    Request::new(Verb::Patch, "", "pods", namespace, name).subresource("status").body(Body::Patch(PatchKind::Merge, patch.into()))
}

/// The merge patch that makes the stored status this one: lists are replaced, what is absent is removed.
fn patch(uid: &str, status: &PodStatus) -> Value {
    let mut fields = json!(status);
    if let Value::Object(map) = &mut fields {
        for name in ["reason", "message", "podIP", "podIPs"] {
            map.entry(name).or_insert(Value::Null);
        }
    }
    json!({"metadata": {"uid": uid}, "status": fields})
}

#[cfg(test)]
mod tests;
