//! A Job of a CronJob.
use crate::job::brief::{Brief, brief};
use crate::runtime::Item;
use jiff::Timestamp;
use std::sync::Arc;

/// Annotation of a Job: for which time it is.
pub const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// A Job that a CronJob controls.
pub struct Child<'a> {
    /// The Job.
    pub job: &'a Arc<Item>,
    /// What is asked of it often.
    pub brief: Arc<Brief>,
    /// For which time the CronJob made it; `None` of one that it didn't make.
    pub due: Option<Timestamp>,
}

impl<'a> Child<'a> {
    /// A Job of `cron`.
    pub fn of(job: &'a Arc<Item>, cron: &Item) -> Self {
        let due: Option<Timestamp> = job.read(|object| object.annotation(SCHEDULED).and_then(|time| time.parse().ok()));
        let made = |due: &Timestamp| job.name() == format!("{}-{}", cron.name(), due.as_second() / 60);
        Self { job, brief: brief(job), due: due.filter(made) }
    }
}
