//! What is said about pods, as events.
use crate::pod::PodInfo;
use crate::requests::Eviction;
use serde_json::{Value, json};
use state_client::events::EventRecord;
use std::sync::Arc;

/// Bytes that an event's text may have.
const NOTE: usize = 1024;
const MORE: &str = " ...";

/// Something to say about a pod.
#[derive(Clone, Debug)]
pub enum Note {
    /// It was bound to this node.
    Scheduled(Arc<PodInfo>, Arc<str>),
    /// No node takes it, for this reason.
    Refused(Arc<PodInfo>, Arc<str>),
    /// It goes to make room for a more important one.
    Preempted(Box<Eviction>),
}

impl Note {
    /// It as an event.
    pub fn event(&self) -> EventRecord {
        let (warning, reason, message) = match self {
            Self::Scheduled(pod, node) => (false, "Scheduled", format!("Successfully assigned {}/{} to {node}", pod.namespace, pod.name)),
            Self::Refused(_, why) => (true, "FailedScheduling", truncated(why)),
            Self::Preempted(eviction) => (false, "Preempted", format!("Preempted by pod {} on node {}", eviction.preemptor.uid, eviction.node)),
        };
        EventRecord { about: self.about(), warning, reason: reason.into(), message }
    }

    fn about(&self) -> Value {
        let of = |namespace: &str, name: &str, uid: &str| json!({"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": name, "uid": uid});
        match self {
            Self::Scheduled(pod, _) | Self::Refused(pod, _) => {
                let mut about = of(&pod.namespace, &pod.name, &pod.uid);
                about["resourceVersion"] = pod.revision.to_string().into();
                about
            }
            Self::Preempted(eviction) => of(&eviction.victim.namespace, &eviction.victim.name, &eviction.victim.uid),
        }
    }
}

/// Events' texts have a limit.
fn truncated(text: &str) -> String {
    if text.len() <= NOTE {
        return text.to_owned();
    }
    let end = (0..=NOTE - MORE.len()).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}{MORE}", text.get(..end).unwrap_or_default())
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
