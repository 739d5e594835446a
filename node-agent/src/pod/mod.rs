//! A pod as the agent sees it: the desired object, what is observed ([`Observed`]), and the pure functions that compare them.
pub mod backoff;
pub mod life;
mod object;
mod observed;
pub mod op;
pub mod probe;
pub mod resize;
pub mod status;
pub mod sync;
#[cfg(test)]
mod tests;
mod trouble;

pub use object::{
    RestartPolicy, as_container, container, container_hash, ephemerals, full_name, init_policy, inits, is_made_from, is_sidecar, policy_of, restart_policy,
    restarts, spec,
};
pub use observed::Observed;
pub use op::Slot;
pub use trouble::{Rejection, Trouble, TroubleKind, shown_until};
