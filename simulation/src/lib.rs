//! The whole cluster in one thread and virtual time. What decides is real: the kinds' strategies and `state`'s pure halves of the verbs, the
//! controllers and their runtime's engine, the scheduler's desk, the agents' `sync` and `status`. What is around them is simulated: the log,
//! the network, the clock, container runtimes, users and faults. One seed decides everything that is left to chance.
//!
//! * [`cluster`]: the loop, messages and their fates; * [`store`]: the log with compare-and-swap and the pipeline over it;
//! * [`feed`]: watches; * [`processes`]: the processes of controllers and scheduler; * [`agent`]: nodes; * [`users`]: what users do, and what goes
//!   wrong; * [`check`]: what must hold after each write, and once all is quiet.
pub mod agent;
pub mod check;
pub mod cluster;
pub mod feed;
pub mod process;
pub mod store;
pub mod users;

pub use cluster::{Cluster, Failure};
