//! CronJobs: a Job whenever the schedule says so.
//!
//! A Job's name has the minute for which it is, so that no minute has two. A Job that is made is in the CronJob's status once it is seen.
mod begin;
mod child;
mod due;
mod follow;
mod round;

use crate::runtime::{Controller, Input, Moment, Output, Part, Plan, Resource, View, ViewChange, controller_key};
use model::Key;
use round::Round;

/// Makes the Jobs of CronJobs.
pub struct CronJobs;

impl Controller for CronJobs {
    fn name(&self) -> &'static str {
        "cronjob-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        let jobs = |view: &View, change: ViewChange<'_>| change.both().filter_map(|job| controller_key(view, job, &Resource::CRON_JOBS)).collect();
        vec![Input::itself(Resource::CRON_JOBS), Input::new(Resource::JOBS, jobs)]
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::JOBS, Part::Whole, "of CronJobs"), Output::new(Resource::CRON_JOBS, Part::Status, "")]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let Some(cron) = view.at(key) else { return Plan::nothing() };
        let mut round = Round::new(view, cron, at.now);
        round.follow();
        round.clean();
        if !cron.deleting() {
            round.go_on();
        }
        round.report()
    }
}

#[cfg(test)]
mod tests;
