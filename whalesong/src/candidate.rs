//! Roles of which one process acts at a time: the others stand by.
use crate::data::Identity;
use crate::report::Standing;
use bus::{Bus, FencingToken, LeaseOptions, Leases};
use state_client::Client;
use state_client::leader_lease::LeaderLease;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long the others wait for a holder that has gone silent.
const TTL: Duration = Duration::from_secs(5);
/// How often the Lease object says who leads.
const SHOWN: Duration = Duration::from_secs(10);

/// This process, as one that would act for a role.
#[derive(Clone)]
pub struct Candidate {
    leases: Leases,
    client: Client,
    /// The lease, and the Lease object that shows it.
    lease: &'static str,
    identity: String,
    options: LeaseOptions,
    leads: Arc<watch::Sender<bool>>,
}

impl Candidate {
    /// For `lease`, speaking as `bus` does.
    pub fn new(bus: &Bus, lease: &'static str, identity: &Identity) -> Self {
        let options = LeaseOptions { ttl: TTL, inherit: identity.unique };
        let leases = bus.leases(1).held_by(&identity.name);
        Self { leases, client: Client::new(bus.clone()), lease, identity: identity.name.clone(), options, leads: Arc::default() }
    }

    /// Whether it acts now.
    pub fn standing(&self) -> Standing {
        Standing { lease: self.lease.to_owned(), identity: self.identity.clone(), leads: *self.leads.borrow() }
    }

    /// Acts whenever it is this process's turn. `work` gets a client whose writes are refused once it is another's.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn lead<E, F>(&self, cancel: CancellationToken, work: impl Fn(Client, CancellationToken) -> F) -> Result<(), E>
    where
        F: Future<Output = Result<(), E>>,
    {
        let acts = |fence: FencingToken, stop| work(self.client.clone().fenced(fence), stop);
        self.leases.lead(self.lease, self.options, &cancel, &self.leads, acts).await.unwrap_or(Ok(()))
    }

    /// The Lease object, for as long as it is awaited.
    pub async fn show(&self, client: Client) {
        LeaderLease::new(client, self.lease, &self.identity).run(SHOWN).await;
    }

    /// As whom it leads.
    pub fn identity(&self) -> String {
        self.identity.clone()
    }
}
