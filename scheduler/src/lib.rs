//! Which node runs which pod.
//!
//! * [`snapshot`]: nodes, their pods and namespaces, kept incrementally;
//! * [`schedule()`]: pure: from a snapshot and pods to [`Decision`]s;
//! * [`filter`] and [`score`]: the plug-ins, one function and one line in a table each;
//! * [`topology`]: counts of pods by domain, for spread and pod affinity;
pub mod filter;
pub mod labels;
pub mod node;
pub mod pod;
pub mod reason;
pub mod resources;
mod run;
pub mod schedule;
pub mod score;
pub mod snapshot;
pub mod topology;
pub mod wake;

pub use schedule::{Decision, Outcome, schedule};
pub use snapshot::Snapshot;
