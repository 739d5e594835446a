//! CronJobs.
use super::fields::{Checks, keep, map_mut, text, with_field};
use super::job;
use crate::error::Cause;
use crate::object::Object;
use crate::schedule::Schedule;
use crate::strategy::Strategy;
use serde_json::{Value, json};

/// A job's name is the CronJob's with eleven characters more.
const NAME_MAX: usize = 52;
/// Longest part of a time zone's name.
const ZONE_PART_MAX: usize = 14;

/// Where a CronJob's job is.
const JOB: [&str; 3] = ["spec", "jobTemplate", "spec"];

/// The rules of CronJobs.
pub static STRATEGY: CronJob = CronJob;

/// The rules of CronJobs.
pub struct CronJob;

impl Strategy for CronJob {
    fn default(&self, cron: &mut Object) {
        with_field(cron, "spec", |spec| {
            map_mut(spec, "jobTemplate").and_then(|template| map_mut(template, "spec")).into_iter().for_each(job::default_parts);
        });
    }
    fn prepare_create(&self, cron: &mut Object) {
        cron.set(&["status"], json!({}));
        job::drop_disabled(cron, None, &JOB);
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
        job::drop_disabled(new, Some(old), &JOB);
    }
    fn validate(&self, cron: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = cron.at(&["spec"]).unwrap_or(&Value::Null);
        let schedule = text(spec, "schedule");
        if !schedule.is_empty() {
            if schedule.contains("TZ") {
                let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
                checks.add(Cause::invalid("spec.schedule", &schedule.into(), why));
            } else if let Err(why) = Schedule::parse(schedule) {
                checks.add(Cause::invalid("spec.schedule", &schedule.into(), why));
            }
        }
        if let Some(zone) = spec.get("timeZone").and_then(Value::as_str) {
            checks.0.extend(time_zone(zone));
        }
        let template = spec.get("jobTemplate").and_then(|t| t.get("spec")).unwrap_or(&Value::Null);
        job::validate_spec(&mut checks, &"spec.jobTemplate.spec", template);
        if let Some(selector) = template.get("selector") {
            checks.add(Cause::invalid("spec.jobTemplate.spec.selector", selector, "`selector` will be auto-generated"));
        }
        if template.get("manualSelector") == Some(&Value::Bool(true)) {
            checks.add(Cause::not_supported("spec.jobTemplate.spec.manualSelector", &true.into(), &["nil", "false"]));
        }
        checks.0
    }
    fn validate_create(&self, cron: &Object) -> Vec<Cause> {
        let why = format_args!("must be no more than {NAME_MAX} characters");
        (cron.name().len() > NAME_MAX).then(|| Cause::invalid("metadata.name", &cron.name().into(), why)).into_iter().collect()
    }
}

fn time_zone(zone: &str) -> Option<Cause> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    let shaped =
        |part: &str| !part.is_empty() && part.len() <= ZONE_PART_MAX && !matches!(part, "." | "..") && !part.starts_with('-') && part.chars().all(known);
    let why = match zone {
        "" => "timeZone must be nil or non-empty string".to_owned(),
        zone if zone.eq_ignore_ascii_case("local") => "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".to_owned(),
        zone if !zone.split('/').all(shaped) || !is_known(zone) => format!("unknown time zone {zone}"),
        _ => return None,
    };
    Some(Cause::invalid("spec.timeZone", &zone.into(), why))
}

/// Whether there is a time zone of exactly this name.
fn is_known(zone: &str) -> bool {
    jiff::tz::TimeZone::get(zone).is_ok_and(|found| found.iana_name() == Some(zone))
}
