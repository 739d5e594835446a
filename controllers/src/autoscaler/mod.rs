//! HorizontalPodAutoscalers: the pods' own use of processors and memory, and other metrics, decide how many replicas there are.
//!
//! [`metrics`] says how many each metric asks for, by the rules of [`calculate`]; the most of these is recommended. [`limits`] holds it against what was
//! recommended and done before, which [`history`] remembers. A change of the target and what is said of it are two plans: the second one knows what came
//! of the first.
mod calculate;
mod history;
mod limits;
mod metrics;
mod pods;
mod spec;
mod target;
#[cfg(test)]
mod tests;
mod words;

use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange, WriteOp, later};
use crate::status;
use history::{History, Pending};
use jiff::SignedDuration;
use metrics::{Scene, Trouble};
use model::selector::LabelSelector;
use model::{Key, time};
use pods::Pod;
use serde_json::{Map, Value, json};
use spec::Spec;
use state_client::PatchKind;
use state_client::metrics::MetricQuery;
use state_client::usage::NodeUsage;
use std::collections::BTreeSet;
use std::sync::Arc;
use target::{NoTarget, Target};

/// How often an autoscaler decides though nothing changes.
const PERIOD: SignedDuration = SignedDuration::from_secs(15);
/// How soon after a decision the next one is made, however often nodes say what they use.
const SOONEST: SignedDuration = SignedDuration::from_millis(900);
/// How soon it looks again for a target that isn't seen yet.
const UNSEEN: SignedDuration = SignedDuration::from_secs(1);
/// Kinds that are built in and have replicas; those of others are watched, too.
const SCALED: [Resource; 4] = [Resource::DEPLOYMENTS, Resource::REPLICA_SETS, Resource::STATEFUL_SETS, Resource::REPLICATION_CONTROLLERS];
/// Autoscalers.
const AUTOSCALERS: Resource = Resource::new("autoscaling", "horizontalpodautoscalers");

/// Scales what HorizontalPodAutoscalers name.
pub struct Autoscalers;

impl Controller for Autoscalers {
    fn name(&self) -> &'static str {
        "horizontal-pod-autoscaler"
    }

    fn inputs(&self) -> Vec<Input> {
        let mut inputs = vec![Input::new(AUTOSCALERS, |_, change| concerned(change)), Input::silent(Resource::PODS)];
        inputs.extend(SCALED.map(Input::silent));
        inputs
    }

    fn used(&self, view: &View, said: &NodeUsage) -> Vec<Key> {
        let namespaces: BTreeSet<&str> = said.pods.iter().map(|pod| pod.namespace.as_str()).collect();
        let all = namespaces.into_iter().flat_map(|namespace| view.in_namespace(&AUTOSCALERS, namespace));
        all.filter(|item| spec(item).goes_by_usage()).map(|item| item.key().clone()).collect()
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(AUTOSCALERS, Part::Status, ""), Output::new(Resource::ANY, Part::Scale, "")]
    }

    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(item) = view.at(key) else {
            plan.keep = Some(Value::Null);
            return plan;
        };
        let mut history = History::read(at.kept);
        if let Some(pending) = history.pending.take()
            && told(&mut plan, view, item, &mut history, &pending, at)
        {
            plan.look_again(later(at.now, PERIOD));
            plan.keep = Some(history.write());
            return plan;
        }
        if let Some(soonest) = history.decided.map(|decided| later(decided, SOONEST)).filter(|soonest| *soonest > at.now) {
            plan.look_again(soonest);
            return plan;
        }
        Decision::new(view, item, at).make(&mut plan, history);
        plan
    }
}

/// What changed of an autoscaler beside its status, which nobody but its controller writes.
fn concerned(change: ViewChange<'_>) -> Vec<Key> {
    let same = |(old, new): (&Item, &Item)| old.uid() == new.uid() && old.meta.generation == new.meta.generation;
    if change.old.zip(change.new).is_some_and(same) { Vec::new() } else { change.item().map(|item| item.key().clone()).into_iter().collect() }
}

fn spec(item: &Item) -> Arc<Spec> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Part {
        spec: Arc<Spec>,
    }
    item.part::<Part>().map(|part| part.spec.clone()).unwrap_or_default()
}

/// Says what came of a change of the target. `false` where nothing can be said: it is decided anew.
fn told(plan: &mut Plan, view: &View, item: &Item, history: &mut History, pending: &Pending, at: &Moment<'_>) -> bool {
    let (spec, Pending { from, to, reason, .. }) = (spec(item), pending);
    let Ok(target) = target::find(view, item.namespace(), &spec.scale_target_ref) else { return false };
    let failed = at.failed.iter().find(|failure| failure.key == *target.item.key());
    let mut new = Status::new(item, at);
    new.set(pending.conditions.clone());
    new.metrics = Some(pending.metrics.clone());
    new.current = Some(*from);
    if let Some(failure) = failed {
        let why = &failure.error.message;
        plan.warn(item, "FailedRescale", format!("New size: {to}; reason: {reason}; error: {why}"));
        new.set(vec![status::condition("AbleToScale", false, "FailedUpdateScale", format!("the HPA controller was unable to update the target scale: {why}"))]);
    } else if target.scaled.desired == *to {
        plan.tell(item, "SuccessfulRescale", format!("New size: {to}; reason: {reason}"));
        let able = format!("the HPA controller was able to update the target scale to {to}");
        let zero = *from > 0 && *to == 0 && spec.min() == 0 && spec.reaches_zero();
        let (why, words) = if zero {
            ("ScaledToZero", "the HPA controller scaled the workload to zero")
        } else {
            ("NotScaledToZero", "the HPA controller did not scale the workload to zero")
        };
        new.set(vec![status::condition("AbleToScale", true, "SucceededRescale", able), status::condition("ScaledToZero", zero, why, words)]);
        (new.desired, new.scaled) = (Some(*to), true);
        if let Some(behavior) = &spec.behavior {
            history.scaled(*from, *to, (&behavior.up(), &behavior.down()), at.now);
        }
    } else {
        return false;
    }
    new.write(plan, item);
    true
}

/// A status that is being made.
struct Status<'a> {
    at: &'a Moment<'a>,
    conditions: Vec<Value>,
    current: Option<i64>,
    /// `None` leaves it.
    desired: Option<i64>,
    metrics: Option<Value>,
    scaled: bool,
}

impl<'a> Status<'a> {
    fn new(item: &Item, at: &'a Moment<'a>) -> Self {
        let conditions = item.object().list_at(&["status", "conditions"]).to_vec();
        Self { at, conditions, current: None, desired: None, metrics: None, scaled: false }
    }

    fn set(&mut self, conditions: Vec<Value>) {
        for condition in conditions {
            status::set(&mut self.conditions, condition, self.at.now, true);
        }
    }

    /// Writes what differs. Without a number of replicas only the conditions are known.
    fn write(self, plan: &mut Plan, item: &Item) {
        let old = item.object().at(&["status"]);
        let mut new = Map::from_iter([("conditions".to_owned(), Value::from(self.conditions))]);
        if let Some(current) = self.current {
            new.insert("observedGeneration".to_owned(), item.meta.generation.into());
            new.insert("currentReplicas".to_owned(), status::count(current));
            new.insert("currentMetrics".to_owned(), self.metrics.unwrap_or_default());
        }
        if let Some(desired) = self.desired {
            new.insert("desiredReplicas".to_owned(), desired.into());
        }
        if self.scaled {
            new.insert("lastScaleTime".to_owned(), time::format(self.at.now).into());
        }
        if let Some(patch) = status::difference(old, new) {
            plan.merge(item, "status", json!({"status": patch}));
        }
    }
}

/// What metrics ask for together.
struct Recommendation {
    replicas: i64,
    /// Which metric asks for the most.
    metric: String,
    statuses: Value,
    /// What is said of the metrics that couldn't be had, where the others are enough.
    condition: Value,
}

/// Why there is no recommendation.
enum Undecided {
    /// Something has to be asked for first.
    Asks(Vec<MetricQuery>),
    /// The metrics can't be had, or aren't to be judged by.
    Failed { condition: Value, statuses: Value, error: String },
}

/// One decision about an autoscaler.
struct Decision<'a> {
    view: &'a View,
    item: &'a Item,
    spec: Arc<Spec>,
    at: &'a Moment<'a>,
}

impl<'a> Decision<'a> {
    fn new(view: &'a View, item: &'a Item, at: &'a Moment<'a>) -> Self {
        Self { view, item, spec: spec(item), at }
    }

    /// Decides, and puts what follows into the plan.
    fn make(&self, plan: &mut Plan, mut history: History) {
        let mut status = Status::new(self.item, self.at);
        plan.look_again(later(self.at.now, PERIOD));
        let target = match target::find(self.view, self.item.namespace(), &self.spec.scale_target_ref) {
            Ok(target) => target,
            Err(NoTarget::Unseen) => return plan.look_again(later(self.at.now, UNSEEN)),
            Err(NoTarget::Error(why)) => {
                plan.warn(self.item, "FailedGetScale", &*why);
                let message = format!("the HPA controller was unable to get the target's current scale: {why}");
                status.set(vec![status::condition("AbleToScale", false, "FailedGetScale", message)]);
                return self.close(plan, status, history);
            }
        };
        status.set(vec![status::condition("AbleToScale", true, "SucceededGetScale", "the HPA controller was able to get the target's current scale")]);
        let current = target.scaled.desired;
        status.current = Some(current);
        history.begin(current, self.at.now);
        let scaled_to_zero = status.conditions.iter().any(|c| c["type"] == "ScaledToZero" && c["status"] == "True");
        let (min, max) = (self.spec.min(), self.spec.max_replicas);
        let (desired, reason) = if current == 0 && !(scaled_to_zero && (min != 0 || self.spec.reaches_zero())) {
            let message = "scaling is disabled since the replica count of the target is zero";
            status.set(vec![status::condition("ScalingActive", false, "ScalingDisabled", message)]);
            (0, String::new())
        } else if current > max && current != 0 {
            (max, "Current number of replicas above Spec.MaxReplicas".to_owned())
        } else if current < min && current != 0 {
            (min, "Current number of replicas below Spec.MinReplicas".to_owned())
        } else {
            match self.recommend(plan, &target) {
                Ok(recommended) => self.judge(&mut status, &mut history, current, scaled_to_zero, recommended),
                Err(Undecided::Asks(questions)) => return plan.asks.extend(questions),
                Err(Undecided::Failed { condition, statuses, error }) => {
                    status.set(vec![condition]);
                    status.metrics = Some(statuses);
                    plan.warn(self.item, "FailedComputeMetricsReplicas", error);
                    return self.close(plan, status, history);
                }
            }
        };
        if desired == current {
            status.desired = Some(current);
            return self.close(plan, status, history);
        }
        self.scale(plan, &target, &mut history, Change { desired, reason, status });
        history.decided = Some(self.at.now);
        plan.keep = Some(history.write());
    }

    fn close(&self, plan: &mut Plan, status: Status<'_>, mut history: History) {
        status.write(plan, self.item);
        history.decided = Some(self.at.now);
        plan.keep = Some(history.write());
    }

    /// Limits what is recommended; how many replicas there are to be, and why.
    fn judge(&self, status: &mut Status<'_>, history: &mut History, current: i64, scaled_to_zero: bool, asked: Recommendation) -> (i64, String) {
        let wanted = asked.replicas.max(0);
        let mut reason = if wanted > current {
            format!("{} above target", asked.metric)
        } else if wanted < current {
            "All metrics below target".to_owned()
        } else {
            String::new()
        };
        status.set(vec![asked.condition]);
        status.metrics = Some(asked.statuses);
        let (mut desired, conditions) = limits::limit(&self.spec, history, current, wanted, self.at.now);
        status.set(conditions);
        let min = self.spec.min();
        if current == 0 && min != 0 && scaled_to_zero && desired < min {
            desired = min;
            if reason.is_empty() {
                "Current number of replicas below Spec.MinReplicas".clone_into(&mut reason);
            }
        }
        (desired, reason)
    }

    /// Changes the target. What is said of it follows when that is done.
    fn scale(&self, plan: &mut Plan, target: &Target<'_>, history: &mut History, change: Change<'_>) {
        let Change { desired, reason, status } = change;
        let metrics = status.metrics.unwrap_or_default();
        history.pending = Some(Pending { from: target.scaled.desired, to: desired, reason, conditions: status.conditions, metrics });
        let patch = json!({"metadata": {"uid": target.item.uid()}, "spec": {"replicas": desired}});
        plan.write(target.item.key().clone(), WriteOp::Patch { subresource: "scale", kind: PatchKind::Merge, patch });
        plan.look_again(self.at.now);
    }

    /// What the metrics recommend: the most that one of them asks for.
    fn recommend(&self, plan: &mut Plan, target: &Target<'_>) -> Result<Recommendation, Undecided> {
        let text = target.scaled.selector.as_deref().unwrap_or_default();
        let selector = self.selector(plan, text)?;
        let namespace = self.item.namespace();
        let pods = self.view.in_namespace(&Resource::PODS, namespace).filter(|pod| selector.selects(|key| pod.label(key)));
        let pods: Vec<Pod> = pods.map(|pod| Pod::of(pod)).collect();
        let scene =
            Scene { view: self.view, namespace, scaled: &target.scaled, selector: text, pods: &pods, tolerances: self.spec.tolerances(), now: self.at.now };
        let proposals: Vec<_> = self.spec.metrics.iter().map(|metric| metrics::propose(&scene, metric)).collect();
        let asks: Vec<_> = proposals.iter().filter_map(|p| if let Err(Trouble::Unknown(question)) = p { Some((**question).clone()) } else { None }).collect();
        if !asks.is_empty() {
            return Err(Undecided::Asks(asks));
        }
        self.combine(plan, target.scaled.desired, proposals)
    }

    fn combine(&self, plan: &mut Plan, current: i64, proposals: Vec<Result<metrics::Proposal, Trouble>>) -> Result<Recommendation, Undecided> {
        let (all, mut replicas, mut metric, mut statuses, mut failures) = (proposals.len(), 0, String::new(), Vec::new(), Vec::new());
        for proposal in proposals {
            match proposal {
                Ok(proposal) => {
                    if replicas == 0 || proposal.replicas > replicas {
                        (replicas, metric) = (proposal.replicas, proposal.name);
                    }
                    statuses.push(proposal.status);
                }
                Err(Trouble::Failed { reason, message, error }) => {
                    plan.warn(self.item, reason, &*message);
                    failures.push((reason, message, error));
                    statuses.push(json!({"type": ""}));
                }
                Err(Trouble::Unknown(_)) => {}
            }
        }
        let statuses = Value::from(statuses);
        match failures.first() {
            Some((reason, message, error)) if failures.len() == all || replicas < current => {
                let message = format!("the HPA was unable to compute the replica count: {message}");
                let error = format!("invalid metrics ({} invalid out of {all}), first error is: {error}", failures.len());
                Err(Undecided::Failed { condition: status::condition("ScalingActive", false, reason, message), statuses, error })
            }
            _ => {
                let message = format!("the HPA was able to successfully calculate a replica count from {metric}");
                Ok(Recommendation { replicas, metric, statuses, condition: status::condition("ScalingActive", true, "ValidMetricFound", message) })
            }
        }
    }

    /// The selector of the target's pods, unless another autoscaler has a say in them.
    fn selector(&self, plan: &mut Plan, text: &str) -> Result<LabelSelector, Undecided> {
        let mut refuse = |reason: &'static str, condition: (&'static str, &str), error: String| {
            plan.warn(self.item, reason, &*error);
            Undecided::Failed { condition: status::condition("ScalingActive", false, condition.0, condition.1), statuses: Value::Null, error }
        };
        if text.is_empty() {
            let condition = ("InvalidSelector", "the HPA target's scale is missing a selector");
            return Err(refuse("SelectorRequired", condition, "selector is required".to_owned()));
        }
        let selector = LabelSelector::parse(text).map_err(|error| {
            let why = format!("couldn't convert selector into a corresponding internal selector object: {}", error.message);
            refuse("InvalidSelector", ("InvalidSelector", &why), why.clone())
        })?;
        let rivals = self.rivals(&selector);
        if rivals.len() > 1 {
            let why = format!("pods by selector {text} are controlled by more than one HPA (e.g. {})", words::keys(rivals.iter()));
            return Err(refuse("AmbiguousSelector", ("AmbiguousSelector", &why), why.clone()));
        }
        Ok(selector)
    }

    /// The autoscalers whose targets have one of the pods that are selected, two of them at most.
    fn rivals(&self, selector: &LabelSelector) -> Vec<Key> {
        let namespace = self.item.namespace();
        let selects = |selector: &LabelSelector, pod: &Item| selector.selects(|key| pod.label(key));
        let others = self.view.in_namespace(&AUTOSCALERS, namespace).filter(|other| other.uid() != self.item.uid());
        let selectors = others.filter_map(|other| {
            let target = target::find(self.view, namespace, &spec(other).scale_target_ref).ok()?;
            let text = target.scaled.selector.filter(|text| !text.is_empty())?;
            Some((other.key(), LabelSelector::parse(&text).ok()?))
        });
        let selectors: Vec<_> = selectors.collect();
        if selectors.is_empty() {
            return Vec::new();
        }
        let mut pods = self.view.in_namespace(&Resource::PODS, namespace).filter(|pod| selects(selector, pod));
        let rival = pods.find_map(|pod| selectors.iter().find(|(_, other)| selects(other, pod)).map(|(key, _)| (*key).clone()));
        rival.map(|rival| vec![self.item.key().clone(), rival]).unwrap_or_default()
    }
}

/// A change that is decided.
struct Change<'a> {
    desired: i64,
    reason: String,
    status: Status<'a>,
}
