//! The whole cluster in one thread and virtual time. What decides is real: the kinds' strategies and `state`'s pure halves of the verbs, the
//! controllers and their runtime's engine, the scheduler's core, the agents' `sync` and `status`. What is around them is simulated: the log,
//! the network, the clock, container runtimes, users and faults. One seed decides everything that is left to chance.
//!
//! * [`net`]: time, chance and the fates of messages; * [`store`]: the log with compare-and-swap and the pipeline over it; * [`feed`]: watches;
//! * [`process`]: the processes of controllers and scheduler; * [`agent`]: nodes; * [`cluster`]: all of them, and what each event does to them;
//! * [`directories`]: those of volumes that a node has; * [`storage`]: what users do with claims and volumes, and what must hold of them;
//! * [`users`]: what users do, and what goes wrong; * [`sets`]: what they do with DaemonSets, StatefulSets and ReplicationControllers;
//! * [`check`], [`set_check`]: what must hold after each write; * [`quiet`]: what must hold once all is quiet;
//! * [`batch`], [`disruption`]: all of this of Jobs and CronJobs, and of disruption budgets; * [`life`]: one life from start to end.
pub mod agent;
mod ask;
pub mod batch;
pub mod check;
pub mod cluster;
pub mod directories;
pub mod disruption;
mod facts;
pub mod feed;
pub mod life;
pub mod net;
pub mod process;
pub mod quiet;
pub mod set_check;
pub mod sets;
pub mod storage;
pub mod store;
pub mod users;

pub use life::{Failure, Life};
