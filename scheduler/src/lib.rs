//! The scheduler decides which node runs which pod.
//!
//! * [`snapshot`]: nodes, their pods and namespaces, updated with each change;
//! * [`schedule()`]: a pure function from a snapshot and pods to [`Decision`]s;
//! * [`filter`] and [`score`]: the plug-ins, each one function and one line in a table;
//! * [`topology`]: counts of pods by domain, for spread constraints and pod affinity;
//! * [`queue`]: pods that wait, and which changes may help them;
//! * [`events`]: the Events that tell users about pods;
//! * [`core`]: all state of the scheduler as one value, which takes changes and returns writes;
//! * [`run()`]: the loop around it, the only part with a clock and a bus.
//!
//! To add a rule: one pure function, and one line in [`filter::FILTERS`], [`score::LOCAL`] or [`score::SCALED`].
mod actor;
#[cfg(test)]
mod actor_tests;
mod class_run;
pub mod core;
pub mod events;
pub mod filter;
pub mod node;
pub mod pod;
#[cfg(test)]
mod properties;
pub mod queue;
pub mod reason;
pub mod schedule;
pub mod score;
pub mod snapshot;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod topology;
pub mod wake;

pub use actor::{SchedulerError, run};
pub use model::placement::{labels, resources};
pub use schedule::{Decision, Outcome, schedule};
pub use snapshot::Snapshot;
