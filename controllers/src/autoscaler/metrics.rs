//! What each metric of an autoscaler asks for, in the order of Kubernetes' five types.
use super::calculate::{self, Count, Goal, Question, Sample, Samples, divide, of_ratio, per_pod};
use super::pods::Pod;
use super::spec::Tolerances;
use super::words;
use crate::runtime::View;
use jiff::{SignedDuration, Timestamp};
use model::quantity::Quantity;
use model::scale::Scaled;
use model::selector::LabelSelector;
use serde_json::{Value, json};
use state_client::metrics::{MetricQuery, MetricValue};

/// An answer that is older than this is asked for again.
const FRESH: SignedDuration = SignedDuration::from_secs(10);

/// What metrics are judged by.
pub(super) struct Scene<'a> {
    pub(super) view: &'a View,
    pub(super) namespace: &'a str,
    pub(super) scaled: &'a Scaled,
    /// The target's selector as text.
    pub(super) selector: &'a str,
    /// The pods that it selects.
    pub(super) pods: &'a [Pod],
    pub(super) tolerances: Tolerances,
    pub(super) now: Timestamp,
}

/// What a metric asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Proposal {
    pub(super) replicas: i64,
    /// As the reason for a change names it.
    pub(super) name: String,
    /// What the status says of it.
    pub(super) status: Value,
}

/// Why a metric asks for nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    /// It has to be asked for first.
    Unknown(Box<MetricQuery>),
    /// It can't be had.
    Failed {
        /// Of the condition and the event.
        reason: &'static str,
        /// What the event says.
        message: String,
        /// The same as Kubernetes says it of the whole.
        error: String,
    },
}

/// What a metric of one type asks for, or why it doesn't.
type Failing = Result<Proposal, Broken>;

/// An error on its way up, before it is said which type of metric has it.
enum Broken {
    Unknown(Box<MetricQuery>),
    /// What the event says, and what Kubernetes says of the whole beside its prefix.
    Failed(String, String),
}

impl Broken {
    fn plain(message: String) -> Self {
        Self::Failed(message.clone(), message)
    }
}

impl From<String> for Broken {
    fn from(message: String) -> Self {
        Self::plain(message)
    }
}

/// What one metric of the spec asks for.
///
/// # Errors
/// [`Trouble`].
pub(super) fn propose(scene: &Scene<'_>, metric: &Value) -> Result<Proposal, Trouble> {
    let text = |pointer: &str| metric.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (proposed, reason, prefix) = match text("/type") {
        "Object" => (object(scene, &metric["object"]), "FailedGetObjectMetric", "failed to get object metric value".to_owned()),
        "Pods" => (pods(scene, &metric["pods"]), "FailedGetPodsMetric", "failed to get pods metric value".to_owned()),
        "Resource" => {
            let prefix = format!("failed to get {} resource metric value", text("/resource/name"));
            (resource(scene, &metric["resource"], ""), "FailedGetResourceMetric", prefix)
        }
        "ContainerResource" => {
            let container = text("/containerResource/container");
            let prefix = format!("failed to get {container} container metric value");
            (resource(scene, &metric["containerResource"], container), "FailedGetContainerResourceMetric", prefix)
        }
        "External" => {
            let prefix = format!("failed to get {} external metric value", text("/external/metric/name"));
            (external(scene, &metric["external"]), "FailedGetExternalMetric", prefix)
        }
        other => {
            let message = format!("unknown metric source type {other:?}");
            return Err(Trouble::Failed { reason: "InvalidMetricSourceType", error: message.clone(), message });
        }
    };
    proposed.map_err(|broken| match broken {
        Broken::Unknown(question) => Trouble::Unknown(question),
        Broken::Failed(message, error) => Trouble::Failed { reason, message, error: format!("{prefix}: {error}") },
    })
}

/// A target's amount, in thousandths.
fn amount(target: &Value, field: &str) -> Option<i128> {
    target.get(field).and_then(|amount| Quantity::from_json(amount).ok()).map(|quantity| quantity.milli())
}

/// Thousandths as a status shows them: memory in binary, where nothing is lost by it.
fn shown(milli: i128, resource: &str) -> String {
    if resource == "memory" && milli % 1000 == 0 { Quantity::from_bytes(milli / 1000).to_string() } else { Quantity::from_milli(milli).to_string() }
}

/// A metric of what nodes say that pods use, of all their containers or of one.
fn resource(scene: &Scene<'_>, source: &Value, container: &str) -> Failing {
    let (name, target) = (source["name"].as_str().unwrap_or_default(), &source["target"]);
    let count = |goal: &Goal<'_>| -> Result<Count, String> {
        let samples = usage(scene, name, container).map_err(|why| format!("unable to get metrics for resource {name}: {why}"))?;
        calculate::replicas(question(scene, samples, name == "cpu"), goal)
    };
    let (count, what) = if let Some(average) = amount(target, "averageValue") {
        let count = count(&Goal::Average(average)).map_err(|why| format!("failed to get {name} usage: {why}"))?;
        (count, format!("{name} resource"))
    } else if let Some(percent) = target["averageUtilization"].as_i64() {
        let request = |pod: &Pod| pod.request(name, container);
        let count = count(&Goal::Utilization(percent, &request)).map_err(|why| format!("failed to get {name} utilization: {why}"))?;
        let of = if container.is_empty() { "resource" } else { "container resource" };
        (count, format!("{name} {of} utilization (percentage of request)"))
    } else {
        return Err("invalid resource metric source: neither an average utilization target nor an average value (usage) target was set".to_owned().into());
    };
    let mut current = json!({"averageValue": shown(count.average, name)});
    if let Some(utilization) = count.utilization {
        current["averageUtilization"] = json!(utilization);
    }
    let status = if container.is_empty() {
        json!({"type": "Resource", "resource": {"name": name, "current": current}})
    } else {
        json!({"type": "ContainerResource", "containerResource": {"name": name, "container": container, "current": current}})
    };
    Ok(Proposal { replicas: count.replicas, name: what, status })
}

fn question<'a>(scene: &Scene<'a>, samples: Samples, cpu: bool) -> Question<'a> {
    Question { pods: scene.pods, samples, current: scene.scaled.desired, tolerances: scene.tolerances, cpu, now: scene.now }
}

/// What pods use of a resource.
fn usage(scene: &Scene<'_>, resource: &str, container: &str) -> Result<Samples, &'static str> {
    let (mut samples, mut any) = (Samples::new(), false);
    for pod in scene.pods {
        let Some(measured) = scene.view.outside().usage.pod(pod.node(), (scene.namespace, pod.name()), pod.uid(), scene.now) else { continue };
        any = true;
        let used = measured.usage.iter().filter(|(name, _)| container.is_empty() || name == container);
        let milli = used.map(|(_, usage)| match resource {
            "cpu" => Some(Quantity::from_nanos(usage.cpu_nanos.into()).milli()),
            "memory" => Some(i128::from(usage.memory) * 1000),
            _ => None,
        });
        let milli: Option<Vec<i128>> = milli.collect();
        if let Some(milli) = milli.filter(|milli| !milli.is_empty()) {
            samples.insert(pod.name().to_owned(), Sample { value: milli.iter().sum(), at: measured.at, window: measured.window });
        }
    }
    if any { Ok(samples) } else { Err("no metrics returned from resource metrics API") }
}

/// What a source of metrics answered; whatever it is, it is at most as old as it may be.
fn asked<'a>(scene: &Scene<'a>, question: MetricQuery, api: &str) -> Result<&'a [MetricValue], Asked> {
    let since = crate::runtime::later(scene.now, -FRESH);
    let Some(answer) = scene.view.outside().answer(&question, since) else { return Err(Asked::Not(Box::new(question))) };
    match answer {
        Err(error) => Err(Asked::Failed(format!("unable to fetch metrics from {api} metrics API: {}", error.message))),
        Ok(values) if values.is_empty() => Err(Asked::Failed(format!("no metrics returned from {api} metrics API"))),
        Ok(values) => Ok(values),
    }
}

/// Why there is no answer.
enum Asked {
    Not(Box<MetricQuery>),
    Failed(String),
}

impl Asked {
    /// With words around the error.
    fn of(self, wrap: impl FnOnce(String) -> Broken) -> Broken {
        match self {
            Self::Not(question) => Broken::Unknown(question),
            Self::Failed(why) => wrap(why),
        }
    }
}

fn milli(value: &MetricValue) -> Result<i128, String> {
    value.value.parse::<Quantity>().map(|quantity| quantity.milli()).map_err(|error| format!("{:?}: {error}", value.value))
}

/// A metric's name, its selector as the spec has it, and that as text.
fn identity(source: &Value) -> Result<(&str, &Value, String), String> {
    let (name, selector) = (source["metric"]["name"].as_str().unwrap_or_default(), &source["metric"]["selector"]);
    if selector.is_null() {
        return Ok((name, selector, String::new()));
    }
    let parsed = LabelSelector::from_json(selector).map_err(|error| error.message)?;
    Ok((name, selector, parsed.to_string()))
}

fn metric_status(name: &str, selector: &Value) -> Value {
    if selector.is_null() { json!({"name": name}) } else { json!({"name": name, "selector": selector}) }
}

/// A metric that each pod has.
fn pods(scene: &Scene<'_>, source: &Value) -> Failing {
    let (name, selector, metric_selector) = identity(source)?;
    let target = amount(&source["target"], "averageValue").unwrap_or_default();
    let question = MetricQuery::Pods { namespace: scene.namespace.to_owned(), selector: scene.selector.to_owned(), metric: name.to_owned(), metric_selector };
    let wrap = |why: String| Broken::from(format!("unable to get metric {name}: {why}"));
    let mut samples = Samples::new();
    for value in asked(scene, question, "custom").map_err(|not| not.of(wrap))? {
        samples.insert(value.of.clone(), Sample { value: milli(value).map_err(wrap)?, at: value.at, window: SignedDuration::from_secs(60) });
    }
    let count = calculate::replicas(self::question(scene, samples, false), &Goal::Average(target))?;
    let current = json!({"averageValue": shown(count.average, "")});
    let status = json!({"type": "Pods", "pods": {"metric": metric_status(name, selector), "current": current}});
    Ok(Proposal { replicas: count.replicas, name: format!("pods metric {name}"), status })
}

/// A metric of one object.
fn object(scene: &Scene<'_>, source: &Value) -> Failing {
    let (name, selector, metric_selector) = identity(source)?;
    let (of, target) = (&source["describedObject"], &source["target"]);
    let text = |field: &str| of[field].as_str().unwrap_or_default().to_owned();
    let (kind, object) = (text("kind"), text("name"));
    let question = MetricQuery::Object {
        namespace: scene.namespace.to_owned(),
        api_version: text("apiVersion"),
        kind: kind.clone(),
        name: object.clone(),
        metric: name.to_owned(),
        metric_selector,
    };
    let wrap = |why: String| format!("unable to get metric {name} on {kind} {}/{object}: {why}", scene.namespace);
    let usage = |around: &dyn Fn(String) -> Broken| -> Result<i128, Broken> {
        let values = asked(scene, question, "custom").map_err(|not| not.of(|why| around(wrap(why))))?;
        values.first().map_or(Ok(0), milli).map_err(|why| around(wrap(why)))
    };
    let (replicas, current, named) = match (target["type"].as_str(), amount(target, "value"), amount(target, "averageValue")) {
        (Some("Value"), Some(value), _) => {
            let used = usage(&Broken::plain)?;
            let replicas = of_ratio(divide(used, value), scene.scaled.desired, scene.tolerances, scene.pods)?;
            (replicas, json!({"value": shown(used, "")}), format!("{kind} metric {name}"))
        }
        (Some("AverageValue"), _, Some(average)) => {
            let used = usage(&|why| Broken::Failed(why.clone(), format!("failed to get {name} object metric: {why}")))?;
            let (replicas, each) = per_pod(used, average, scene.scaled.current, scene.tolerances);
            (replicas, json!({"averageValue": shown(each, "")}), format!("external metric {name}({})", words::selector(selector)))
        }
        _ => return Err("invalid object metric source: neither a value target nor an average value target was set".to_owned().into()),
    };
    let status = json!({"type": "Object", "object": {"metric": metric_status(name, selector), "describedObject": of, "current": current}});
    Ok(Proposal { replicas, name: named, status })
}

/// A metric of nothing in the cluster.
fn external(scene: &Scene<'_>, source: &Value) -> Failing {
    let (name, selector, metric_selector) = identity(source)?;
    let target = &source["target"];
    let question = MetricQuery::External { namespace: scene.namespace.to_owned(), metric: name.to_owned(), metric_selector };
    let said = words::selector(selector);
    let wrap = |why: String| format!("unable to get external metric {}/{name}/{said}: {why}", scene.namespace);
    let usage = |around: &dyn Fn(String) -> Broken| -> Result<i128, Broken> {
        let values = asked(scene, question, "external").map_err(|not| not.of(|why| around(wrap(why))))?;
        values.iter().map(milli).sum::<Result<i128, String>>().map_err(|why| around(wrap(why)))
    };
    let (replicas, current) = if let Some(average) = amount(target, "averageValue") {
        let used = usage(&|why| Broken::Failed(why.clone(), format!("failed to get {name} external metric: {why}")))?;
        let (replicas, each) = per_pod(used, average, scene.scaled.current, scene.tolerances);
        (replicas, json!({"averageValue": shown(each, "")}))
    } else if let Some(value) = amount(target, "value") {
        let used = usage(&|why| Broken::Failed(why.clone(), format!("failed to get external metric {name}: {why}")))?;
        let replicas = of_ratio(divide(used, value), scene.scaled.desired, scene.tolerances, scene.pods);
        let around = |why: String| Broken::Failed(why.clone(), format!("failed to get external metric {name}: {why}"));
        (replicas.map_err(around)?, json!({"value": shown(used, "")}))
    } else {
        return Err("invalid external metric source: neither a value target nor an average value target was set".to_owned().into());
    };
    let status = json!({"type": "External", "external": {"metric": metric_status(name, selector), "current": current}});
    Ok(Proposal { replicas, name: format!("external metric {name}({said})"), status })
}
