//! One look at one CronJob: what there is, and what becomes of it.
use super::child::Child;
use crate::runtime::plan::record;
use crate::runtime::{Item, Plan, Resource, View, WriteOp};
use crate::status::{difference, list};
use jiff::Timestamp;
use model::Object;
use serde_json::{Map, Value, json};
use state_client::Propagation;
use state_client::events::EventRecord;

/// One look at one CronJob.
pub struct Round<'a> {
    /// What is seen.
    pub view: &'a View,
    /// The CronJob.
    pub cron: &'a Item,
    /// The CronJob, parsed.
    pub object: &'a Object,
    /// Its Jobs.
    pub children: Vec<Child<'a>>,
    /// Now.
    pub now: Timestamp,
    /// Its Jobs that go on, as references.
    pub active: Vec<Value>,
    /// When its last Job was due.
    pub last_schedule: Option<Timestamp>,
    /// When the last Job was due, as the status is seen to say.
    pub noted: Option<Timestamp>,
    /// When a Job succeeded last.
    pub last_success: Option<Timestamp>,
    /// What is to be done, but for the status.
    pub plan: Plan,
    /// What is to be told with the status.
    pub told: Vec<EventRecord>,
}

impl<'a> Round<'a> {
    /// A look at `cron`.
    pub fn new(view: &'a View, cron: &'a Item, now: Timestamp) -> Self {
        let object = cron.object();
        let time = |field| object.str_at(&["status", field]).parse().ok();
        let mut children: Vec<Child<'a>> = view.controlled_by(&Resource::JOBS, cron.uid()).map(|job| Child::of(job, cron)).collect();
        children.sort_by(|a, b| a.job.name().cmp(b.job.name()));
        Self {
            view,
            cron,
            object,
            children,
            now,
            active: object.list_at(&["status", "active"]).to_vec(),
            last_schedule: time("lastScheduleTime"),
            noted: time("lastScheduleTime"),
            last_success: time("lastSuccessfulTime"),
            plan: Plan::nothing(),
            told: Vec::new(),
        }
    }

    /// Tells something with the status.
    pub fn tell(&mut self, reason: &'static str, message: String) {
        self.told.push(record(self.cron, false, reason, message));
    }

    /// Deletes a Job, its pods in the background.
    pub fn delete(&mut self, job: &Item) {
        let op = WriteOp::Delete { uid: job.uid().to_owned(), revision: 0, propagation: Some(Propagation::Background), grace: None };
        self.plan.write(job.key().clone(), op).says(self.cron, ("SuccessfulDelete", "Deleted job {}"), ("FailedDelete", "Deleted job: {}"));
    }

    /// With what the status should say.
    pub fn report(self) -> Plan {
        let Self { mut plan, cron, object, active, last_schedule, last_success, told, .. } = self;
        let time = |time: Option<Timestamp>| time.map_or(Value::Null, |time| json!(model::time::format(time)));
        let fields = [("active", list(active)), ("lastScheduleTime", time(last_schedule)), ("lastSuccessfulTime", time(last_success))];
        let fields: Map<String, Value> = fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
        if let Some(patch) = difference(object.at(&["status"]), fields) {
            plan.merge_as_seen(cron, "status", json!({"status": patch})).tells(told);
        }
        plan
    }
}
