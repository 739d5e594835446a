//! The scheduler decides which node runs which pod.
//!
//! * [`snapshot`]: nodes, their pods and namespaces, [`volumes`], [`budgets`] and [`nominations`], updated with each change;
//! * [`schedule()`]: a pure function from a snapshot and pods to [`Decision`]s;
//! * [`filter`] and [`score`]: the plug-ins, each one function and one line in a table; each filter says what it [reads](watched), which is what is watched;
//! * [`reserve`]: what plug-ins have written before a pod is bound;
//! * [`preempt`]: which pods have to go for a more important one;
//! * [`topology`]: counts of pods by domain, for spread constraints and pod affinity;
//! * [`queue`]: pods that wait, and which changes may help them;
//! * [`events`]: the Events that tell users about pods;
//! * [`core`]: all state of the scheduler as one value, which takes changes and returns writes;
//! * [`run()`]: the loop around it, the only part with a clock and a bus.
//!
//! To add a rule: one pure function, and one line in [`filter::FILTERS`], [`score::LOCAL`], [`score::SCALED`] or [`reserve::STEPS`].
mod actor;
#[cfg(test)]
mod actor_tests;
pub mod budgets;
mod class_run;
pub mod core;
#[cfg(test)]
mod core_tests;
pub mod events;
mod expected;
pub mod filter;
pub mod inputs;
pub mod node;
pub mod nominations;
pub mod outcome;
pub mod pod;
mod prebind;
pub mod preempt;
#[cfg(test)]
mod properties;
pub mod queue;
pub mod reason;
pub mod requests;
pub mod reserve;
pub mod schedule;
pub mod score;
pub mod snapshot;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod topology;
mod verdict;
pub mod volumes;
pub mod wake;
pub mod watched;
pub mod writes;

pub use actor::{SchedulerError, run};
pub use model::placement::{labels, resources};
pub use outcome::{Decision, Outcome};
pub use schedule::schedule;
pub use snapshot::Snapshot;
