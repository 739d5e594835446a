//! The Job that is due is begun, unless its time is over or another one has to end first.
use super::child::SCHEDULED;
use super::due::Timing;
use super::round::Round;
use crate::ownership::controller_reference;
use crate::runtime::{Item, Resource};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use model::Object;
use model::schedule::Schedule;
use serde_json::{Value, json};
use std::sync::Arc;

impl Round<'_> {
    /// What decides when its Jobs are due; nothing where that can't be known, or where none is to be begun.
    fn timing(&mut self) -> Option<Timing> {
        let spec = |field| self.object.at(&["spec", field]).filter(|value| !value.is_null());
        let zone = spec("timeZone").and_then(Value::as_str).map(TimeZone::get).transpose();
        let zone = match zone {
            Ok(zone) => zone.unwrap_or(TimeZone::UTC),
            Err(error) => {
                let name = self.object.str_at(&["spec", "timeZone"]);
                self.plan.warn(self.cron, "UnknownTimeZone", format!("invalid timeZone: {name:?}: {error}"));
                return None;
            }
        };
        if spec("suspend") == Some(&Value::Bool(true)) {
            return None;
        }
        let text = self.object.str_at(&["spec", "schedule"]);
        let schedule = Schedule::parse(text).map_err(|why| self.plan.warn(self.cron, "UnparseableSchedule", format!("unparseable schedule: {text:?} : {why}")));
        let deadline = spec("startingDeadlineSeconds").and_then(Value::as_i64).map(SignedDuration::from_secs);
        let created = self.cron.meta.creation_timestamp.unwrap_or(self.now);
        Some(Timing { schedule: schedule.ok()?, zone, created, last: self.last_schedule, deadline })
    }

    /// Begins the Job that is due.
    pub fn go_on(&mut self) {
        let Some(mut timing) = self.timing() else { return };
        match timing.missed(self.now, true) {
            Err(why) => {
                let message = format!("invalid schedule: {} : {why}", self.object.str_at(&["spec", "schedule"]));
                self.plan.warn(self.cron, "InvalidSchedule", message);
                return;
            }
            Ok(missed) => {
                if missed.latest.is_some() && missed.too_many() {
                    let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
                    self.plan.warn(self.cron, "TooManyMissedTimes", message);
                }
                if let Some(due) = missed.latest {
                    self.begin(due, &timing);
                }
            }
        }
        timing.last = self.last_schedule;
        if let Some(next) = timing.look_at(self.now) {
            self.plan.look_again(next);
        }
    }

    fn begin(&mut self, due: Timestamp, timing: &Timing) {
        if timing.deadline.and_then(|deadline| due.checked_add(deadline).ok()).is_some_and(|latest| latest < self.now) {
            let due = due.strftime("%a, %d %b %Y %H:%M:%S +0000");
            self.plan.warn(self.cron, "MissSchedule", format!("Missed scheduled time to start a job: {due}"));
            return;
        }
        let name = format!("{}-{}", self.cron.name(), due.as_second() / 60);
        if self.was_begun(&name, due) {
            return;
        }
        match self.object.str_at(&["spec", "concurrencyPolicy"]) {
            "Forbid" if !self.active.is_empty() => {
                let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
                self.plan.tell(self.cron, "JobAlreadyActive", message);
            }
            // the next one begins once these are seen to go, and they go once it is written that they were begun
            "Replace" if self.last_schedule != self.noted || self.replace() => {}
            _ => {
                let job = self.job(name, due, timing);
                let create = self.plan.create(&Resource::JOBS, job);
                create.says(self.cron, ("SuccessfulCreate", "Created job {}"), ("FailedCreate", "Error creating job: {}"));
            }
        }
    }

    /// Whether this time's Job was made before, or somebody else has one of its name.
    fn was_begun(&mut self, name: &str, due: Timestamp) -> bool {
        if self.last_schedule == Some(due) || self.view.get(&Resource::JOBS, self.cron.namespace(), name).is_some() {
            return true;
        }
        // one that went at once may never have been seen
        let gone = self.view.gone_at(&Resource::JOBS, self.cron.namespace(), name);
        let ours = gone.is_some_and(|gone| self.cron.meta.creation_timestamp.is_none_or(|created| gone >= created));
        if ours {
            self.last_schedule = Some(due);
        }
        ours
    }

    /// Deletes the Jobs that go on; returns whether there are any that don't go yet.
    fn replace(&mut self) -> bool {
        let listed = |job: &&Arc<Item>| !job.deleting() && self.active.iter().any(|active| active["uid"] == job.uid());
        let going: Vec<&Arc<Item>> = self.children.iter().map(|child| child.job).filter(listed).collect();
        for job in &going {
            self.delete(job);
        }
        self.active.retain(|active| going.iter().all(|job| active["uid"] != job.uid()));
        !going.is_empty()
    }

    fn job(&self, name: String, due: Timestamp, timing: &Timing) -> Object {
        let template = self.object.at(&["spec", "jobTemplate"]).unwrap_or(&Value::Null);
        let given = |field: &str| template.pointer(&format!("/metadata/{field}")).and_then(Value::as_object).cloned().unwrap_or_default();
        let mut annotations = given("annotations");
        annotations.insert(SCHEDULED.to_owned(), json!(in_zone(due, &timing.zone)));
        let mut job = Object::default();
        job.set(&["apiVersion"], "batch/v1");
        job.set(&["kind"], "Job");
        let metadata = json!({
            "name": name, "namespace": self.cron.namespace(), "annotations": annotations, "ownerReferences": [controller_reference(self.cron)],
        });
        job.set(&["metadata"], metadata);
        let labels = given("labels");
        if !labels.is_empty() {
            job.set(&["metadata", "labels"], labels);
        }
        job.set(&["spec"], template.get("spec").cloned().unwrap_or_else(|| json!({})));
        job
    }
}

/// A time as clocks of a zone show it: RFC 3339.
fn in_zone(time: Timestamp, zone: &TimeZone) -> String {
    let shown = time.to_zoned(zone.clone());
    if shown.offset() == jiff::tz::Offset::UTC { model::time::format(time) } else { shown.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string() }
}
