//! Finding the services of a cluster.
use crate::address::{Caller, Role};
use crate::bus::Bus;
use crate::micro::{ServiceInfo, parse};
use std::time::Duration;

/// Whether who answered may speak for the service that it describes: its own, or any where it is `state`, which plays all roles of a process.
fn vouched(from: &Caller, info: &ServiceInfo) -> bool {
    from.role == Role::State || *from == info.caller
}

impl Bus {
    /// All services of the cluster that answer within `timeout`, ordered by service and instance. The caller's role must be
    /// allowed to ask: state, gateway and admin are.
    pub async fn discover(&self, timeout: Duration) -> Vec<ServiceInfo> {
        let mut found: Vec<ServiceInfo> = match self.multiplexer().await {
            Ok(Some(mux)) => match mux.gather("$SRV.STATS", timeout).await {
                Ok(answers) => answers.iter().filter_map(|(from, m)| parse(self.cluster(), &m.payload).filter(|info| vouched(from, info))).collect(),
                Err(error) => {
                    tracing::warn!(?error, "can't ask for services");
                    Vec::new()
                }
            },
            _ => self.announcements().all().iter().map(|a| a.info()).collect(),
        };
        found.sort_by(|a, b| (&a.service, &a.instance, &a.id).cmp(&(&b.service, &b.instance, &b.id)));
        found
    }
}
