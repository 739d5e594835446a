//! The webhooks of this cluster: which configurations there are, which of their webhooks a write concerns, and what they are asked about it. What is asked
//! of them is in [`webhooks`]; how a verb asks is in `verbs/webhooks`.
pub mod conditions;
pub mod form;
pub mod matching;
pub mod question;
pub mod services;
pub mod table;

use std::sync::Arc;
use table::Table;
use webhooks::Client;

/// What a pipeline knows of webhooks, and how it reaches them.
#[derive(Default)]
pub struct Webhooks {
    /// The configurations.
    pub table: Arc<Table>,
    /// The connections.
    pub client: Client,
}
