//! What is refused in a job's spec.
use super::policies;
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, text};
use crate::kinds::pod;
use serde_json::Value;
use std::fmt::Display;

/// Most pods of an Indexed job at once, and most failed indexes.
const INDEXED_MAX: i64 = 100_000;
/// From so many completions on, a limit per index asks for lower limits of the other numbers.
const MANY_COMPLETIONS: i64 = 100_000;
const MANY_LIMIT: i64 = 10_000;

/// Checks a job's spec at `path`, its selector aside.
pub(in crate::kinds) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    if let Some(manager) = spec.get("managedBy").and_then(Value::as_str) {
        checks.domain_path(format_args!("{path}.managedBy"), manager);
    }
    match text(spec, "completionMode") {
        "Indexed" => indexed(checks, path, spec),
        "" | "NonIndexed" => {
            for key in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if let Some(n) = int(spec, key) {
                    checks.add(Cause::invalid(format_args!("{path}.{key}"), &n.into(), "requires indexed completion mode"));
                }
            }
        }
        _ => {}
    }
    policies::failure(checks, path, spec);
    policies::success(checks, path, spec);
    let fails = spec.get("podFailurePolicy").is_some();
    let replacement = if fails { &["Failed"][..] } else { &["Failed", "TerminatingOrFailed"] };
    checks.choice(format_args!("{path}.podReplacementPolicy"), spec.get("podReplacementPolicy"), replacement);
    let template = spec.get("template").unwrap_or(&Value::Null);
    pod::validate_template(checks, &format_args!("{path}.template"), template);
    let at = format_args!("{path}.template.spec.restartPolicy");
    match template.get("spec").map(|s| text(s, "restartPolicy")).unwrap_or_default() {
        "" | "Always" => checks.required(at, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if fails => {
            checks.add(Cause::invalid(at, &"OnFailure".into(), "only \"Never\" is supported when podFailurePolicy is specified"));
        }
        policy => checks.choice(at, Some(&policy.into()), &["OnFailure", "Never"]),
    }
}

fn indexed(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let number = |key: &str| int(spec, key);
    let (completions, failed) = (number("completions"), number("maxFailedIndexes"));
    if completions.is_none() {
        checks.required(format_args!("{path}.completions"), "when completion mode is Indexed");
    }
    let at_most = |checks: &mut Checks, key: &str, most: i64, why: &dyn Display| {
        if let Some(n) = number(key).filter(|n| *n > most) {
            checks.add(Cause::invalid(format_args!("{path}.{key}"), &n.into(), why));
        }
    };
    at_most(checks, "parallelism", INDEXED_MAX, &format_args!("must be less than or equal to {INDEXED_MAX} when completion mode is Indexed"));
    if let Some(completions) = completions {
        at_most(checks, "maxFailedIndexes", completions, &"must be less than or equal to completions");
    }
    at_most(checks, "maxFailedIndexes", INDEXED_MAX, &format_args!("must be less than or equal to {INDEXED_MAX}"));
    if completions.is_some_and(|n| n > MANY_COMPLETIONS) && number("backoffLimitPerIndex").is_some() {
        if failed.is_none() {
            checks.required(format_args!("{path}.maxFailedIndexes"), &format!("must be specified when completions is above {MANY_COMPLETIONS}"));
        }
        let why = format!("must be less than or equal to {MANY_LIMIT} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index");
        at_most(checks, "parallelism", MANY_LIMIT, &why);
        at_most(checks, "maxFailedIndexes", MANY_LIMIT, &why);
    }
}
