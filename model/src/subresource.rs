//! Subresources: parts of an object, actions on it and connections to it that have an address of their own. Each is a row of data, from which paths, verbs,
//! discovery, OpenAPI, authorisation and what a write covers follow. A kind's row lists the ones that it has.

/// The kind of what a subresource takes and answers, where that isn't the object itself.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Exchanged {
    /// Its group and version, where they aren't the object's.
    pub group_version: Option<(&'static str, &'static str)>,
    /// Its name: `Scale`.
    pub kind: &'static str,
    /// Its definition in [`crate::schema`]; none where it is made of a query's parameters.
    pub schema: Option<&'static str>,
}

/// What a subresource does.
#[derive(Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// A write changes this field of the object, and nothing else.
    Part(&'static [&'static str]),
    /// It shows a part of the object in another form, and changes it in that form.
    View,
    /// Something is done with the object, which the request's body says.
    Action,
    /// A stream to where the object runs.
    Connection,
}

/// What is known of a subresource.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Definition {
    name: &'static str,
    verbs: &'static [&'static str],
    exchanged: Option<Exchanged>,
    effect: Effect,
}

/// A subresource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subresource(&'static Definition);

const READ_WRITE: &[&str] = &["get", "patch", "update"];
const CREATE: &[&str] = &["create"];
const CONNECT: &[&str] = &["create", "get"];

const fn proxy(options_kind: &'static str) -> Definition {
    Definition { name: "proxy", verbs: &["create", "delete", "get", "patch", "update"], exchanged: options(options_kind), effect: Effect::Connection }
}

const fn options(kind: &'static str) -> Option<Exchanged> {
    Some(Exchanged { group_version: None, kind, schema: None })
}

impl Subresource {
    /// The status, written apart from the rest.
    pub const STATUS: Self = Self(&Definition { name: "status", verbs: READ_WRITE, exchanged: None, effect: Effect::Part(&["status"]) });
    /// Replicas, as a Scale.
    pub const SCALE: Self = Self(&Definition {
        name: "scale",
        verbs: READ_WRITE,
        exchanged: Some(Exchanged { group_version: Some(("autoscaling", "v1")), kind: "Scale", schema: Some("io.k8s.api.autoscaling.v1.Scale") }),
        effect: Effect::View,
    });
    /// A pod's node, written once.
    pub const BINDING: Self = Self(&Definition {
        name: "binding",
        verbs: CREATE,
        exchanged: Some(Exchanged { group_version: None, kind: "Binding", schema: Some("io.k8s.api.core.v1.Binding") }),
        effect: Effect::Action,
    });
    /// A deletion that may be refused.
    pub const EVICTION: Self = Self(&Definition {
        name: "eviction",
        verbs: CREATE,
        exchanged: Some(Exchanged { group_version: Some(("policy", "v1")), kind: "Eviction", schema: Some("io.k8s.api.policy.v1.Eviction") }),
        effect: Effect::Action,
    });
    /// What was decided on a request for a certificate.
    pub const APPROVAL: Self = Self(&Definition { name: "approval", verbs: READ_WRITE, exchanged: None, effect: Effect::Part(&["status", "conditions"]) });
    /// What holds a namespace.
    pub const FINALIZE: Self = Self(&Definition { name: "finalize", verbs: &["update"], exchanged: None, effect: Effect::Part(&["spec", "finalizers"]) });
    /// A service account's token.
    pub const TOKEN: Self = Self(&Definition {
        name: "token",
        verbs: CREATE,
        exchanged: Some(Exchanged {
            group_version: Some(("authentication.k8s.io", "v1")),
            kind: "TokenRequest",
            schema: Some("io.k8s.api.authentication.v1.TokenRequest"),
        }),
        effect: Effect::Action,
    });
    /// Containers that are added to a pod to look into it.
    pub const EPHEMERAL_CONTAINERS: Self =
        Self(&Definition { name: "ephemeralcontainers", verbs: READ_WRITE, exchanged: None, effect: Effect::Part(&["spec", "ephemeralContainers"]) });
    /// What of CPU and memory a pod's containers get.
    pub const RESIZE: Self = Self(&Definition { name: "resize", verbs: READ_WRITE, exchanged: None, effect: Effect::Part(&["spec"]) });
    /// A container's log.
    pub const LOG: Self = Self(&Definition { name: "log", verbs: &["get"], exchanged: None, effect: Effect::Connection });
    /// A program in a container.
    pub const EXEC: Self = Self(&Definition { name: "exec", verbs: CONNECT, exchanged: options("PodExecOptions"), effect: Effect::Connection });
    /// A container's own program.
    pub const ATTACH: Self = Self(&Definition { name: "attach", verbs: CONNECT, exchanged: options("PodAttachOptions"), effect: Effect::Connection });
    /// A pod's ports.
    pub const PORTFORWARD: Self =
        Self(&Definition { name: "portforward", verbs: CONNECT, exchanged: options("PodPortForwardOptions"), effect: Effect::Connection });

    /// Requests that are passed on to a pod.
    pub const POD_PROXY: Self = Self(&proxy("PodProxyOptions"));
    /// Requests that are passed on to a pod behind a Service.
    pub const SERVICE_PROXY: Self = Self(&proxy("ServiceProxyOptions"));
    /// Requests that are passed on to a node.
    pub const NODE_PROXY: Self = Self(&proxy("NodeProxyOptions"));

    /// The path segment.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// What may be done with it: of `create get patch update`.
    pub fn verbs(self) -> &'static [&'static str] {
        self.0.verbs
    }

    /// What it takes and answers, where that isn't the object.
    pub fn exchanged(self) -> Option<&'static Exchanged> {
        self.0.exchanged.as_ref()
    }

    /// What it does.
    pub fn effect(self) -> &'static Effect {
        &self.0.effect
    }

    /// Whether a write changes what somebody wants of the object, which has defaults.
    pub fn is_desired(self) -> bool {
        matches!(self.0.effect, Effect::Part(["spec", ..]))
    }

    /// Whether it is a stream.
    pub fn connects(self) -> bool {
        self.0.effect == Effect::Connection
    }

    /// Whether requests are passed on through it, whatever their methods and paths are.
    pub fn is_proxy(self) -> bool {
        self.0.name == "proxy"
    }

    /// The verb by which opening a stream is authorised: the one that says most of what it allows.
    pub fn connection_verb(self) -> &'static str {
        if self.0.verbs.contains(&"create") { "create" } else { "get" }
    }
}
