//! What becomes of a recommendation: earlier ones hold it, and bounds and policies limit it.
use super::history::{History, Stamped, before, within};
use super::spec::{Behavior, DOWN_WINDOW, Rules, Spec};
use crate::status::condition;
use jiff::Timestamp;
use serde_json::Value;

/// How many more replicas there may be at once where no behaviour is said: so many times as many, or as many as these.
const UP_FACTOR: i64 = 2;
const UP_LEAST: i64 = 4;

/// A number that has been limited, and why.
struct Limited {
    n: i64,
    reason: &'static str,
    message: &'static str,
}

const WITHIN: (&str, &str) = ("DesiredWithinRange", "the desired count is within the acceptable range");
const TOO_MANY: (&str, &str) = ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FEW: (&str, &str) = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const UP_LIMIT: (&str, &str) = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const DOWN_LIMIT: (&str, &str) = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");

impl Limited {
    fn new(n: i64, (reason, message): (&'static str, &'static str)) -> Self {
        Self { n, reason, message }
    }
}

/// How many replicas there are to be where metrics ask for `desired`, with the conditions that say why.
pub(super) fn limit(spec: &Spec, history: &mut History, current: i64, desired: i64, now: Timestamp) -> (i64, Vec<Value>) {
    let (held, held_by) = match &spec.behavior {
        None => hold_down(history, desired, now),
        Some(behavior) => hold(behavior, history, current, desired, now),
    };
    let limited = match &spec.behavior {
        None => by_default(spec, current, held),
        Some(behavior) => by_policies(spec, behavior, history, (current, held), now),
    };
    let able = if held == desired { ("ReadyForNewScale", "recommended size matches current size") } else { held_by };
    let conditions = vec![condition("AbleToScale", true, able.0, able.1), condition("ScalingLimited", limited.n != held, limited.reason, limited.message)];
    (limited.n, conditions)
}

const DOWN_HELD: (&str, &str) = ("ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest recent recommendation");
const UP_HELD: (&str, &str) = ("ScaleUpStabilized", "recent recommendations were lower than current one, applying the lowest recent recommendation");

/// The highest recommendation of late.
fn hold_down(history: &mut History, desired: i64, now: Timestamp) -> (i64, (&'static str, &'static str)) {
    let since = before(now, DOWN_WINDOW);
    let highest = history.recommendations.iter().filter(|r| r.at >= since).map(|r| r.n).max().unwrap_or(desired);
    history.recommend(desired, DOWN_WINDOW, now);
    (highest.max(desired), DOWN_HELD)
}

/// What is between the lowest recommendation in the window of one direction and the highest in that of the other.
fn hold(behavior: &Behavior, history: &mut History, current: i64, desired: i64, now: Timestamp) -> (i64, (&'static str, &'static str)) {
    let (up, down) = (behavior.up().window(), behavior.down().window());
    let lately = |window| {
        let since = before(now, window);
        history.recommendations.iter().filter(move |r: &&Stamped| r.at > since).map(|r| r.n)
    };
    let lowest = lately(up).min().unwrap_or(desired).min(desired);
    let highest = lately(down).max().unwrap_or(desired).max(desired);
    history.recommend(desired, up.max(down), now);
    (current.max(lowest).min(highest), if desired >= current { UP_HELD } else { DOWN_HELD })
}

fn by_default(spec: &Spec, current: i64, desired: i64) -> Limited {
    let up = current.saturating_mul(UP_FACTOR).max(UP_LEAST);
    let (most, why) = if spec.max_replicas > up { (up, UP_LIMIT) } else { (spec.max_replicas, TOO_MANY) };
    if desired < spec.min() {
        Limited::new(spec.min(), TOO_FEW)
    } else if desired > most {
        Limited::new(most, why)
    } else {
        Limited::new(desired, WITHIN)
    }
}

fn by_policies(spec: &Spec, behavior: &Behavior, history: &History, (current, desired): (i64, i64), now: Timestamp) -> Limited {
    if desired > current {
        let limit = most(current, history, &behavior.up(), now).max(current);
        let (most, why) = if spec.max_replicas > limit { (limit, UP_LIMIT) } else { (spec.max_replicas, TOO_MANY) };
        if desired > most {
            return Limited::new(most, why);
        }
    } else if desired < current {
        let limit = fewest(current, history, &behavior.down(), now).min(current);
        let (fewest, why) = if spec.min() < limit { (limit, DOWN_LIMIT) } else { (spec.min(), TOO_FEW) };
        if desired < fewest {
            return Limited::new(fewest, why);
        }
    }
    Limited::new(desired, WITHIN)
}

/// How many replicas there were at the beginning of each policy's period, with the policy.
fn starts<'a>(current: i64, history: &History, rules: &'a Rules, now: Timestamp) -> Vec<(i64, &'a super::spec::Policy)> {
    let start = |seconds| current - within(&history.ups, seconds, now) + within(&history.downs, seconds, now);
    rules.policies.iter().map(|policy| (start(policy.period_seconds), policy)).collect()
}

/// The most replicas that the policies allow now.
fn most(current: i64, history: &History, rules: &Rules, now: Timestamp) -> i64 {
    if rules.disabled() {
        return current;
    }
    let allowed = starts(current, history, rules, now).into_iter().map(|(start, policy)| match policy.r#type.as_str() {
        // rounded up, or one replica would never become two
        "Percent" => start.saturating_add((start.saturating_mul(policy.value)).saturating_add(99).div_euclid(100)),
        _ => start.saturating_add(policy.value),
    });
    let chosen = if rules.least() { allowed.min() } else { allowed.max() };
    chosen.unwrap_or(current)
}

/// The fewest replicas that the policies allow now.
fn fewest(current: i64, history: &History, rules: &Rules, now: Timestamp) -> i64 {
    if rules.disabled() {
        return current;
    }
    let allowed = starts(current, history, rules, now).into_iter().map(|(start, policy)| match policy.r#type.as_str() {
        "Percent" => start.saturating_mul(100_i64.saturating_sub(policy.value)) / 100,
        _ => start.saturating_sub(policy.value),
    });
    let chosen = if rules.least() { allowed.max() } else { allowed.min() };
    chosen.unwrap_or(current)
}
