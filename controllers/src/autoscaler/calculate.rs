//! How many replicas a metric asks for. Kubernetes' rules for pods that aren't ready, or of which nothing is known.
use super::pods::Pod;
use super::spec::Tolerances;
use crate::runtime::later;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// For so long after its start a pod's use of processors counts only while it is ready, and over a time in which it was.
const INITIALIZATION: SignedDuration = SignedDuration::from_secs(300);
/// A pod that became unready so soon after its start was never ready.
const READINESS_DELAY: SignedDuration = SignedDuration::from_secs(30);

/// What a pod has of a metric, in thousandths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) value: i128,
    pub(super) at: Timestamp,
    pub(super) window: SignedDuration,
}

/// The samples of pods, by name.
pub(super) type Samples = BTreeMap<String, Sample>;

/// What pods are to have of a metric on average.
pub(super) enum Goal<'a> {
    /// So many thousandths.
    Average(i128),
    /// So many percent of what they request, in thousandths.
    Utilization(i64, &'a dyn Fn(&Pod) -> Result<i128, String>),
}

/// The pods, what they have of a metric, and how many of them are wanted now.
pub(super) struct Question<'a> {
    pub(super) pods: &'a [Pod],
    pub(super) samples: Samples,
    pub(super) current: i64,
    pub(super) tolerances: Tolerances,
    /// Whether it is the use of processors, which says little of pods that have just started.
    pub(super) cpu: bool,
    pub(super) now: Timestamp,
}

/// How many replicas a metric asks for, and what pods have of it on average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) replicas: i64,
    /// In percent of what is requested.
    pub(super) utilization: Option<i64>,
    /// In thousandths.
    pub(super) average: i128,
}

/// Pods by what their samples are worth.
#[derive(Default)]
struct Groups {
    ready: i64,
    unready: BTreeSet<String>,
    missing: BTreeSet<String>,
    ignored: BTreeSet<String>,
}

fn group(question: &Question<'_>) -> Groups {
    let mut groups = Groups::default();
    for pod in question.pods {
        let name = pod.name().to_owned();
        if pod.going() {
            groups.ignored.insert(name);
        } else if pod.pending() {
            groups.unready.insert(name);
        } else if let Some(sample) = question.samples.get(pod.name()) {
            if question.cpu && unready(pod, sample, question.now) {
                groups.unready.insert(name);
            } else {
                groups.ready += 1;
            }
        } else {
            groups.missing.insert(name);
        }
    }
    groups
}

fn unready(pod: &Pod, sample: &Sample, now: Timestamp) -> bool {
    let Some(readiness) = pod.readiness() else { return true };
    if later(readiness.started, INITIALIZATION) > now {
        return readiness.denied || sample.at < later(readiness.changed, sample.window);
    }
    readiness.denied && later(readiness.started, READINESS_DELAY) > readiness.changed
}

/// The ratio of what there is to what there should be.
struct Ratio {
    ratio: f64,
    utilization: Option<i64>,
    average: i128,
}

fn ratio(samples: &Samples, goal: &Goal<'_>, requests: &BTreeMap<String, i128>) -> Result<Ratio, String> {
    match goal {
        Goal::Average(target) => {
            let total: i128 = samples.values().map(|sample| sample.value).sum();
            let average = total / i128::try_from(samples.len()).unwrap_or(1).max(1);
            Ok(Ratio { ratio: divide(average, *target), utilization: None, average })
        }
        Goal::Utilization(target, _) => {
            let known = samples.iter().filter_map(|(name, sample)| Some((sample.value, *requests.get(name)?)));
            let (used, requested, n) = known.fold((0, 0, 0), |(used, requested, n), (value, request)| (used + value, requested + request, n + 1));
            if requested == 0 {
                return Err("no metrics returned matched known pods".to_owned());
            }
            let utilization = i64::try_from(used * 100 / requested).unwrap_or(i64::MAX);
            Ok(Ratio { ratio: divide(utilization.into(), (*target).into()), utilization: Some(utilization), average: used / n })
        }
    }
}
/// A ratio, in the numbers that Kubernetes counts in.
pub(super) fn divide(a: i128, b: i128) -> f64 {
    a as f64 / b as f64
}

/// Rounded up, and no more than there can be.
pub(super) fn ceil(number: f64) -> i64 {
    number.ceil().clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i64
}

/// `ratio` times a number of pods.
pub(super) fn times(ratio: f64, pods: i64) -> i64 {
    ceil(ratio * divide(pods.into(), 1))
}

/// How many replicas bring pods to the goal. Pods that aren't ready count as using nothing where that asks for more; those of which nothing is known count
/// as using nothing where it asks for more, and all that they should where it asks for fewer.
///
/// # Errors
/// As Kubernetes says it.
pub(super) fn replicas(mut question: Question<'_>, goal: &Goal<'_>) -> Result<Count, String> {
    if question.pods.is_empty() {
        return Err("no pods returned by selector while calculating replica count".to_owned());
    }
    let groups = group(&question);
    question.samples.retain(|name, _| !groups.ignored.contains(name) && !groups.unready.contains(name));
    if question.samples.is_empty() {
        return Err("did not receive metrics for targeted pods (pods might be unready)".to_owned());
    }
    let requests: BTreeMap<String, i128> = match goal {
        Goal::Average(_) => BTreeMap::new(),
        Goal::Utilization(_, request) => question.pods.iter().map(|pod| Ok((pod.name().to_owned(), request(pod)?))).collect::<Result<_, String>>()?,
    };
    let first = ratio(&question.samples, goal, &requests)?;
    let count = |replicas| Count { replicas, utilization: first.utilization, average: first.average };
    let up_with_unready = !groups.unready.is_empty() && first.ratio > 1.0;
    if !up_with_unready && groups.missing.is_empty() {
        let within = question.tolerances.within(first.ratio);
        return Ok(count(if within { question.current } else { times(first.ratio, groups.ready) }));
    }
    fill(&mut question.samples, &groups, (first.ratio, up_with_unready), goal, &requests);
    let second = ratio(&question.samples, goal, &requests)?.ratio;
    let turned = (first.ratio < 1.0 && second > 1.0) || (first.ratio > 1.0 && second < 1.0);
    if question.tolerances.within(second) || turned {
        return Ok(count(question.current));
    }
    let replicas = times(second, i64::try_from(question.samples.len()).unwrap_or(i64::MAX));
    let against = (second < 1.0 && replicas > question.current) || (second > 1.0 && replicas < question.current);
    Ok(count(if against { question.current } else { replicas }))
}

/// Gives pods of which nothing counts what they are taken to have.
fn fill(samples: &mut Samples, groups: &Groups, (ratio, up_with_unready): (f64, bool), goal: &Goal<'_>, requests: &BTreeMap<String, i128>) {
    let sample = |value| Sample { value, at: Timestamp::MIN, window: SignedDuration::ZERO };
    for name in &groups.missing {
        let full = match goal {
            Goal::Average(target) => *target,
            Goal::Utilization(target, _) => requests.get(name).copied().unwrap_or_default() * i128::from(*target.max(&100)) / 100,
        };
        if ratio < 1.0 {
            samples.insert(name.clone(), sample(full));
        } else if ratio > 1.0 {
            samples.insert(name.clone(), sample(0));
        }
    }
    if up_with_unready {
        samples.extend(groups.unready.iter().map(|name| (name.clone(), sample(0))));
    }
}

/// How many replicas a metric asks for that is one number for all pods. Without pods it is as many as the number is times its goal.
///
/// # Errors
/// As Kubernetes says it.
pub(super) fn of_ratio(ratio: f64, current: i64, tolerances: Tolerances, pods: &[Pod]) -> Result<i64, String> {
    if current == 0 {
        return Ok(ceil(ratio));
    }
    if tolerances.within(ratio) {
        return Ok(current);
    }
    if pods.is_empty() {
        return Err("unable to calculate ready pods: no pods returned by selector while calculating replica count".to_owned());
    }
    let ready = pods.iter().filter(|pod| pod.ready()).count();
    Ok(times(ratio, i64::try_from(ready).unwrap_or(i64::MAX)))
}

/// How many replicas a metric asks for of which each pod is to have so much, and what each of those that there are has of it.
pub(super) fn per_pod(usage: i128, target: i128, replicas: i64, tolerances: Tolerances) -> (i64, i128) {
    let wanted = if tolerances.within(divide(usage, target) / divide(replicas.into(), 1)) { replicas } else { ceil(divide(usage, target)) };
    let there = i128::from(replicas.max(1));
    let each = (usage + there - 1).div_euclid(there);
    (wanted, each)
}
