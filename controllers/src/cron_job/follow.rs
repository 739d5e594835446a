//! What became of a CronJob's Jobs: which go on, when the last one was due and when one succeeded last, and which are kept.
use super::child::Child;
use super::round::Round;
use crate::runtime::{Item, Resource, about};
use jiff::Timestamp;
use std::sync::Arc;

impl Round<'_> {
    /// Brings the list of the Jobs that go on, and the last times, to where the Jobs are.
    pub fn follow(&mut self) {
        let children = std::mem::take(&mut self.children);
        for child in &children {
            self.follow_job(child);
        }
        let (view, namespace) = (self.view, self.cron.namespace());
        let there = |name: &str, uid: &str| view.get(&Resource::JOBS, namespace, name).is_some_and(|job| job.uid() == uid);
        let (kept, missing) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(|job| there(job["name"].as_str().unwrap_or_default(), job["uid"].as_str().unwrap_or_default()));
        self.active = kept;
        for job in missing {
            self.tell("MissingJob", format!("Active job went missing: {}", job["name"].as_str().unwrap_or_default()));
        }
        self.children = children;
    }

    fn follow_job(&mut self, child: &Child<'_>) {
        let (uid, name) = (child.job.uid(), child.job.name());
        let listed = self.active.iter().position(|job| job["uid"] == uid);
        self.last_schedule = self.last_schedule.max(child.due);
        match (child.brief.end, listed) {
            // one that is replaced isn't listed any more
            (None, None) if child.due.is_some() && child.job.deleting() => {}
            (None, None) if child.due.is_some() => self.active.push(about(child.job)),
            (None, None) => {
                self.plan.warn(self.cron, "UnexpectedJob", format!("Saw a job that the controller did not create or forgot: {name}"));
            }
            (Some(end), Some(at)) => {
                self.active.remove(at);
                let condition = if end.complete { "Complete" } else { "Failed" };
                self.tell("SawCompletedJob", format!("Saw completed job: {name}, condition: {condition}"));
            }
            _ => {}
        }
        if child.brief.end.is_some_and(|end| end.complete) {
            self.last_success = self.last_success.max(child.brief.completed);
        }
    }

    /// Deletes Jobs that have ended beyond those that are kept, the oldest ones first.
    pub fn clean(&mut self) {
        for (field, complete) in [("successfulJobsHistoryLimit", true), ("failedJobsHistoryLimit", false)] {
            let Some(limit) = self.object.int_at(&["spec", field]) else { continue };
            // that its time was begun is written first
            let noted = |child: &Child<'_>| child.due.is_none_or(|due| self.noted.is_some_and(|noted| due <= noted));
            let ended = |child: &&Child<'_>| !child.job.deleting() && noted(child) && child.brief.end.is_some_and(|end| end.complete == complete);
            let mut ended: Vec<(Timestamp, Arc<Item>)> =
                self.children.iter().filter(ended).map(|child| (child.brief.started.unwrap_or(Timestamp::MAX), child.job.clone())).collect();
            ended.sort_by(|(a, x), (b, y)| (a, x.name()).cmp(&(b, y.name())));
            let beyond = ended.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
            for (_, job) in ended.into_iter().take(beyond) {
                self.delete(&job);
            }
        }
    }
}
