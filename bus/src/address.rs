//! Names of those who send and receive messages: a role and a name. Only [`crate::subject`] makes subjects from them.
use serde::{Deserialize, Serialize};
use std::fmt;

/// The part that a process plays. On NATS it has its own key, and the server lets it use its own subjects only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Holds the log; the only role that may write it.
    State,
    /// HTTP for kubectl.
    Gateway,
    /// Binds pods.
    Scheduler,
    /// Runs controllers.
    Controllers,
    /// Runs a node's pods; its name is the node's.
    Agent,
    /// The command line, with an administrator's key.
    Admin,
    /// A machine that wants to become a node, with a join token; its name is the token's public key. It may ask for that and nothing else.
    Join,
    /// A program of a user; its name is the user's. It asks a gateway, by subjects of its own, and speaks none of this crate's types.
    Client,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 8] = [Self::State, Self::Gateway, Self::Scheduler, Self::Controllers, Self::Agent, Self::Admin, Self::Join, Self::Client];
    /// As it stands in subjects.
    pub fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Gateway => "gateway",
            Self::Scheduler => "scheduler",
            Self::Controllers => "controllers",
            Self::Agent => "agent",
            Self::Admin => "admin",
            Self::Join => "join",
            Self::Client => "client",
        }
    }
    /// With whom it competes.
    pub fn class(self) -> Class {
        match self {
            Self::State | Self::Scheduler | Self::Controllers => Class::Control,
            Self::Agent | Self::Join => Class::Nodes,
            Self::Gateway | Self::Admin | Self::Client => Class::Users,
        }
    }
    /// From a subject's token.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }
}

/// Callers that compete with each other for a service, and not with others: what users or nodes ask doesn't keep out what the cluster needs to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The cluster's own parts.
    Control,
    /// Nodes.
    Nodes,
    /// Everybody else, most of them through a gateway.
    Users,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 3] = [Self::Control, Self::Nodes, Self::Users];
}

/// Who speaks: vouched for by the subject that a message came on, so by the NATS server; in the same process by construction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Caller {
    /// Its part.
    pub role: Role,
    /// Which one: a node's name for agents, an instance's name otherwise.
    pub name: String,
}

impl Caller {
    /// A caller.
    pub fn new(role: Role, name: impl Into<String>) -> Self {
        Self { role, name: name.into() }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.role.name(), self.name)
    }
}

/// To whom: any instance of a service, or the one of this name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum To {
    /// Whichever instance is free.
    Any,
    /// The instance of this name: a node's name for `node.stream`.
    Instance(String),
}

impl To {
    /// The instance of this name.
    pub fn instance(name: impl Into<String>) -> Self {
        Self::Instance(name.into())
    }
}
