//! Core v1 Events about pods: pure from notes to requests. A refusal that repeats becomes a count on its first event.
use crate::pod::{NAME, PodInfo};
use jiff::Timestamp;
use model::Object;
use model::time::format;
use serde_json::json;
use state_client::{Body, PatchKind, Request, Verb};
use std::collections::HashMap;
use std::sync::Arc;

/// Something to say about a pod.
#[derive(Clone, Debug)]
pub enum Note {
    /// It was bound to this node.
    Scheduled(Arc<PodInfo>, Arc<str>),
    /// No node takes it, for this reason.
    Refused(Arc<PodInfo>, Arc<str>),
    /// It needs no place any more.
    Gone(Arc<str>),
}

#[derive(Debug)]
struct Refusal {
    event: Arc<str>,
    message: Arc<str>,
    count: u64,
}

/// What was said about pods that still wait.
#[derive(Debug, Default)]
pub struct Journal {
    refusals: HashMap<Arc<str>, Refusal>,
    written: u64,
}

impl Journal {
    /// The write that a note takes, if any.
    pub fn plan(&mut self, note: &Note, now: Timestamp) -> Option<Request> {
        match note {
            Note::Gone(uid) => {
                self.refusals.remove(uid);
                None
            }
            Note::Scheduled(pod, node) => {
                self.refusals.remove(&pod.uid);
                let message = format!("Successfully assigned {}/{} to {node}", pod.namespace, pod.name);
                Some(self.create(pod, ("Normal", "Scheduled", &message), now).1)
            }
            Note::Refused(pod, message) => Some(self.refuse(pod, message, now)),
        }
    }

    /// An event that was to be counted up isn't there any more: the next refusal of this pod is a new event.
    pub fn forget(&mut self, uid: &str) {
        self.refusals.remove(uid);
    }

    fn refuse(&mut self, pod: &PodInfo, message: &Arc<str>, now: Timestamp) -> Request {
        if let Some(known) = self.refusals.get_mut(&pod.uid).filter(|r| r.message == *message) {
            known.count += 1;
            let patch = json!({"count": known.count, "lastTimestamp": format(now)});
            let request = Request::new(Verb::Patch, "", "events", &pod.namespace, &known.event);
            return request.body(Body::Patch(PatchKind::Merge, patch.to_string().into()));
        }
        let (event, request) = self.create(pod, ("Warning", "FailedScheduling", message), now);
        self.refusals.insert(pod.uid.clone(), Refusal { event, message: message.clone(), count: 1 });
        request
    }

    fn create(&mut self, pod: &PodInfo, (kind, reason, message): (&str, &str, &str), now: Timestamp) -> (Arc<str>, Request) {
        self.written += 1;
        let stamp = now.as_nanosecond().wrapping_add(i128::from(self.written));
        let name: Arc<str> = format!("{}.{stamp:x}", pod.name).into();
        let time = format(now);
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": &*name, "namespace": &*pod.namespace},
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod", "namespace": &*pod.namespace, "name": &*pod.name, "uid": &*pod.uid,
                "resourceVersion": pod.revision.to_string(),
            },
            "type": kind, "reason": reason, "message": message, "count": 1, "firstTimestamp": time, "lastTimestamp": time,
            "source": {"component": NAME}, "reportingComponent": NAME, "reportingInstance": "",
        });
        let object = Object::from_value(event).unwrap_or_default();
        (name, Request::new(Verb::Create, "", "events", &pod.namespace, "").body(Body::Object(Box::new(object))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;

    fn body(request: &Request) -> serde_json::Value {
        match &request.body {
            Body::Object(object) => json!(object),
            Body::Patch(_, json) => serde_json::from_slice(json).expect("JSON"),
            _ => panic!("no body"),
        }
    }

    #[test]
    fn a_repeated_refusal_is_counted_on_the_first_event_and_another_reason_is_a_new_one() {
        let (mut journal, now) = (Journal::default(), Timestamp::UNIX_EPOCH);
        let web = pod("web").info();
        let refused = |why: &str| Note::Refused(web.clone(), why.into());
        let first = journal.plan(&refused("no cpu"), now).expect("a request");
        assert_eq!(first.verb, Verb::Create);
        let event = body(&first);
        assert_eq!((event["reason"].as_str(), event["type"].as_str(), event["message"].as_str()), (Some("FailedScheduling"), Some("Warning"), Some("no cpu")));
        assert_eq!(event["involvedObject"]["uid"], "web");
        let again = journal.plan(&refused("no cpu"), now).expect("a request");
        assert_eq!((again.verb, &*again.name, body(&again)["count"].as_u64()), (Verb::Patch, event["metadata"]["name"].as_str().expect("a name"), Some(2)));
        assert_eq!(journal.plan(&refused("no memory"), now).map(|r| r.verb), Some(Verb::Create));
    }

    #[test]
    fn a_bound_pod_is_said_to_be_assigned() {
        let (mut journal, web) = (Journal::default(), pod("web").info());
        let event = body(&journal.plan(&Note::Scheduled(web, "n1".into()), Timestamp::UNIX_EPOCH).expect("a request"));
        assert_eq!(event["message"], "Successfully assigned default/web to n1");
        assert_eq!(event["firstTimestamp"], "1970-01-01T00:00:00Z");
        assert!(journal.plan(&Note::Gone("web".into()), Timestamp::UNIX_EPOCH).is_none());
    }
}
