//! Addresses and node ports of Services that writes on their way have taken, before the cache can show them.
use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) ips: HashSet<Ipv4Addr>,
    pub(super) ports: HashSet<u16>,
}

/// What a write on its way has taken; given back when it is dropped, for by then the cache shows the Service or there is none.
pub struct Reservation {
    shared: Arc<Mutex<Taken>>,
    mine: Taken,
}

impl Reservation {
    /// `mine` has been put into `shared`, and is taken out of it in the end.
    pub(super) fn new(shared: Arc<Mutex<Taken>>, mine: Taken) -> Self {
        Self { shared, mine }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        for ip in &self.mine.ips {
            shared.ips.remove(ip);
        }
        for port in &self.mine.ports {
            shared.ports.remove(port);
        }
    }
}

/// Locks what all writes on their way have taken.
pub(super) fn lock(shared: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
