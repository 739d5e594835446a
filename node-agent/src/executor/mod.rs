//! Where decisions become deeds: each [`PodOp`] of a plan, carried out once.
mod base;
mod dial;
mod files;
mod grpc;
mod hook;
mod http;
mod image;
mod last_words;
mod log_files;
mod lookup;
mod mounts;
mod node_info;
mod op;
mod parts;
mod paths;
mod probe;
mod remove;
mod resize;
mod rotation;
mod sandbox;
mod spec;
mod start;
mod start_error;
mod stop;
mod sub_path;
mod target;
mod volumes;

pub use base::Executor;
pub use log_files::log_files;
pub use lookup::Lookups;
pub use node_info::NodeInfo;
pub use op::{OpContext, OpOutcome, pod_ref};
pub use paths::log_path;
pub use rotation::{Rotation, rotate};

use crate::pod::op::PodOp;
use op::OpError;
use std::time::Duration;

impl Executor {
    /// Carries an op out.
    pub async fn perform(&self, job: &OpContext, op: &PodOp) -> OpOutcome {
        let done = match op {
            PodOp::Volumes => volumes::set_up(self, job).await,
            PodOp::CreateSandbox => sandbox::create(self, job).await,
            PodOp::Start { container, attempt } => start::start(self, job, container, *attempt).await,
            PodOp::Stop { container, id, grace, reason } => stop::stop(self, job, container, id, *grace, *reason).await,
            PodOp::Resize { container, id } => resize::apply(self, job, container, id).await,
            PodOp::Kill { id } => self.runtime.stop(id, Some(Duration::ZERO)).await.map(|()| OpOutcome::Done).map_err(OpError::from),
            PodOp::Remove { id } => remove::run(self, job, id).await,
            PodOp::Probe { container, kind, id } => Ok(probe::run(self, job, container, *kind, id).await),
            PodOp::RemoveSandbox => self.runtime.remove_sandbox(&job.pod_ref().uid).await.map(|()| OpOutcome::Sandbox(None)).map_err(OpError::from),
            PodOp::Release => remove::release(self, &job.pod_ref().uid).await,
            PodOp::Confirm => remove::object(self, &job.pod_ref()).await,
        };
        done.unwrap_or_else(|OpError(kind, why)| OpOutcome::Failed(kind, why))
    }
}
