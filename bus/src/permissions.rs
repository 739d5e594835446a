//! The NATS permissions of each role: which subjects its key may publish and subscribe to. The server enforces them, so that no component can send as another.
use crate::address::{Caller, Role, To};
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
    /// The services that it may ask: all of a first word, or one.
    asks: &'static [&'static str],
    /// The topics of which it gives notice.
    tells: &'static [&'static str],
    /// The topics of which it hears.
    hears: &'static [&'static str],
    /// Whether it may hold leases.
    leases: bool,
    /// Whether it may ask all services who they are.
    discovers: bool,
}

/// `process` is for what every process tells about itself.
fn row(role: Role) -> Row {
    match role {
        // it holds the log, so whatever it is kept from in the cluster it could do to itself
        Role::State => Row { serves: &["*"], any: true, asks: &["*"], tells: &[], hears: &[], leases: true, discovers: true },
        // numbers from outside may come from any program that has a gateway's key
        Role::Gateway => Row {
            serves: &["gateway", "process", "metrics"],
            any: true,
            asks: &["state", "node", "process.status"],
            tells: &[],
            hears: &[],
            leases: true,
            discovers: true,
        },
        Role::Scheduler => Row { serves: &["scheduler", "process"], any: true, asks: &["state"], tells: &[], hears: &[], leases: true, discovers: false },
        Role::Controllers => Row {
            serves: &["controllers", "process"],
            any: true,
            asks: &["state", "metrics"],
            tells: &[],
            hears: &["node.usage"],
            leases: true,
            discovers: false,
        },
        Role::Agent => Row { serves: &["node", "process"], any: false, asks: &["state"], tells: &["node.usage"], hears: &[], leases: false, discovers: false },
        Role::Admin => Row { serves: &[], any: false, asks: &["*"], tells: &[], hears: &[], leases: false, discovers: true },
        Role::Join => Row { serves: &[], any: false, asks: &["process.join"], tells: &[], hears: &[], leases: false, discovers: false },
        // it speaks by subjects of another form: see client_permissions
        Role::Client => Row { serves: &[], any: false, asks: &[], tells: &[], hears: &[], leases: false, discovers: false },
    }
}

/// Whether the role answers requests that go to any instance.
pub(crate) fn serves_any(role: Role) -> bool {
    row(role).any
}

/// Whether a reply of `from` to a request for `service` counts: whoever may not serve it could only have forged one.
pub(crate) fn may_answer(from: &Caller, service: &str, to: &To) -> bool {
    let row = row(from.role);
    let word = service.split('.').next().unwrap_or_default();
    let addressed = match to {
        To::Any => row.any,
        To::Instance(name) => row.any || *name == from.name,
    };
    addressed && row.serves.iter().any(|serves| matches!(*serves, "*") || *serves == word)
}

/// What the key of this caller may do in this cluster.
///
/// Nobody has response permissions: a key that has them makes any subject its own by sending itself a message that names the subject for replies.
pub fn permissions(role: Role, name: &str, cluster: &str) -> Permissions {
    let (subjects, caller, row) = (Subjects::new(cluster), Caller::new(role, name), row(role));
    match role {
        Role::State => return everything(&subjects),
        Role::Client => return client_permissions(name, cluster, &[]),
        _ => {}
    }
    let mut publish: Vec<String> = row.asks.iter().flat_map(|service| subjects.requests_by(&caller, service)).collect();
    let mut subscribe = vec![subjects.inboxes(&caller), subjects.packets_to(&caller)];
    // to itself, so that it notices when the bus no longer carries
    publish.extend([subjects.packets_from(&caller), subjects.inboxes(&caller)]);
    let instance = if role == Role::Agent { name } else { "" };
    subscribe.extend(row.serves.iter().flat_map(|word| subjects.requests_for(word, instance, row.any)));
    if !row.serves.is_empty() {
        publish.push(subjects.replies_from(&caller));
        subscribe.push("$SRV.>".to_owned());
    }
    if row.discovers {
        publish.push("$SRV.>".to_owned());
    }
    // the tools of NATS listen there when they ask for services
    if row.any {
        publish.push(FOREIGN_INBOXES.to_owned());
    }
    if role == Role::Admin {
        subscribe.push(FOREIGN_INBOXES.to_owned());
    }
    if role == Role::Gateway {
        publish.push(subjects.client_inboxes());
        subscribe.extend([subjects.client_requests(), subjects.acks(&caller)]);
    }
    publish.extend(row.tells.iter().map(|topic| subjects.notice(topic, &caller)));
    subscribe.extend(row.hears.iter().map(|topic| subjects.notices(topic)));
    if row.leases {
        let locks = subjects.locks();
        subscribe.extend([locks.all(), subjects.jetstream_inboxes(&caller)]);
        publish.push(locks.all());
        let stream = locks.stream();
        publish.extend(["STREAM.CREATE", "STREAM.INFO", "STREAM.MSG.GET"].map(|api| format!("$JS.API.{api}.{stream}")));
    }
    Permissions { publish, subscribe }
}

/// What the key of a user's program may do: ask what it is `allowed`, patterns of [`crate::subject::client_pattern`]'s; anything where there are none, which
/// is then as much as the cluster's roles and bindings let the user do.
pub fn client_permissions(user: &str, cluster: &str, allowed: &[String]) -> Permissions {
    let (subjects, caller) = (Subjects::new(cluster), Caller::new(Role::Client, user));
    let asks = if allowed.is_empty() {
        vec![subjects.client_requests_of(user, ">")]
    } else {
        allowed.iter().map(|of| subjects.client_requests_of(user, of)).collect()
    };
    Permissions { publish: [asks, vec![subjects.acks_of(user)]].concat(), subscribe: vec![subjects.inboxes(&caller)] }
}

/// What the key may do by which a process of `state` answers: whatever subject a request names for its reply, nothing but an inbox or a stream is reached.
pub fn reply_permissions(cluster: &str) -> Permissions {
    let subjects = Subjects::new(cluster);
    Permissions { publish: vec![subjects.all_inboxes(), subjects.all_packets(), FOREIGN_INBOXES.to_owned()], subscribe: Vec::new() }
}

/// Inboxes of clients that aren't ours.
const FOREIGN_INBOXES: &str = "_INBOX.>";

/// Whether a subject is an inbox of a client that isn't ours.
pub(crate) fn foreign_inbox(subject: &str) -> bool {
    let plain = |token: &str| !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    subject.strip_prefix("_INBOX.").is_some_and(|rest| rest.split('.').all(plain))
}

/// The cluster's subjects under any caller's name, and JetStream.
fn everything(subjects: &Subjects) -> Permissions {
    let inside = |more: &[&str]| -> Vec<String> { [subjects.all()].into_iter().chain(more.iter().map(ToString::to_string)).collect() };
    let buckets = subjects.buckets().map(|bucket| bucket.all());
    let all = |more: &[&str]| [inside(more), buckets.to_vec()].concat();
    Permissions { publish: all(&["$JS.>", "$SRV.>"]), subscribe: all(&["$SRV.>"]) }
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
    fn replies_count_from_those_who_may_serve() {
        let (agent, state) = (Caller::new(Role::Agent, "n1"), Caller::new(Role::State, "s"));
        let rows = [
            (&agent, "node.stream", To::instance("n1"), true),
            (&agent, "node.stream", To::instance("n2"), false),
            (&agent, "process.status", To::instance("n1"), true),
            (&agent, "process.status", To::Any, false),
            (&agent, "state.api", To::Any, false),
            (&agent, "state.api", To::instance("n1"), false),
            (&state, "state.api", To::Any, true),
            (&state, "node.stream", To::instance("n1"), true),
            (&Caller::new(Role::Gateway, "g"), "state.api", To::Any, false),
            (&Caller::new(Role::Admin, "admin"), "process.status", To::Any, false),
            (&Caller::new(Role::Join, "J"), "process.join", To::Any, false),
        ];
        for (from, service, to, counts) in rows {
            assert_eq!(may_answer(from, service, &to), counts, "{from} {service} {to:?}");
        }
    }

    #[test]
    fn foreign_inboxes_are_no_patterns() {
        for (subject, is) in [("_INBOX.a.b", true), ("_INBOX.", false), ("_INBOX.>", false), ("_INBOX.a.*", false), ("$JS.API.INFO", false), ("_INBOXa", false)]
        {
            assert_eq!(foreign_inbox(subject), is, "{subject}");
        }
    }

    #[test]
    fn only_state_has_the_log() {
        for role in Role::ALL {
            let permissions = permissions(role, "x", "c");
            let all = permissions.publish.iter().any(|s| s == "$JS.>" || s == "ws.c.>");
            assert_eq!(all, role == Role::State, "{role:?}");
            let objects = permissions.publish.iter().any(|s| s == "$KV.ws-c-objects.>");
            assert_eq!(objects, role == Role::State, "{role:?}");
        }
    }
}
