//! The subjects of a cluster: the only place where they are built and parsed.
//!
//! | subject | is |
//! | --- | --- |
//! | `ws.<cluster>.call.<service>.any.<role>.<name>` | a request to any instance; `<role>.<name>` is who asks |
//! | `ws.<cluster>.call.<service>.i.<instance>.<role>.<name>` | a request to one instance |
//! | `ws.<cluster>.open.…` | the same for streams |
//! | `ws.<cluster>.notice.<topic>.<role>.<name>` | a notice to all who listen; `<role>.<name>` is whose |
//! | `ws.<cluster>.inbox.<role>.<name>.<connection>.<n>` | where the reply to request `n` is wanted; the server says there that nobody serves it |
//! | `ws.<cluster>.inbox.<role>.<name>.<connection>.<n>.<from role>.<from name>` | that reply, from who gives it |
//! | `ws.<cluster>.js.<role>.<name>.<connection>.>` | what JetStream answers and delivers |
//! | `ws.<cluster>.stream.<role>.<name>.<connection>.<n>.<from role>.<from name>` | packets to an end of a stream |
//! | `ws.<cluster>.api.<user>.<verb>.<group>.<resource>.<namespace>.<name>[.<subresource>]` | a request of a user's program; the core group is `core` |
//! | `ws.<cluster>.ack.<user>.<gateway>.<n>` | where such a program says that it has what it was sent |
//! | `$KV.ws-<cluster>-locks.<name>` | a lease |
//! | `$KV.ws-<cluster>-objects.<key>`, `…-events.…`, `…-leases.…` | what `state` stores: key-value buckets, as NATS has them |
//!
//! A service is two words, `state.api`; the first says who serves it. All names are escaped to one token.
use crate::address::{Caller, Role, To};
use std::borrow::Cow;
use std::fmt::{self, Write};

/// What all subjects of all clusters start with.
const ROOT: &str = "ws";

/// One name as one token: letters, digits, `-` and `_` stand for themselves, other bytes are `=XX`, nothing is `=`.
pub fn escape(name: &str) -> Cow<'_, str> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if name.is_empty() {
        return Cow::Borrowed("=");
    }
    if name.as_bytes().iter().all(plain) {
        return Cow::Borrowed(name);
    }
    let mut token = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        if plain(&byte) {
            token.push(char::from(byte));
        } else {
            // writing to a String can't fail
            _ = write!(token, "={byte:02X}");
        }
    }
    Cow::Owned(token)
}

/// The name that a token stands for; `None` where [`escape`] doesn't make such tokens.
pub fn unescape(token: &str) -> Option<Cow<'_, str>> {
    if !token.is_empty() && !token.contains('=') {
        return matches!(escape(token), Cow::Borrowed(_)).then_some(Cow::Borrowed(token));
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    if token == "=" {
        return Some(Cow::Borrowed(""));
    }
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'=' {
            bytes.push(*first);
            continue;
        }
        let (hex, tail) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
        rest = tail;
    }
    let name = String::from_utf8(bytes).ok()?;
    (escape(&name) == token).then_some(Cow::Owned(name))
}

/// The two kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// One reply.
    Call,
    /// A stream.
    Open,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Open => "open",
        }
    }
}

/// An end of a stream, or of requests: to where packets for it are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Whose it is.
    pub owner: Caller,
    /// Which of the owner's connections, unique in the cluster.
    pub connection: String,
    /// Which stream.
    pub id: u64,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", tokens(&self.owner), self.connection, self.id)
    }
}

impl Port {
    /// From its display form.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        let [role, name, connection, id] = parts.as_slice() else { return None };
        let connection = Some(connection).filter(|c| !c.is_empty() && c.bytes().all(|b| b.is_ascii_alphanumeric()))?;
        Some(Self { owner: caller(role, name)?, connection: (*connection).to_owned(), id: id.parse().ok()? })
    }
}

/// `<role>.<name>`.
fn tokens(caller: &Caller) -> String {
    format!("{}.{}", caller.role.name(), escape(&caller.name))
}

fn caller(role: &str, name: &str) -> Option<Caller> {
    Some(Caller { role: Role::from_name(role)?, name: unescape(name)?.into_owned() })
}

/// The buckets of a cluster that `state` holds objects in.
const STORED: [&str; 3] = ["objects", "events", "leases"];
/// The bucket of leases.
const LOCKS: &str = "locks";

/// A key-value bucket. NATS keeps it in a stream; a key is the rest of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket(String);

impl Bucket {
    /// Its name, as `nats kv` shows it.
    pub fn name(&self) -> &str {
        &self.0
    }
    /// The stream that it is kept in.
    pub fn stream(&self) -> String {
        format!("KV_{}", self.0)
    }
    /// What the subjects of its keys start with.
    pub fn prefix(&self) -> String {
        format!("$KV.{}", self.0)
    }
    /// The subjects of all its keys, as a pattern.
    pub fn all(&self) -> String {
        format!("$KV.{}.>", self.0)
    }
    /// The subject of the key that this name is written as.
    pub(crate) fn of(&self, name: &str) -> String {
        format!("$KV.{}.{}", self.0, escape(name))
    }
}

/// The subjects of one cluster.
#[derive(Clone, Debug)]
pub struct Subjects {
    prefix: String,
    cluster: String,
}

impl Subjects {
    /// Of the cluster of this name.
    pub fn new(cluster: &str) -> Self {
        let cluster = escape(cluster).into_owned();
        Self { prefix: format!("{ROOT}.{cluster}"), cluster }
    }

    /// All of the cluster's subjects, as a pattern.
    pub fn all(&self) -> String {
        format!("{}.>", self.prefix)
    }

    /// A key-value bucket of the cluster: `objects`, `events`, `leases`, `locks`.
    pub fn bucket(&self, name: &'static str) -> Bucket {
        Bucket(format!("ws-{}-{name}", self.cluster.replace('=', "_")))
    }

    /// All of them.
    pub(crate) fn buckets(&self) -> [Bucket; 4] {
        let [objects, events, leases] = STORED.map(|name| self.bucket(name));
        [objects, events, leases, self.locks()]
    }

    /// The bucket that holds leases of the bus.
    pub(crate) fn locks(&self) -> Bucket {
        self.bucket(LOCKS)
    }

    /// A request of `from`.
    pub(crate) fn request(&self, verb: Verb, service: &str, to: &To, from: &Caller) -> String {
        format!("{}.{}", self.target(verb, service, to), tokens(from))
    }

    /// What who answers listens to, as a pattern.
    pub(crate) fn requests(&self, verb: Verb, service: &str, to: &To) -> String {
        format!("{}.*.*", self.target(verb, service, to))
    }

    fn target(&self, verb: Verb, service: &str, to: &To) -> String {
        match to {
            To::Any => format!("{}.{}.{service}.any", self.prefix, verb.name()),
            To::Instance(name) => format!("{}.{}.{service}.i.{}", self.prefix, verb.name(), escape(name)),
        }
    }

    /// A notice of `from`.
    pub(crate) fn notice(&self, topic: &str, from: &Caller) -> String {
        format!("{}.notice.{topic}.{}", self.prefix, tokens(from))
    }

    /// All notices about a topic, as a pattern.
    pub(crate) fn notices(&self, topic: &str) -> String {
        format!("{}.notice.{topic}.*.*", self.prefix)
    }

    /// Who sent a request or a notice.
    pub fn requester(&self, subject: &str) -> Option<Caller> {
        let mut from_end = subject.strip_prefix(&self.prefix)?.rsplit('.');
        let (name, role) = (from_end.next()?, from_end.next()?);
        caller(role, name)
    }

    /// Patterns of all requests that `from` may send to a service, or to all whose first word is `service` (`*`: to all).
    pub(crate) fn requests_by(&self, from: &Caller, service: &str) -> Vec<String> {
        let from = tokens(from);
        let service = if service.contains('.') { service.to_owned() } else { format!("{service}.*") };
        let patterns = |verb: Verb| {
            let start = format!("{}.{}.{service}", self.prefix, verb.name());
            [format!("{start}.any.{from}"), format!("{start}.i.*.{from}")]
        };
        [Verb::Call, Verb::Open].into_iter().flat_map(patterns).collect()
    }

    /// Patterns of all requests for services of `word`: to one instance, and to any.
    pub(crate) fn requests_for(&self, word: &str, instance: &str, any: bool) -> Vec<String> {
        let patterns = |verb: Verb| {
            let start = format!("{}.{}.{word}.*", self.prefix, verb.name());
            let any = any.then(|| format!("{start}.any.*.*"));
            any.into_iter().chain([format!("{start}.i.{}.*.*", if any_instance(instance) { "*".into() } else { escape(instance) })])
        };
        [Verb::Call, Verb::Open].into_iter().flat_map(patterns).collect()
    }

    /// What inboxes of a connection start with.
    pub(crate) fn inbox(&self, owner: &Caller, connection: &str) -> String {
        format!("{}.inbox.{}.{connection}", self.prefix, tokens(owner))
    }

    /// All inboxes of a caller, as a pattern.
    pub(crate) fn inboxes(&self, owner: &Caller) -> String {
        format!("{}.inbox.{}.>", self.prefix, tokens(owner))
    }

    /// All inboxes, as a pattern.
    pub(crate) fn all_inboxes(&self) -> String {
        format!("{}.inbox.>", self.prefix)
    }

    /// Where `from` sends its reply to who wants it at `inbox`; `None` where that is no inbox, or `asker` is known and it is somebody else's.
    pub fn reply(&self, inbox: &str, asker: Option<&Caller>, from: &Caller) -> Option<String> {
        let rest = inbox.strip_prefix(&self.prefix)?.strip_prefix(".inbox.")?;
        let port = Port::parse(rest).filter(|port| port.to_string() == rest)?;
        asker.is_none_or(|asker| port.owner == *asker).then(|| format!("{inbox}.{}", tokens(from)))
    }

    /// All replies that `from` gives, as a pattern.
    pub(crate) fn replies_from(&self, from: &Caller) -> String {
        format!("{}.inbox.*.*.*.*.{}", self.prefix, tokens(from))
    }

    /// What inboxes of the client library start with, on a connection: JetStream answers there.
    pub(crate) fn jetstream_inbox(&self, owner: &Caller, connection: &str) -> String {
        format!("{}.js.{}.{connection}", self.prefix, tokens(owner))
    }

    /// All of those of a caller, as a pattern.
    pub(crate) fn jetstream_inboxes(&self, owner: &Caller) -> String {
        format!("{}.js.{}.>", self.prefix, tokens(owner))
    }

    /// Where `from` sends packets for an end of a stream.
    pub fn packets(&self, to: &Port, from: &Caller) -> String {
        format!("{}.stream.{to}.{}", self.prefix, tokens(from))
    }

    /// Packets for all ends of a connection, as a pattern.
    pub(crate) fn packets_for(&self, owner: &Caller, connection: &str) -> String {
        format!("{}.stream.{}.{connection}.*.*.*", self.prefix, tokens(owner))
    }

    /// All packets for a caller, as a pattern.
    pub(crate) fn packets_to(&self, owner: &Caller) -> String {
        format!("{}.stream.{}.>", self.prefix, tokens(owner))
    }

    /// All packets, as a pattern.
    pub(crate) fn all_packets(&self) -> String {
        format!("{}.stream.>", self.prefix)
    }

    /// All packets from a caller, as a pattern.
    pub(crate) fn packets_from(&self, from: &Caller) -> String {
        format!("{}.stream.*.*.*.*.{}", self.prefix, tokens(from))
    }

    /// For which stream a packet is, and from whom.
    pub fn packet(&self, subject: &str) -> Option<(u64, Caller)> {
        let mut from_end = subject.strip_prefix(&self.prefix)?.rsplit('.');
        let (name, role, id) = (from_end.next()?, from_end.next()?, from_end.next()?);
        Some((id.parse().ok()?, caller(role, name)?))
    }
}

/// The core group in the subjects of users' programs: no group can have this name, as one without a dot is one of Kubernetes' own.
const CORE: &str = "core";

/// What a user's program may ask for.
pub const CLIENT_VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// What a user's program wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSubject {
    /// Kubernetes' verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// API group; `""` for the core group.
    pub group: String,
    /// Plural resource name.
    pub resource: String,
    /// Namespace; `""` for none or all.
    pub namespace: String,
    /// Name; `""` for none.
    pub name: String,
    /// Subresource; `""` for none.
    pub subresource: String,
}

impl Subjects {
    /// All requests of users' programs, as a pattern.
    pub(crate) fn client_requests(&self) -> String {
        format!("{}.api.>", self.prefix)
    }

    /// Those of one user that match `pattern`, which is one of what follows the user.
    pub(crate) fn client_requests_of(&self, user: &str, pattern: &str) -> String {
        format!("{}.api.{}.{pattern}", self.prefix, escape(user))
    }

    /// Which user wants something, whether or not it can be read what.
    pub(crate) fn client_user(&self, subject: &str) -> Option<String> {
        let user = subject.strip_prefix(&self.prefix)?.strip_prefix(".api.")?.split('.').next()?;
        Some(unescape(user)?.into_owned())
    }

    /// Which user wants what.
    pub fn client_request(&self, subject: &str) -> Option<(String, ClientSubject)> {
        let tokens: Vec<&str> = subject.strip_prefix(&self.prefix)?.strip_prefix(".api.")?.split('.').collect();
        let (start, subresource) = match tokens.as_slice() {
            [start @ .., subresource] if start.len() == 6 => (start, *subresource),
            all => (all, "="),
        };
        let &[user, verb, group, resource, namespace, name] = start else { return None };
        let text = |token: &str| unescape(token).map(Cow::into_owned);
        let group = if group == CORE { String::new() } else { text(group)? };
        let (resource, namespace, name, subresource) = (text(resource)?, text(namespace)?, text(name)?, text(subresource)?);
        Some((text(user)?, ClientSubject { verb: text(verb)?, group, resource, namespace, name, subresource }))
    }

    /// All inboxes of users' programs, as a pattern.
    pub(crate) fn client_inboxes(&self) -> String {
        format!("{}.inbox.{}.>", self.prefix, Role::Client.name())
    }

    /// Whether a subject is an inbox of a caller, however its library names inboxes below what is the caller's; a pattern is none.
    pub fn is_inbox_of(&self, subject: &str, owner: &Caller) -> bool {
        let plain = |token: &str| !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let rest = subject.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix(".inbox."));
        let rest = rest.and_then(|rest| rest.strip_prefix(&tokens(owner))?.strip_prefix('.'));
        rest.is_some_and(|rest| rest.split('.').all(plain))
    }

    /// Where a user's program acknowledges message `number` of a gateway.
    pub(crate) fn ack(&self, user: &str, gateway: &Caller, number: u64) -> String {
        format!("{}.ack.{}.{}.{number}", self.prefix, escape(user), escape(&gateway.name))
    }

    /// All acknowledgements for a gateway, as a pattern.
    pub(crate) fn acks(&self, gateway: &Caller) -> String {
        format!("{}.ack.*.{}.*", self.prefix, escape(&gateway.name))
    }

    /// All acknowledgements of a user, as a pattern.
    pub(crate) fn acks_of(&self, user: &str) -> String {
        format!("{}.ack.{}.>", self.prefix, escape(user))
    }

    /// Which message of a gateway was acknowledged, and by whom.
    pub(crate) fn acknowledged(&self, subject: &str, gateway: &Caller) -> Option<(String, u64)> {
        let mut tokens = subject.strip_prefix(&self.prefix)?.strip_prefix(".ack.")?.split('.');
        let (user, of, number) = (tokens.next()?, tokens.next()?, tokens.next()?);
        let ours = unescape(of)? == gateway.name && tokens.next().is_none();
        Some((unescape(user)?.into_owned(), number.parse().ok().filter(|_| ours)?))
    }
}

/// The subjects that a rule of a user's key allows, as a pattern of what follows the user: `VERB:GROUP/RESOURCE[/SUBRESOURCE][:NAMESPACE[/NAME]]`, with `*`
/// for anything in each place, as `get:core/pods:web`. A resource without subresource is that alone.
///
/// # Errors
/// One sentence, for what has another form.
pub fn client_pattern(rule: &str) -> Result<String, String> {
    let form = || format!("{rule:?} is no rule: use VERB:GROUP/RESOURCE[/SUBRESOURCE][:NAMESPACE[/NAME]], such as get:core/pods:web");
    let (verb, rest) = rule.split_once(':').ok_or_else(form)?;
    let (what, place) = rest.split_once(':').unwrap_or((rest, "*"));
    let (group, resource) = what.split_once('/').ok_or_else(form)?;
    let (resource, subresource) = resource.split_once('/').map_or((resource, None), |(resource, sub)| (resource, Some(sub)));
    let (namespace, name) = place.split_once('/').unwrap_or((place, "*"));
    let all = [Some(verb), Some(group), Some(resource), Some(namespace), Some(name), subresource];
    if all.iter().flatten().any(|part| part.is_empty() || part.contains(['/', ':', ' '])) {
        return Err(form());
    }
    if verb != "*" && !CLIENT_VERBS.contains(&verb) {
        return Err(format!("{verb:?} is no verb: use one of {}, or *", CLIENT_VERBS.join(", ")));
    }
    let token = |part: &str| if part == "*" { "*".to_owned() } else { escape(part).into_owned() };
    Ok(all.iter().flatten().map(|part| token(part)).collect::<Vec<_>>().join("."))
}

/// The empty instance name stands for all of a role.
fn any_instance(instance: &str) -> bool {
    instance.is_empty()
}

/// To which request something is that came below a connection's inbox, and from whom: `<n>` or `<n>.<from role>.<from name>`.
pub fn answered(subject: &str, inbox: &str) -> Option<(u64, Option<Caller>)> {
    let mut tokens = subject.strip_prefix(inbox)?.strip_prefix('.')?.split('.');
    let number = tokens.next()?.parse().ok()?;
    match (tokens.next(), tokens.next(), tokens.next()) {
        (None, ..) => Some((number, None)),
        (Some(role), Some(name), None) => Some((number, Some(caller(role, name)?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_programs_want() {
        let subjects = Subjects::new("c");
        let of = |subject: &str| subjects.client_request(subject).map(|(user, wanted)| (user, format!("{wanted:?}").replace("\\\"", "\"")));
        let wanted = |verb: &str, group: &str, resource: &str, namespace: &str, name: &str, subresource: &str| {
            let [verb, group, resource, namespace, name, subresource] = [verb, group, resource, namespace, name, subresource].map(str::to_owned);
            format!("{:?}", ClientSubject { verb, group, resource, namespace, name, subresource })
        };
        let rows = [
            ("ws.c.api.ci.get.core.pods.web.a", Some(("ci", wanted("get", "", "pods", "web", "a", "")))),
            ("ws.c.api.ci.list.apps.deployments.=.=", Some(("ci", wanted("list", "apps", "deployments", "", "", "")))),
            ("ws.c.api.a=2Eb.get.example=2Ecom.things.=.x.status", Some(("a.b", wanted("get", "example.com", "things", "", "x", "status")))),
            ("ws.c.api.ci.get.core.pods.web", None),
            ("ws.c.api.ci.get.core.pods.web.a.b.c", None),
            ("ws.d.api.ci.get.core.pods.web.a", None),
            ("ws.c.api.ci.get.core.pods.web.a=2", None),
        ];
        for (subject, want) in rows {
            assert_eq!(of(subject), want.map(|(user, wanted)| (user.to_owned(), wanted)), "{subject}");
        }
        let client = Caller::new(Role::Client, "ci");
        let inboxes = [
            ("ws.c.inbox.client.ci.a.1", true),
            ("ws.c.inbox.client.ci", false),
            ("ws.c.inbox.client.ci.>", false),
            ("ws.c.inbox.client.ci2.a", false),
            ("ws.c.inbox.agent.ci.a", false),
            ("_INBOX.a", false),
        ];
        for (subject, is) in inboxes {
            assert_eq!(subjects.is_inbox_of(subject, &client), is, "{subject}");
        }
        let gateway = Caller::new(Role::Gateway, "g.1");
        assert_eq!(subjects.acknowledged(&subjects.ack("c.i", &gateway, 7), &gateway), Some(("c.i".to_owned(), 7)));
        assert_eq!(subjects.acknowledged(&subjects.ack("ci", &Caller::new(Role::Gateway, "h"), 7), &gateway), None);
    }

    #[test]
    fn rules_of_programs_are_patterns() {
        let rows = [
            ("get:core/pods", Ok("get.core.pods.*.*")),
            ("*:apps/deployments:web", Ok("*.apps.deployments.web.*")),
            ("get:core/pods/log:web/a", Ok("get.core.pods.web.a.log")),
            ("watch:example.com/*:*/x", Ok("watch.example=2Ecom.*.*.x")),
            ("get:pods", Err(())),
            ("frob:core/pods", Err(())),
            ("get", Err(())),
            ("get:core/", Err(())),
            ("get:core/pods:a b", Err(())),
        ];
        for (rule, want) in rows {
            assert_eq!(client_pattern(rule).map_err(|_| ()), want.map(str::to_owned), "{rule}");
        }
        assert_eq!(client_pattern("get:>/>"), Ok("get.=3E.=3E.*.*".to_owned()));
    }

    #[test]
    fn names_become_one_token() {
        let rows = [
            ("a-b_C9", "a-b_C9"),
            ("", "="),
            ("n1.example.com", "n1=2Eexample=2Ecom"),
            ("system:x", "system=3Ax"),
            ("*>", "=2A=3E"),
            ("=", "=3D"),
            ("é", "=C3=A9"),
        ];
        for (name, token) in rows {
            assert_eq!(escape(name), token);
            assert_eq!(unescape(token).as_deref(), Some(name));
        }
        for token in ["", "=4", "=41", "=e9", "a.b", "=FF", "a b", "=2e"] {
            assert_eq!(unescape(token).filter(|n| !n.is_empty()), None, "{token}");
        }
    }

    #[test]
    fn subjects_look_like_this() {
        let (subjects, agent) = (Subjects::new("c1"), Caller::new(Role::Agent, "n.1"));
        assert_eq!(subjects.request(Verb::Call, "state.api", &To::Any, &agent), "ws.c1.call.state.api.any.agent.n=2E1");
        assert_eq!(subjects.requests(Verb::Open, "node.stream", &To::instance("n.1")), "ws.c1.open.node.stream.i.n=2E1.*.*");
        let port = Port { owner: agent.clone(), connection: "X".to_owned(), id: 7 };
        assert_eq!(subjects.packets(&port, &Caller::new(Role::State, "s")), "ws.c1.stream.agent.n=2E1.X.7.state.s");
        assert_eq!(subjects.inbox(&agent, "X"), "ws.c1.inbox.agent.n=2E1.X");
    }

    fn any_caller() -> impl Strategy<Value = Caller> {
        (0..Role::ALL.len(), ".*").prop_map(|(role, name)| Caller::new(Role::ALL[role], name))
    }

    /// Whether a NATS server routes `subject` to a subscription on `pattern`.
    fn matches(pattern: &str, subject: &str) -> bool {
        let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
        loop {
            match (pattern.next(), subject.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some(p), Some(s)) if p == "*" || p == s => {}
                _ => return false,
            }
        }
    }

    proptest! {
        #[test]
        fn names_come_back(name in ".*") {
            let token = escape(&name).into_owned();
            prop_assert!(!token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b)));
            prop_assert_eq!(unescape(&token).map(Cow::into_owned), Some(name));
        }

        #[test]
        fn tokens_that_are_not_ours_are_refused(token in ".*") {
            if let Some(name) = unescape(&token) {
                prop_assert_eq!(if token.is_empty() { "=".into() } else { escape(&name) }, if token.is_empty() { "=" } else { &token });
            }
        }

        #[test]
        fn callers_come_back_and_patterns_match(cluster in ".+", from in any_caller(), owner in any_caller(), instance in ".+", id: u64) {
            let subjects = Subjects::new(&cluster);
            for to in [To::Any, To::Instance(instance.clone())] {
                let request = subjects.request(Verb::Call, "state.api", &to, &from);
                prop_assert_eq!(subjects.requester(&request), Some(from.clone()));
                prop_assert!(matches(&subjects.requests(Verb::Call, "state.api", &to), &request));
                prop_assert!(subjects.requests_by(&from, "state").iter().any(|p| matches(p, &request)));
                prop_assert!(subjects.requests_for("state", &instance, true).iter().any(|p| matches(p, &request)));
                prop_assert!(from == owner || !subjects.requests_by(&owner, "*").iter().any(|p| matches(p, &request)), "nobody speaks as another");
            }
            let notice = subjects.notice("node.usage", &from);
            prop_assert_eq!(subjects.requester(&notice), Some(from.clone()));
            prop_assert!(matches(&subjects.notices("node.usage"), &notice));
            let port = Port { owner: owner.clone(), connection: "c0nn".to_owned(), id };
            prop_assert_eq!(Port::parse(&port.to_string()), Some(port.clone()));
            let packet = subjects.packets(&port, &from);
            prop_assert_eq!(subjects.packet(&packet), Some((id, from.clone())));
            prop_assert!(matches(&subjects.packets_for(&owner, "c0nn"), &packet) && matches(&subjects.packets_to(&owner), &packet));
            prop_assert!(matches(&subjects.packets_from(&from), &packet));
            let inbox = format!("{}.{id}", subjects.inbox(&owner, "c0nn"));
            let reply = subjects.reply(&inbox, Some(&owner), &from).unwrap();
            prop_assert!(matches(&subjects.replies_from(&from), &reply) && matches(&subjects.inboxes(&owner), &reply));
            prop_assert_eq!(answered(&reply, &subjects.inbox(&owner, "c0nn")), Some((id, Some(from.clone()))));
            prop_assert_eq!(answered(&inbox, &subjects.inbox(&owner, "c0nn")), Some((id, None)));
            prop_assert!(from == owner || subjects.reply(&inbox, Some(&from), &owner).is_none(), "nobody has a reply sent to somebody else");
        }

        #[test]
        fn replies_go_to_inboxes_only(subject in "(ws\\.c\\.inbox\\.(agent|x)\\.|\\PC{0,4})(n1|\\*|>|=)?\\.?(c1|\\*|\\PC{0,3})\\.?([0-9]{0,3}|>|\\PC{0,3})") {
            let (subjects, agent) = (Subjects::new("c"), Caller::new(Role::Agent, "n1"));
            if let Some(reply) = subjects.reply(&subject, Some(&agent), &Caller::new(Role::State, "s")) {
                prop_assert!(reply.starts_with("ws.c.inbox.agent.n1.") && reply.ends_with(".state.s") && reply.split('.').count() == 9);
                prop_assert!(!reply.contains(['*', '>', ' ']));
            }
        }

        #[test]
        fn whatever_comes_is_parsed_or_refused(subject in ".*") {
            let subjects = Subjects::new("c");
            let (_, _, _, _) = (subjects.requester(&subject), subjects.packet(&subject), answered(&subject, ""), Port::parse(&subject));
            _ = subjects.reply(&subject, None, &Caller::new(Role::State, "s")).is_some();
        }
    }
}
