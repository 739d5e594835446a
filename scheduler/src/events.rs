//! What is said about pods, as events.
use crate::pod::PodInfo;
use serde_json::json;
use state_client::events::EventRecord;
use std::sync::Arc;

/// Something to say about a pod.
#[derive(Clone, Debug)]
pub enum Note {
    /// It was bound to this node.
    Scheduled(Arc<PodInfo>, Arc<str>),
    /// No node takes it, for this reason.
    Refused(Arc<PodInfo>, Arc<str>),
}

impl Note {
    /// It as an event.
    pub fn event(&self) -> EventRecord {
        let (pod, warning, reason, message) = match self {
            Self::Scheduled(pod, node) => (pod, false, "Scheduled", format!("Successfully assigned {}/{} to {node}", pod.namespace, pod.name)),
            Self::Refused(pod, why) => (pod, true, "FailedScheduling", why.to_string()),
        };
        let about = json!({
            "apiVersion": "v1", "kind": "Pod", "namespace": &*pod.namespace, "name": &*pod.name, "uid": &*pod.uid,
            "resourceVersion": pod.revision.to_string(),
        });
        EventRecord { about, warning, reason: reason.into(), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;

    #[test]
    fn each_note_is_an_event() {
        let web = pod("web").info();
        let bound = Note::Scheduled(web.clone(), "n1".into()).event();
        assert_eq!((bound.warning, &*bound.reason, bound.message.as_str()), (false, "Scheduled", "Successfully assigned default/web to n1"));
        let refused = Note::Refused(web, "no cpu".into()).event();
        assert_eq!((refused.warning, &*refused.reason, refused.message.as_str()), (true, "FailedScheduling", "no cpu"));
        assert_eq!(refused.about["uid"], "web");
    }
}
