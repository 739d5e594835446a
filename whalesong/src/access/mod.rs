//! Who may connect to the embedded NATS server: keys, join tokens, and how both end.
pub mod control;
pub mod registry;
pub mod token;

use bus::Call;
use serde::{Deserialize, Serialize};

/// Tells the process that runs the embedded server that the registry has changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reload {}

impl Call for Reload {
    type Reply = Result<(), String>;
    const SERVICE: &'static str = "process.reload";
}

/// A machine wants to become a node. Who asks has a join token, and asks by its name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Join {
    /// The node's name.
    pub node: String,
    /// The public half of the key that the machine has made for it.
    pub key: String,
}

impl Call for Join {
    type Reply = Result<(), String>;
    const SERVICE: &'static str = "process.join";
}
