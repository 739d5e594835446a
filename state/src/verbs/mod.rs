//! Each verb, written once, over the dynamic object and its row of the table of kinds.
pub mod admit;
mod apply;
pub mod check;
pub mod create;
pub mod delete;
mod derived;
mod evict;
mod forms;
pub mod guard;
mod owners;
pub mod post;
mod proxy;
pub mod read;
pub mod review;
pub mod update;
pub mod watch;
mod webhooks;
