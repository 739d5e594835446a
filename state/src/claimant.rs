//! Who makes claims of addresses and node ports: one run of a process of `state`, and what it inherits from the runs before it.
use crate::admission::service::Claim;
use model::{ApiError, Object, Stored};
use serde_json::json;

/// Which process makes claims.
#[derive(Debug)]
pub(crate) struct Claimant {
    /// What no other process is called while this one lives, and the next one on the same data is.
    identity: Option<String>,
    run: String,
}

impl Claimant {
    pub(crate) fn new(identity: Option<String>) -> Self {
        Self { identity, run: uuid::Uuid::new_v4().to_string() }
    }

    /// The claim of `service`, as it is written to the log.
    ///
    /// # Errors
    /// What [`Object::from_value`] refuses.
    pub(crate) fn body(&self, claim: &Claim, service: &Object) -> Result<Object, ApiError> {
        let owner = json!({"namespace": service.namespace(), "name": service.name(), "uid": service.uid()});
        let by = json!({"identity": self.identity, "run": self.run});
        Object::from_value(json!({"metadata": {"name": claim.to_string()}, "owner": owner, "by": by}))
    }

    /// Whether a former run made it, which can't be at it any more.
    pub(crate) fn is_heir(&self, claim: &Stored) -> bool {
        let by = |field| claim.object().str_at(&["by", field]);
        self.identity.as_deref().is_some_and(|own| own == by("identity")) && by("run") != self.run
    }
}
