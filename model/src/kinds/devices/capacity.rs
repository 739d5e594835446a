//! How much of a device there is, and how much of it can be asked for.
use crate::error::Cause;
use crate::kinds::fields::{Checks, list};
use crate::quantity::Quantity;
use serde_json::Value;
use std::fmt::Display;

const OPTIONS_MAX: usize = 10;

fn amount(of: &Value, key: &str) -> Option<Quantity> {
    of.get(key).and_then(|value| Quantity::from_json(value).ok())
}

/// One capacity of a device that may be given to several claims, or not.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, capacity: &Value, shared: bool) {
    let Some(policy) = capacity.get("requestPolicy") else { return };
    let (path, whole) = (format_args!("{path}.requestPolicy"), amount(capacity, "value").unwrap_or_else(|| Quantity::from_value(0)));
    let (options, range, default) = (list(policy, "validValues"), policy.get("validRange"), amount(policy, "default"));
    let missing = |checks: &mut Checks, of: &str| checks.required(format_args!("{path}.default"), &format!("required when {of} is defined"));
    match (options, range, default) {
        _ if !shared => checks.add(Cause::forbidden(path, "allowMultipleAllocations must be true")),
        ([_, ..], Some(_), _) => {
            checks.add(Cause::forbidden(path, "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time"));
        }
        ([_, ..], None, None) => missing(checks, "validValues"),
        ([_, ..], None, Some(default)) => self::options(checks, &format_args!("{path}.validValues"), options, &default, &whole),
        ([], Some(_), None) => missing(checks, "validRange"),
        ([], Some(range), Some(default)) => self::range(checks, &format_args!("{path}.validRange"), range, &default, &whole),
        ([], None, _) => {}
    }
}

/// Amounts of which one is chosen.
fn options(checks: &mut Checks, path: &dyn Display, options: &[Value], default: &Quantity, whole: &Quantity) {
    let options: Vec<Quantity> = options.iter().filter_map(|option| Quantity::from_json(option).ok()).collect();
    let refuse = |checks: &mut Checks, path: &dyn Display, of: &Quantity, why: &dyn Display| checks.add(Cause::invalid(path, &of.to_string().into(), why));
    for (i, pair) in options.windows(2).enumerate() {
        if let [one, next] = pair
            && one > next
        {
            refuse(checks, &format_args!("{path}[{}]", i + 1), next, &"values must be sorted in ascending order");
        }
    }
    let mut chosen = false;
    if options.len() > OPTIONS_MAX {
        checks.add(Cause::too_many(path, options.len(), OPTIONS_MAX));
    } else {
        for (i, option) in options.iter().enumerate() {
            if option > whole {
                refuse(checks, &format_args!("{path}[{i}]"), option, &format_args!("option is larger than capacity value: {whole}"));
            }
            if options.iter().take(i).any(|other| other == option) {
                checks.add(Cause::duplicate(format_args!("{path}[{i}]"), &option.to_string().into()));
            }
            chosen |= option == default;
        }
    }
    if !chosen {
        refuse(checks, path, default, &"default value is not valid according to the requestPolicy");
    }
}

/// Amounts from a least to a largest one, in steps.
fn range(checks: &mut Checks, path: &dyn Display, range: &Value, default: &Quantity, whole: &Quantity) {
    let Some(least) = amount(range, "min") else { return checks.required(format_args!("{path}.min"), "required when validRange is defined") };
    let (most, step) = (amount(range, "max"), amount(range, "step"));
    let mut refuse = |wrong: bool, field: &str, of: &Quantity, why: &dyn Display| {
        if wrong {
            checks.add(Cause::invalid(format_args!("{path}.{field}"), &of.to_string().into(), why));
        }
    };
    refuse(least > *whole, "min", &least, &format_args!("min is larger than capacity value: {whole}"));
    refuse(*default < least, "default", default, &format_args!("default is less than min: {least}"));
    if let Some(most) = &most {
        refuse(least > *most, "max", &least, &format_args!("min is larger than max: {most}"));
        refuse(most > whole, "max", most, &format_args!("max is larger than capacity value: {whole}"));
        refuse(default > most, "default", default, &format_args!("default is more than max: {most}"));
    }
    let Some(step) = step else { return };
    if step.is_negative() || step.is_zero() {
        return refuse(true, "step", &step, &"must be greater than zero");
    }
    let first = least + step;
    refuse(first > *whole, "step", &step, &format_args!("one step {first} is larger than capacity value: {whole}"));
    for value in [Some(default), most.as_ref()].into_iter().flatten() {
        let whole_steps = step.milli() == 0 || (value.milli() - least.milli()) % step.milli() == 0;
        refuse(!whole_steps, "step", value, &format_args!("value is not a multiple of a given step ({step}) from ({least})"));
    }
}
