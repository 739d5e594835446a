//! Services say who they are, by NATS' micro protocol: `nats micro ls` sees them, and [`crate::Bus::discover`] asks the same way.
use crate::address::{Caller, Role};
use crate::nats::clients::Clients;
use crate::permissions::foreign_inbox;
use crate::stats::Stats;
use crate::subject::Subjects;
use async_nats::Message;
use bytes::Bytes;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One service as it runs somewhere in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceInfo {
    /// `state.api`.
    pub service: String,
    /// Under which name it is asked directly.
    pub instance: String,
    /// Who serves it.
    pub caller: Caller,
    /// This run of it.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Since when, RFC 3339.
    pub started: String,
    /// Requests answered, well or not.
    pub requests: u64,
    /// Of those, the ones that failed.
    pub errors: u64,
    /// Time spent on them.
    pub processing: Duration,
}

/// A service of this process.
pub(crate) struct Announced {
    service: &'static str,
    subject: String,
    instance: String,
    caller: Caller,
    id: String,
    started: jiff::Timestamp,
    stats: Arc<Stats>,
}

impl Announced {
    /// As it is found.
    pub(crate) fn info(&self) -> ServiceInfo {
        ServiceInfo {
            service: self.service.to_owned(),
            instance: self.instance.clone(),
            caller: self.caller.clone(),
            id: self.id.clone(),
            version: VERSION.to_owned(),
            started: self.started.to_string(),
            requests: self.stats.requests(),
            errors: self.stats.errors(),
            processing: self.stats.processing(),
        }
    }

    /// The name as the protocol has it: no dots.
    fn name(&self) -> String {
        self.service.replace('.', "-")
    }

    /// The answer to this verb, addressed so: `$SRV.<verb>[.<name>[.<id>]]`.
    fn answer(&self, cluster: &str, subject: &str) -> Option<Value> {
        let mut words = subject.split('.').skip(1);
        let verb = words.next()?;
        if words.next().is_some_and(|name| name != self.name()) || words.next().is_some_and(|id| id != self.id) {
            return None;
        }
        let metadata =
            json!({ "cluster": cluster, "service": self.service, "instance": self.instance, "role": self.caller.role.name(), "name": self.caller.name });
        let kind = verb.to_ascii_lowercase();
        let mut answer =
            json!({ "type": format!("io.nats.micro.v1.{kind}_response"), "name": self.name(), "id": self.id, "version": VERSION, "metadata": metadata });
        let endpoint = json!({ "name": self.name(), "subject": self.subject, "queue_group": "any" });
        match verb {
            "PING" => {}
            "INFO" => {
                answer["description"] = format!("{} of {}", self.service, self.caller).into();
                answer["endpoints"] = json!([endpoint]);
            }
            "STATS" => {
                answer["started"] = self.started.to_string().into();
                answer["endpoints"] = json!([self.with_stats(endpoint)]);
            }
            _ => return None,
        }
        Some(answer)
    }

    fn with_stats(&self, mut endpoint: Value) -> Value {
        let (requests, nanos) = (self.stats.requests(), u64::try_from(self.stats.processing().as_nanos()).unwrap_or(u64::MAX));
        endpoint["num_requests"] = requests.into();
        endpoint["num_errors"] = self.stats.errors().into();
        endpoint["last_error"] = "".into();
        endpoint["processing_time"] = nanos.into();
        endpoint["average_processing_time"] = nanos.checked_div(requests).unwrap_or_default().into();
        endpoint
    }
}

/// The services of this process.
#[derive(Default)]
pub(crate) struct Announcements {
    list: Mutex<Vec<Weak<Announced>>>,
    announcing: tokio::sync::OnceCell<()>,
}

impl Announcements {
    /// Puts a service on the list for as long as what is returned is held.
    pub(crate) fn add(&self, service: &'static str, subject: String, instance: &str, caller: &Caller, stats: Arc<Stats>) -> Arc<Announced> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let announced = Announced { service, subject, instance: instance.to_owned(), caller: caller.clone(), id, started: jiff::Timestamp::now(), stats };
        let announced = Arc::new(announced);
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|old| old.strong_count() > 0);
        list.push(Arc::downgrade(&announced));
        announced
    }

    /// The services on the list.
    pub(crate) fn all(&self) -> Vec<Arc<Announced>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }

    /// Answers those who ask, from the first call on.
    pub(crate) async fn announce(self: &Arc<Self>, cluster: &str, clients: &Clients, subjects: &Subjects, owner: &Caller, stop: CancellationToken) {
        let start = || async {
            let questions = clients.own.subscribe("$SRV.>").await?;
            let (all, speaker) = (self.clone(), Speaker { client: clients.replies.clone(), subjects: subjects.clone(), owner: owner.clone() });
            let (cluster, speaker) = (cluster.to_owned(), Arc::new(speaker));
            tokio::spawn(stop.run_until_cancelled_owned(questions.for_each(move |question| answer(all.clone(), speaker.clone(), cluster.clone(), question))));
            Ok::<(), async_nats::SubscribeError>(())
        };
        if let Err(error) = self.announcing.get_or_try_init(start).await {
            tracing::warn!(%error, "services can't be discovered");
        }
    }
}

/// Who answers, and on which connection.
struct Speaker {
    client: async_nats::Client,
    subjects: Subjects,
    owner: Caller,
}

impl Speaker {
    /// Where the answer to this question goes: to an inbox of the cluster or of NATS' own tools, or nowhere. The question doesn't say who asks.
    fn reply(&self, inbox: &str) -> Option<String> {
        self.subjects.reply(inbox, None, &self.owner).or_else(|| foreign_inbox(inbox).then(|| inbox.to_owned()))
    }
}

async fn answer(all: Arc<Announcements>, speaker: Arc<Speaker>, cluster: String, question: Message) {
    let Some(reply) = question.reply.as_deref().and_then(|inbox| speaker.reply(inbox)) else { return };
    for answer in all.all().iter().filter_map(|announced| announced.answer(&cluster, &question.subject)) {
        if let Err(error) = speaker.client.publish(reply.clone(), Bytes::from(answer.to_string())).await {
            tracing::debug!(%error, "not announced");
        }
    }
}

/// What a STATS response says, where it is one of ours.
pub fn parse(cluster: &str, response: &[u8]) -> Option<ServiceInfo> {
    let response: Value = serde_json::from_slice(response).ok()?;
    let metadata = response.get("metadata").filter(|m| m.get("cluster").and_then(Value::as_str) == Some(cluster))?;
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
    let endpoint = response.get("endpoints")?.get(0)?;
    let number = |key: &str| endpoint.get(key).and_then(Value::as_u64);
    Some(ServiceInfo {
        service: text(metadata, "service")?,
        instance: text(metadata, "instance")?,
        caller: Caller::new(Role::from_name(&text(metadata, "role")?)?, text(metadata, "name")?),
        id: text(&response, "id")?,
        version: text(&response, "version")?,
        started: text(&response, "started")?,
        requests: number("num_requests")?,
        errors: number("num_errors")?,
        processing: Duration::from_nanos(number("processing_time")?),
    })
}
