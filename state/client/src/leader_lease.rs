//! Writes the Lease object that shows which process leads, where users of Kubernetes look for it: `kubectl -n kube-system get leases`.
//!
//! The object is for display only. `bus::lease` decides who leads, and its renewals don't change the object.
use crate::client::Client;
use jiff::Timestamp;
use model::{ApiError, Object};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Group and resource of Leases.
pub const LEASES: (&str, &str) = ("coordination.k8s.io", "leases");
/// The namespace of those who lead.
pub const NAMESPACE: &str = "kube-system";
/// How long after a renewal a holder counts as alive, in Kubernetes' default.
const DURATION_SECONDS: u32 = 15;

/// Who leads what.
#[derive(Clone, Debug)]
pub struct LeaderLease {
    client: Client,
    name: String,
    identity: String,
}

impl LeaderLease {
    /// Of the holder `identity` of the Lease `name`.
    pub fn new(client: Client, name: impl Into<String>, identity: impl Into<String>) -> Self {
        Self { client, name: name.into(), identity: identity.into() }
    }

    /// Writes it now and then, for ever.
    pub async fn run(self, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut taken = false;
        loop {
            ticks.tick().await;
            let written = if taken { self.write(renewal(&self.identity, Timestamp::now())).await } else { self.take().await };
            taken = written.inspect_err(|error| tracing::debug!(name = self.name, %error, "the heartbeat was not written")).is_ok();
        }
    }

    async fn take(&self) -> Result<(), ApiError> {
        match self.client.get(LEASES.0, LEASES.1, NAMESPACE, &self.name).await {
            Ok(lease) => self.write(succession(&lease.object().0["spec"], &self.identity, Timestamp::now())).await,
            Err(error) if error.is_not_found() => self.create(succession(&Value::Null, &self.identity, Timestamp::now())).await,
            Err(error) => Err(error),
        }
    }

    async fn write(&self, spec: Value) -> Result<(), ApiError> {
        self.client.merge(LEASES.0, LEASES.1, "", NAMESPACE, &self.name, &json!({ "spec": spec })).await.map(drop)
    }

    async fn create(&self, spec: Value) -> Result<(), ApiError> {
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self.name, "namespace": NAMESPACE}, "spec": spec});
        self.client.create(LEASES.0, LEASES.1, NAMESPACE, Object::from_value(lease)?).await.map(drop)
    }
}

/// `metav1.MicroTime`.
fn micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn renewal(identity: &str, now: Timestamp) -> Value {
    json!({"holderIdentity": identity, "leaseDurationSeconds": DURATION_SECONDS, "renewTime": micros(now)})
}

/// What a holder writes over the Lease that it finds.
fn succession(before: &Value, identity: &str, now: Timestamp) -> Value {
    let mut spec = renewal(identity, now);
    if before["holderIdentity"] != identity {
        let changes = before["leaseTransitions"].as_u64().unwrap_or_default();
        spec["leaseTransitions"] = if before.is_null() { 0 } else { changes + 1 }.into();
        spec["acquireTime"] = micros(now).into();
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_holder_is_a_transition() {
        let now = Timestamp::UNIX_EPOCH;
        let first = succession(&Value::Null, "a", now);
        assert_eq!((&first["leaseTransitions"], &first["acquireTime"]), (&json!(0), &json!("1970-01-01T00:00:00.000000Z")));
        let same = succession(&first, "a", now);
        assert!(same.get("leaseTransitions").is_none() && same.get("acquireTime").is_none());
        assert_eq!(succession(&first, "b", now)["leaseTransitions"], 1);
    }
}
