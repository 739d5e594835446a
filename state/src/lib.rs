//! What etcd and the core of kube-apiserver are: the store on JetStream, and the one pipeline that every read and write passes.
//!
//! * [`store`]: the log, its cache, its watch feed;
//! * [`pipeline`]: authorise, admit, default, validate, commit; [`serve()`] puts it on the bus;
//! * [`flow_control`]: room for what is asked, so that nobody occupies what others need;
//! * [`authz`]: who may do what; [`admission`]: what a write must pass; [`deletion`], [`eviction`], [`subresource`], [`selection`]: pure halves of the verbs.
pub mod admission;
mod allow;
mod audit;
pub mod authz;
mod batch;
mod bootstrap;
mod claimant;
mod claims;
pub mod deletion;
mod derived;
pub mod eviction;
mod fencing;
pub mod flow_control;
mod form;
mod handle;
pub mod identity;
mod kinds_watch;
mod known;
mod list_options;
pub mod lookup;
pub mod meta;
pub mod metrics;
mod node_name;
pub mod pipeline;
mod policy_watch;
mod quota;
mod reply;
mod request_context;
mod routes;
pub mod selection;
mod serve;
pub mod store;
pub mod subresource;
mod verbs;
mod warnings;
mod webhooks;
pub mod write;

pub use pipeline::{Pipeline, PipelineOptions};
pub use serve::{ServeError, Services, serve};
pub use subresource::token::TokenKeys;
