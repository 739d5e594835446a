//! Limits how much one node may have in progress with a service at the same time, so that a single node can't use up what all need.
use crate::address::{Caller, Class, Role};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// KiB of requests that a node may have under way of one service: 512 usual ones, 4 large ones.
const OF_A_NODE: u32 = 8 << 10;
/// KiB that a request counts at least.
const LEAST: u32 = 16;
/// KiB that a request counts which is put together from many packets.
const LARGE: u32 = 2 << 10;
/// The largest frame of a node that is put together, bytes.
const FRAME_OF_A_NODE: usize = 8 << 20;
/// The largest frame of others, bytes.
const FRAME_OF_OTHERS: usize = 256 << 20;

/// Whether a role's keys are on machines that aren't the control plane's, or with users.
fn limited(role: Role) -> bool {
    role.class() == Class::Nodes || role == Role::Client
}

/// No frame of this role that is put together from packets or parts is larger than so many bytes.
pub(crate) fn frame_max(role: Role) -> usize {
    if limited(role) { FRAME_OF_A_NODE } else { FRAME_OF_OTHERS }
}

/// What is under way of one service, by caller.
#[derive(Default)]
pub(crate) struct InFlight(Mutex<HashMap<Caller, u32>>);

/// A part of a share; dropping it gives it back.
pub(crate) struct InFlightPermit(Option<(Arc<InFlight>, Caller, u32)>);

impl InFlight {
    /// Takes what one more request of `caller` counts, which is of `kib` or `large`; `None` where it has its share.
    pub(crate) fn take(self: &Arc<Self>, caller: &Caller, kib: u32, large: bool) -> Option<InFlightPermit> {
        if !limited(caller.role) {
            return Some(InFlightPermit(None));
        }
        let counts = if large { LARGE } else { kib.max(LEAST) };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has = all.get(caller).copied().unwrap_or_default();
        if has.saturating_add(counts) > OF_A_NODE {
            return None;
        }
        all.insert(caller.clone(), has + counts);
        Some(InFlightPermit(Some((self.clone(), caller.clone(), counts))))
    }
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        let Some((shares, caller, counts)) = self.0.take() else { return };
        let mut all = shares.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(has) = all.get_mut(&caller) {
            *has -= counts.min(*has);
            if *has == 0 {
                all.remove(&caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_its_share_and_others_theirs() {
        let shares = Arc::new(InFlight::default());
        let (n1, n2, gateway) = (Caller::new(Role::Agent, "n1"), Caller::new(Role::Agent, "n2"), Caller::new(Role::Gateway, "g"));
        let mut held: Vec<InFlightPermit> = (0..4).map(|_| shares.take(&n1, 1, true).unwrap()).collect();
        assert!(shares.take(&n1, 1, false).is_none() && shares.take(&n1, 1, true).is_none());
        assert!(shares.take(&n2, 1, false).is_some() && shares.take(&n2, u32::MAX, false).is_none());
        assert!((0..1000).map(|_| shares.take(&gateway, 1024, true)).collect::<Option<Vec<_>>>().is_some());
        held.pop();
        let small: Vec<InFlightPermit> = (0..LARGE / LEAST).map(|_| shares.take(&n1, 1, false).unwrap()).collect();
        assert!(shares.take(&n1, 1, false).is_none());
        drop((held, small));
        assert!(shares.0.lock().unwrap().is_empty());
    }
}
