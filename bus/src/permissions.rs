//! What each role may say and hear, as rules for the NATS server: it enforces that nobody speaks as somebody else.
use crate::address::{Caller, Role};
use crate::subject::Subjects;
use serde::Serialize;

/// What a key may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Permissions {
    /// Subjects to publish on.
    pub publish: Vec<String>,
    /// Subjects to subscribe to.
    pub subscribe: Vec<String>,
}

/// A role's row.
struct Row {
    /// First words of the services that it serves.
    serves: &'static [&'static str],
    /// Whether it also answers requests to any instance. An agent is only asked as its node.
    any: bool,
    /// First words of the services that it may ask.
    asks: &'static [&'static str],
    /// Whether it may hold leases.
    leases: bool,
    /// Whether it may ask all services who they are.
    discovers: bool,
}

/// `process` is for what every process tells about itself.
fn row(role: Role) -> Row {
    match role {
        // it holds the log, so whatever it is kept from in the cluster it could do to itself
        Role::State => Row { serves: &["*"], any: true, asks: &["*"], leases: true, discovers: true },
        Role::Gateway => Row { serves: &["gateway", "process"], any: true, asks: &["state", "node", "process"], leases: true, discovers: true },
        Role::Scheduler => Row { serves: &["scheduler", "process"], any: true, asks: &["state"], leases: true, discovers: false },
        Role::Controllers => Row { serves: &["controllers", "process"], any: true, asks: &["state"], leases: true, discovers: false },
        Role::Agent => Row { serves: &["node", "process"], any: false, asks: &["state"], leases: false, discovers: false },
        Role::Admin => Row { serves: &[], any: false, asks: &["*"], leases: false, discovers: true },
    }
}

/// Whether the role answers requests that go to any instance.
pub(crate) fn serves_any(role: Role) -> bool {
    row(role).any
}

/// What the key of this caller may do in this cluster.
pub fn permissions(role: Role, name: &str, cluster: &str) -> Permissions {
    let (subjects, caller, row) = (Subjects::new(cluster), Caller::new(role, name), row(role));
    if role == Role::State {
        return everything(&subjects);
    }
    let mut publish: Vec<String> = row.asks.iter().flat_map(|word| subjects.requests_by(&caller, word)).collect();
    let mut subscribe = vec![subjects.inboxes(&caller), subjects.packets_to(&caller)];
    // to itself, so that it notices when the bus no longer carries
    publish.extend([subjects.packets_from(&caller), subjects.inboxes(&caller)]);
    let instance = if role == Role::Agent { name } else { "" };
    subscribe.extend(row.serves.iter().flat_map(|word| subjects.requests_for(word, instance, row.any)));
    if !row.serves.is_empty() {
        subscribe.push("$SRV.>".to_owned());
    }
    if row.discovers {
        publish.push("$SRV.>".to_owned());
    }
    if row.leases {
        subscribe.push(subjects.locks());
        publish.push(subjects.locks());
        let stream = subjects.locks_stream();
        publish.extend(["STREAM.CREATE", "STREAM.INFO", "STREAM.MSG.GET"].map(|api| format!("$JS.API.{api}.{stream}")));
    }
    Permissions { publish, subscribe }
}

/// The cluster's subjects under any caller's name, and JetStream.
fn everything(subjects: &Subjects) -> Permissions {
    let inside = |more: &[&str]| [subjects.all()].into_iter().chain(more.iter().map(ToString::to_string)).collect();
    Permissions { publish: inside(&["$JS.>", "$SRV.>"]), subscribe: inside(&["$SRV.>"]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_speaks_and_hears_as_its_node_only() {
        let agent = permissions(Role::Agent, "n1", "c");
        for subject in &agent.publish {
            assert!(subject.contains("agent.n1"), "{subject}");
        }
        for subject in agent.subscribe.iter().filter(|s| *s != "$SRV.>") {
            assert!(subject.contains("agent.n1") || subject.contains(".i.n1."), "{subject}");
        }
    }

    #[test]
    fn only_state_has_the_log() {
        for role in Role::ALL {
            let permissions = permissions(role, "x", "c");
            let all = permissions.publish.iter().any(|s| s == "$JS.>" || s == "ws.c.>");
            assert_eq!(all, role == Role::State, "{role:?}");
            assert!(!permissions.publish.iter().any(|s| s.starts_with("ws.c.log")));
        }
    }
}
