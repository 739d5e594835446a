//! The rules by tables, and whole decisions on the engine.
use super::calculate::{self, Goal, Question, Sample, Samples, of_ratio, per_pod};
use super::history::History;
use super::pods::Pod;
use super::spec::{Spec, Tolerances};
use super::{AUTOSCALERS, Autoscalers, limits};
use crate::runtime::{Resource, later};
use crate::testing::{Sim, deployment};
use jiff::{SignedDuration, Timestamp};
use model::Object;
use serde_json::{Value, json};
use state_client::metrics::{MetricAnswer, MetricQuery, MetricValue};
use state_client::usage::{ContainerSample, NodeUsage, PodSample};

const TOLERANCES: Tolerances = Tolerances { down: 0.1, up: 0.1 };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// `r` ready, `u` unready for 10 s, `n` never ready, `p` pending, `f` failed, `d` being deleted, `y` young and ready; each requests a processor.
fn pod(index: usize, state: char) -> Pod {
    let (started, ready, changed) = match state {
        'n' => (0, "False", 5),
        'u' => (0, "False", 990),
        'y' => (900, "True", 910),
        _ => (0, "True", 100),
    };
    let phase = match state {
        'p' => "Pending",
        'f' => "Failed",
        _ => "Running",
    };
    let mut metadata = json!({"name": format!("p{index}")});
    if state == 'd' {
        metadata["deletionTimestamp"] = json!(model::time::format(at(999)));
    }
    let condition = json!({"type": "Ready", "status": ready, "lastTransitionTime": model::time::format(at(changed))});
    let container = json!({"name": "c", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}});
    serde_json::from_value(json!({
        "metadata": metadata, "spec": {"containers": [container]},
        "status": {"phase": phase, "startTime": model::time::format(at(started)), "conditions": [condition]},
    }))
    .unwrap()
}

/// Pods by their states, and thousandths of a processor that each uses; `-1` is not known.
fn wanted(states: &str, used: &[i128], current: i64, goal: &str, cpu: bool) -> Result<(i64, Option<i64>, i128), String> {
    let pods: Vec<Pod> = states.chars().enumerate().map(|(i, state)| pod(i, state)).collect();
    let known = used.iter().enumerate().filter(|(_, value)| **value >= 0);
    let sample = |value| Sample { value, at: at(1000), window: SignedDuration::from_secs(10) };
    let samples: Samples = known.map(|(i, value)| (format!("p{i}"), sample(*value))).collect();
    let request = |pod: &Pod| pod.request("cpu", "");
    let goal = match goal.strip_suffix('%') {
        Some(percent) => Goal::Utilization(percent.parse().unwrap(), &request),
        None => Goal::Average(goal.parse().unwrap()),
    };
    let question = Question { pods: &pods, samples, current, tolerances: TOLERANCES, cpu, now: at(1000) };
    calculate::replicas(question, &goal).map(|count| (count.replicas, count.utilization, count.average))
}

#[test]
fn how_many_replicas_a_metric_asks_for() {
    type Row<'a> = (&'a str, &'a [i128], i64, &'a str, bool, (i64, Option<i64>, i128));
    let rows: [Row<'_>; 20] = [
        // all are ready
        ("rrr", &[300, 500, 700], 3, "30%", true, (5, Some(50), 500)),
        ("rrr", &[300, 500, 700], 3, "100%", true, (2, Some(50), 500)),
        ("rrr", &[1010, 1030, 1020], 3, "100%", true, (3, Some(102), 1020)),
        ("rrr", &[910, 930, 920], 3, "100%", true, (3, Some(92), 920)),
        ("rrr", &[20_000, 10_000, 30_000], 3, "15000", false, (4, None, 20_000)),
        ("rrr", &[12_000, 12_000, 12_000], 3, "20000", false, (2, None, 12_000)),
        // those that aren't ready count as using nothing when more are wanted, and not at all when fewer are
        ("rrrp", &[300, 500, 700, -1], 4, "30%", true, (5, Some(50), 500)),
        ("rrn", &[1000, 1000, 5000], 3, "50%", true, (4, Some(100), 1000)),
        ("rnn", &[400, 500, 700], 3, "30%", true, (3, Some(40), 400)),
        ("rrn", &[100, 100, 9000], 3, "50%", true, (1, Some(10), 100)),
        // one that has been ready before counts, and so does one of another metric
        ("rru", &[1000, 1000, 1000], 3, "50%", true, (6, Some(100), 1000)),
        ("rrn", &[1000, 1000, 1000], 3, "500", false, (6, None, 1000)),
        // failed ones and those that go don't count
        ("rrfd", &[1000, 1000, 9000, 9000], 4, "50%", true, (4, Some(100), 1000)),
        // of one nothing is known: it uses nothing when more are wanted, and all that it requests when fewer are
        ("rrr", &[1000, 1000, -1], 3, "50%", true, (4, Some(100), 1000)),
        ("rrr", &[100, 100, -1], 3, "50%", true, (3, Some(10), 100)),
        ("rrrr", &[100, 100, 100, -1], 4, "50%", true, (3, Some(10), 100)),
        ("rrr", &[100, 100, -1], 3, "150%", true, (2, Some(10), 100)),
        ("rrr", &[10_000, 10_000, -1], 3, "20000", false, (2, None, 10_000)),
        // what is not known never turns the direction
        ("rrrr", &[550, -1, -1, -1], 4, "50%", true, (4, Some(55), 550)),
        ("rrr", &[450, -1, -1], 3, "50%", true, (3, Some(45), 450)),
    ];
    for (states, used, current, goal, cpu, want) in rows {
        assert_eq!(wanted(states, used, current, goal, cpu), Ok(want), "{states} {used:?} {goal}");
    }
    // a young pod counts once it has been ready for as long as it was measured
    assert_eq!(wanted("y", &[1000], 1, "50%", true), Ok((2, Some(100), 1000)));
}

#[test]
fn what_can_not_be_calculated() {
    let unready = "did not receive metrics for targeted pods (pods might be unready)";
    let rows: [(&str, &[i128], &str); 4] =
        [("", &[], "no pods returned by selector while calculating replica count"), ("rr", &[-1, -1], unready), ("n", &[500], unready), ("p", &[500], unready)];
    for (states, used, want) in rows {
        assert_eq!(wanted(states, used, 1, "50%", true), Err(want.to_owned()), "{states}");
    }
    let of = |spec: Value, resource: &str, container: &str| {
        serde_json::from_value::<Pod>(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap().request(resource, container)
    };
    let sidecar = json!({"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}});
    let spec = json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "200m"}}}], "initContainers": [{"name": "i"}, sidecar]});
    assert_eq!((of(spec.clone(), "cpu", ""), of(spec.clone(), "cpu", "s")), (Ok(300), Ok(100)));
    assert_eq!(of(spec.clone(), "memory", ""), Err("missing request for memory in container c of Pod p".to_owned()));
    assert_eq!(of(spec, "cpu", "x"), Err("container x not found in Pod p".to_owned()));
    let whole = json!({"containers": [{"name": "c"}], "resources": {"requests": {"cpu": "2"}}});
    assert_eq!(of(whole.clone(), "cpu", ""), Ok(2000));
    assert_eq!(of(whole, "memory", ""), Err("missing pod-level request for memory in Pod p".to_owned()));
}

#[test]
fn metrics_that_are_one_number_for_all_pods() {
    let ready = [pod(0, 'r'), pod(1, 'r'), pod(2, 'n')];
    assert_eq!(of_ratio(2.0, 3, TOLERANCES, &ready), Ok(4), "those that are ready count");
    assert_eq!(of_ratio(1.05, 3, TOLERANCES, &ready), Ok(3));
    assert_eq!((of_ratio(1.05, 0, TOLERANCES, &[]), of_ratio(0.0, 0, TOLERANCES, &[])), (Ok(2), Ok(0)), "from nothing without tolerance");
    assert_eq!(of_ratio(1e300, 1, TOLERANCES, &ready), Ok(i32::MAX.into()));
    assert!(of_ratio(2.0, 3, TOLERANCES, &[]).is_err());
    for (usage, target, replicas, want) in [(8600, 2150, 3, (4, 2867)), (8600, 2867, 3, (3, 2867)), (8600, 2150, 0, (4, 8600)), (0, 10, 3, (0, 0))] {
        assert_eq!(per_pod(usage, target, replicas, TOLERANCES), want, "{usage} {target} {replicas}");
    }
}

/// A run of recommendations, each after so many seconds; `want` are the replicas that there are then. What is decided is done.
fn run(spec: &Value, mut current: i64, steps: &[(i64, i64, i64, &str)]) {
    let spec: Spec = serde_json::from_value(spec.clone()).unwrap();
    let (mut history, mut now) = (History::default(), 1_000_000);
    history.begin(current, at(now));
    for (wait, desired, want, reason) in steps {
        now += wait;
        let (got, conditions) = limits::limit(&spec, &mut history, current, *desired, at(now));
        let said: Vec<&str> = conditions.iter().map(|c| c["reason"].as_str().unwrap()).collect();
        assert_eq!((got, said.join(" ")), (*want, (*reason).to_owned()), "after {} s", now - 1_000_000);
        if got != current
            && let Some(behavior) = &spec.behavior
        {
            history.scaled(current, got, (&behavior.up(), &behavior.down()), at(now));
        }
        current = got;
    }
}

#[test]
fn without_behaviour_the_highest_of_five_minutes_counts() {
    let spec = json!({"minReplicas": 2, "maxReplicas": 20});
    run(
        &spec,
        2,
        &[
            (15, 2, 2, "ReadyForNewScale DesiredWithinRange"),
            (15, 9, 4, "ReadyForNewScale ScaleUpLimit"),
            (15, 9, 8, "ReadyForNewScale ScaleUpLimit"),
            (15, 30, 16, "ReadyForNewScale ScaleUpLimit"),
            (15, 30, 20, "ReadyForNewScale TooManyReplicas"),
            (15, 1, 20, "ScaleDownStabilized TooManyReplicas"),
            (284, 1, 20, "ScaleDownStabilized TooManyReplicas"),
            (2, 1, 2, "ReadyForNewScale TooFewReplicas"),
        ],
    );
}

#[test]
fn behaviours_limit_and_hold() {
    let policy = |kind: &str, value: i64, period: i64| json!({"type": kind, "value": value, "periodSeconds": period});
    let up = |rules: Value| json!({"minReplicas": 1, "maxReplicas": 100, "behavior": {"scaleUp": rules, "scaleDown": {"stabilizationWindowSeconds": 0}}});
    let both = json!([policy("Pods", 4, 60), policy("Percent", 50, 60)]);
    run(
        &up(json!({"policies": both.clone()})),
        10,
        &[(15, 50, 15, "ReadyForNewScale ScaleUpLimit"), (15, 50, 15, "ReadyForNewScale ScaleUpLimit"), (46, 50, 23, "ReadyForNewScale ScaleUpLimit")],
    );
    run(
        &up(json!({"policies": both, "selectPolicy": "Min"})),
        10,
        &[(15, 50, 14, "ReadyForNewScale ScaleUpLimit"), (15, 50, 14, "ReadyForNewScale ScaleUpLimit")],
    );
    run(&up(json!({"selectPolicy": "Disabled"})), 10, &[(15, 50, 10, "ReadyForNewScale ScaleUpLimit"), (15, 5, 5, "ReadyForNewScale DesiredWithinRange")]);
    run(
        &up(json!({"stabilizationWindowSeconds": 60, "policies": [policy("Pods", 100, 15)]})),
        3,
        &[
            (15, 9, 3, "ScaleUpStabilized DesiredWithinRange"),
            (30, 7, 3, "ScaleUpStabilized DesiredWithinRange"),
            (30, 8, 7, "ScaleUpStabilized DesiredWithinRange"),
        ],
    );
    let down = |rules: Value| json!({"minReplicas": 1, "maxReplicas": 100, "behavior": {"scaleDown": rules}});
    run(
        &down(json!({"stabilizationWindowSeconds": 0, "policies": [policy("Pods", 4, 60), policy("Percent", 10, 60)]})),
        20,
        &[(15, 1, 16, "ReadyForNewScale ScaleDownLimit"), (15, 1, 16, "ReadyForNewScale ScaleDownLimit"), (46, 1, 12, "ReadyForNewScale ScaleDownLimit")],
    );
    run(
        &down(json!({"stabilizationWindowSeconds": 0, "policies": [policy("Pods", 4, 60), policy("Percent", 10, 60)], "selectPolicy": "Min"})),
        20,
        &[(15, 1, 18, "ReadyForNewScale ScaleDownLimit")],
    );
    // a window that isn't said is five minutes
    run(&down(json!({"selectPolicy": "Max"})), 5, &[(15, 5, 5, "ReadyForNewScale DesiredWithinRange"), (290, 1, 5, "ScaleDownStabilized DesiredWithinRange")]);
    run(&down(json!({"selectPolicy": "Disabled", "stabilizationWindowSeconds": 0})), 5, &[(15, 1, 5, "ReadyForNewScale ScaleDownLimit")]);
}

#[test]
fn tolerances_of_each_direction() {
    let spec: Spec = serde_json::from_value(json!({"behavior": {"scaleUp": {"tolerance": "500m"}, "scaleDown": {}}})).unwrap();
    let tolerances = spec.tolerances();
    assert!(tolerances.within(1.5) && !tolerances.within(1.51) && tolerances.within(0.9) && !tolerances.within(0.89));
}

fn scaler(metrics: Value, more: Value) -> Value {
    let mut spec = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 10, "metrics": metrics,
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h", "namespace": "a"}, "spec": spec})
}

fn cpu(percent: i64) -> Value {
    json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}}])
}

fn external(target: Value) -> Value {
    json!([{"type": "External", "external": {"metric": {"name": "queue", "selector": {"matchLabels": {"q": "x"}}}, "target": target}}])
}

/// A Deployment with so many pods, each of which requests a processor, and an autoscaler of it.
struct Scene {
    sim: Sim,
    /// Nanoseconds that each pod has used.
    used: u64,
}

impl Scene {
    fn new(replicas: i64, scaler: Value) -> Self {
        let mut sim = Sim::new(vec![Box::new(Autoscalers)]);
        sim.create(deployment("web", replicas, "i"));
        sim.create(scaler);
        let mut scene = Self { sim, used: 0 };
        scene.pods(replicas);
        scene
    }

    /// Makes pods until there are so many, or takes some away.
    fn pods(&mut self, n: i64) {
        let there = i64::try_from(self.sim.names(&Resource::PODS).len()).unwrap();
        (n..there).for_each(|i| self.sim.world.forget(&Resource::PODS.key("a", &format!("p{i}"))));
        for i in there..n {
            let container = json!({"name": "c", "resources": {"requests": {"cpu": "1"}}});
            let labels = json!({"app": "web"});
            self.sim.create(json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("p{i}"), "namespace": "a", "labels": labels},
                "spec": {"nodeName": "n1", "containers": [container]},
            }));
            let long_ago = model::time::format(later(self.sim.now, SignedDuration::from_secs(-3600)));
            let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": long_ago});
            let status = json!({"status": {"phase": "Running", "startTime": long_ago, "conditions": [ready]}});
            self.sim.patch(&Resource::PODS, &format!("p{i}"), "status", status);
        }
        self.sim.patch(&Resource::DEPLOYMENTS, "web", "status", json!({"status": {"replicas": n}}));
        self.sim.settle();
    }

    /// Lets time pass in which each pod uses so many thousandths of a processor, and has their node say so.
    fn pass(&mut self, seconds: u32, milli: u64) {
        self.used += milli * u64::from(seconds) * 1_000_000;
        self.sim.now = later(self.sim.now, SignedDuration::from_secs(seconds.into()));
        self.sim.world.now = self.sim.now;
        let pods = self.sim.all(&Resource::PODS);
        let sample = |pod: &std::sync::Arc<model::Stored>| PodSample {
            namespace: "a".to_owned(),
            name: pod.key.name.to_string(),
            uid: pod.uid(),
            containers: vec![ContainerSample { name: "c".to_owned(), run: "1".to_owned(), started: at(0), cpu_nanos: self.used, memory: 1 << 20 }],
        };
        let said = NodeUsage { at: self.sim.now, cpu_nanos: self.used, memory: 0, pods: pods.iter().map(sample).collect() };
        self.sim.engine.used("n1", said, self.sim.now);
        self.sim.settle();
    }

    /// Answers what is asked, and lets all settle.
    fn answer(&mut self, answer: &MetricAnswer) -> Vec<MetricQuery> {
        let mut asked = Vec::new();
        while let Some(question) = self.sim.engine.question() {
            asked.push(question.clone());
            self.sim.engine.answered(question, answer.clone(), self.sim.now);
            self.sim.settle();
        }
        asked
    }

    fn replicas(&self) -> i64 {
        self.sim.get(&Resource::DEPLOYMENTS, "web").unwrap().int_at(&["spec", "replicas"]).unwrap()
    }

    fn status(&self) -> Object {
        self.sim.get(&AUTOSCALERS, "h").unwrap()
    }

    fn conditions(&self) -> Vec<String> {
        let all = self.status();
        let said = |c: &Value| format!("{}={} {}", c["type"].as_str().unwrap(), c["status"].as_str().unwrap(), c["reason"].as_str().unwrap());
        all.list_at(&["status", "conditions"]).iter().map(said).collect()
    }

    fn message(&self, r#type: &str) -> String {
        let all = self.status();
        let conditions = all.list_at(&["status", "conditions"]);
        conditions.iter().find(|c| c["type"] == r#type).and_then(|c| c["message"].as_str()).unwrap_or_default().to_owned()
    }
}

#[test]
fn load_comes_and_goes() {
    let mut scene = Scene::new(2, scaler(cpu(50), json!({})));
    let told =
        "h FailedGetResourceMetric: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API";
    assert!(scene.sim.events.contains(&told.to_owned()), "{:?}", scene.sim.events);
    assert_eq!(scene.conditions(), ["AbleToScale=True SucceededGetScale", "ScalingActive=False FailedGetResourceMetric"]);
    scene.sim.events.clear();
    scene.pass(10, 1000);
    scene.pass(10, 1000);
    // at once, not with the next period
    assert_eq!(scene.replicas(), 4);
    let reason = "h SuccessfulRescale: New size: 4; reason: cpu resource utilization (percentage of request) above target";
    assert!(scene.sim.events.contains(&reason.to_owned()), "{:?}", scene.sim.events);
    let status = scene.status();
    assert_eq!((status.int_at(&["status", "currentReplicas"]), status.int_at(&["status", "desiredReplicas"])), (Some(2), Some(4)));
    assert_eq!(
        status.at(&["status", "currentMetrics"]),
        Some(&json!([
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 100, "averageValue": "1"}}}
        ]))
    );
    assert_eq!(status.str_at(&["status", "lastScaleTime"]), model::time::format(scene.sim.now));
    assert_eq!(
        scene.conditions(),
        [
            "AbleToScale=True SucceededRescale",
            "ScalingActive=True ValidMetricFound",
            "ScalingLimited=False DesiredWithinRange",
            "ScaledToZero=False NotScaledToZero"
        ]
    );
    scene.pods(4);
    // the load is gone: for five minutes nothing happens
    (0..29).for_each(|_| scene.pass(10, 10));
    assert_eq!(scene.replicas(), 4);
    assert_eq!(scene.conditions()[0], "AbleToScale=True ScaleDownStabilized");
    (0..4).for_each(|_| scene.pass(10, 10));
    assert_eq!(scene.replicas(), 1);
    assert!(scene.sim.events.contains(&"h SuccessfulRescale: New size: 1; reason: All metrics below target".to_owned()), "{:?}", scene.sim.events);
}

#[test]
fn bounds_count_without_metrics_and_a_target_at_zero_is_left_alone() {
    let mut scene = Scene::new(12, scaler(cpu(50), json!({})));
    assert_eq!(scene.replicas(), 10);
    scene.sim.patch(&Resource::DEPLOYMENTS, "web", "", json!({"spec": {"replicas": 0}}));
    scene.sim.pass(16);
    assert_eq!((scene.replicas(), scene.message("ScalingActive")), (0, "scaling is disabled since the replica count of the target is zero".to_owned()));
    scene.sim.patch(&Resource::DEPLOYMENTS, "web", "", json!({"spec": {"replicas": 1}}));
    scene.sim.patch(&AUTOSCALERS, "h", "", json!({"spec": {"minReplicas": 3}}));
    scene.sim.pass(16);
    assert_eq!(scene.replicas(), 3);
    assert!(scene.sim.events.iter().any(|e| e.contains("New size: 3; reason: Current number of replicas below Spec.MinReplicas")), "{:?}", scene.sim.events);
}

#[test]
fn an_external_metric_scales_to_nothing_and_back() {
    let value = |value: &str| Ok(vec![MetricValue { of: String::new(), value: value.to_owned(), at: at(0) }]);
    let mut scene = Scene::new(1, scaler(external(json!({"type": "AverageValue", "averageValue": "10"})), json!({"minReplicas": 0})));
    let asked = scene.answer(&value("35"));
    let question = MetricQuery::External { namespace: "a".to_owned(), metric: "queue".to_owned(), metric_selector: "q=x".to_owned() };
    assert_eq!((asked, scene.replicas()), (vec![question], 4));
    scene.pods(4);
    for _ in 0..21 {
        scene.sim.pass(16);
        scene.answer(&value("0"));
    }
    assert_eq!(scene.replicas(), 0);
    assert_eq!(scene.message("ScaledToZero"), "the HPA controller scaled the workload to zero");
    scene.pods(0);
    scene.sim.pass(16);
    scene.answer(&value("11"));
    assert_eq!(scene.replicas(), 2);
    let reason =
        "reason: external metric queue(&LabelSelector{MatchLabels:map[string]string{q: x,},MatchExpressions:[]LabelSelectorRequirement{},}) above target";
    assert!(scene.sim.events.iter().any(|e| e.ends_with(&format!("New size: 2; {reason}"))), "{:?}", scene.sim.events);
    assert_eq!(scene.conditions().last().unwrap(), "ScaledToZero=False NotScaledToZero");
}

#[test]
fn metrics_of_pods_and_of_objects() {
    let average = json!({"type": "AverageValue", "averageValue": "100"});
    let pods = json!({"type": "Pods", "pods": {"metric": {"name": "hits"}, "target": average}});
    let described = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "main"});
    let object = json!({"type": "Object", "object": {"metric": {"name": "rps"}, "describedObject": described, "target": {"type": "Value", "value": "1"}}});
    let mut scene = Scene::new(2, scaler(json!([pods, object]), json!({})));
    let values = |of: &[&str]| Ok(of.iter().map(|of| MetricValue { of: (*of).to_owned(), value: "300".to_owned(), at: at(0) }).collect());
    let asked = scene.answer(&values(&["p0", "p1"]));
    assert!(matches!(asked.as_slice(), [MetricQuery::Pods { selector, .. }, MetricQuery::Object { kind, .. }] if selector == "app=web" && kind == "Ingress"));
    // 2 pods of 300 each ask for 6; the object's 300 for 600, of which 4 may come at once
    assert_eq!(scene.replicas(), 4);
    let status = scene.status();
    let metrics = status.list_at(&["status", "currentMetrics"]);
    assert_eq!(metrics[0]["pods"]["current"]["averageValue"], "300");
    assert_eq!((&metrics[1]["object"]["current"]["value"], &metrics[1]["object"]["describedObject"]["name"]), (&json!("300"), &json!("main")));
}

#[test]
fn metrics_that_nobody_has() {
    let mut scene = Scene::new(2, scaler(external(json!({"type": "Value", "value": "10"})), json!({})));
    let question = scene.sim.engine.question().unwrap();
    let answer = Err(model::ApiError::new(model::Reason::NotFound, question.unserved()));
    scene.sim.engine.answered(question, answer, scene.sim.now);
    scene.sim.settle();
    let selector = "&LabelSelector{MatchLabels:map[string]string{q: x,},MatchExpressions:[]LabelSelectorRequirement{},}";
    let why = format!(
        "unable to get external metric a/queue/{selector}: unable to fetch metrics from external metrics API: the server could not find the requested resource (get queue.external.metrics.k8s.io)"
    );
    assert_eq!(scene.conditions(), ["AbleToScale=True SucceededGetScale", "ScalingActive=False FailedGetExternalMetric"]);
    assert_eq!(scene.message("ScalingActive"), format!("the HPA was unable to compute the replica count: {why}"));
    let all =
        format!("invalid metrics (1 invalid out of 1), first error is: failed to get queue external metric value: failed to get external metric queue: {why}");
    let told = [format!("h FailedGetExternalMetric: {why}"), format!("h FailedComputeMetricsReplicas: {all}")];
    assert!(told.iter().all(|told| scene.sim.events.contains(told)), "{:?}", scene.sim.events);
    assert_eq!(scene.status().at(&["status", "currentMetrics"]), Some(&json!([{"type": ""}])));
    assert_eq!(scene.replicas(), 2);
}

#[test]
fn one_metric_is_enough_for_more_replicas_and_not_for_fewer() {
    let mut metrics = cpu(50).as_array().unwrap().clone();
    metrics.extend(external(json!({"type": "Value", "value": "10"})).as_array().unwrap().clone());
    let failed: MetricAnswer = Err(model::ApiError::unavailable("none"));
    for (milli, want) in [(1000, 4), (10, 2)] {
        let mut scene = Scene::new(2, scaler(json!(metrics), json!({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}})));
        for _ in 0..3 {
            scene.answer(&failed);
            scene.pass(11, milli);
        }
        scene.answer(&failed);
        assert_eq!(scene.replicas(), want, "{milli}");
    }
}

#[test]
fn targets_that_are_not_there_or_are_anothers_too() {
    let mut scene = Scene::new(2, scaler(cpu(50), json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}})));
    assert_eq!(scene.message("AbleToScale"), "the HPA controller was unable to get the target's current scale: deployments.apps \"x\" not found");
    assert!(scene.sim.events.contains(&"h FailedGetScale: deployments.apps \"x\" not found".to_owned()), "{:?}", scene.sim.events);
    for (reference, want) in [
        (json!({"apiVersion": "x.io/v1", "kind": "Whale", "name": "w"}), "no matches for kind \"Whale\" in group \"x.io\""),
        (json!({"apiVersion": "v1", "kind": "Pod", "name": "p0"}), "the server could not find the requested resource"),
    ] {
        scene.sim.patch(&AUTOSCALERS, "h", "", json!({"spec": {"scaleTargetRef": reference}}));
        scene.sim.pass(2);
        assert!(scene.message("AbleToScale").ends_with(want), "{}", scene.message("AbleToScale"));
    }
    let mut scene = Scene::new(2, scaler(cpu(50), json!({})));
    let mut other = scaler(cpu(50), json!({}));
    other["metadata"]["name"] = json!("i");
    scene.sim.create(other);
    scene.sim.pass(16);
    let why = "pods by selector app=web are controlled by more than one HPA (e.g. [{h a} {i a}])";
    assert_eq!((scene.conditions()[1].as_str(), scene.message("ScalingActive").as_str()), ("ScalingActive=False AmbiguousSelector", why));
}

#[test]
fn a_target_that_can_not_be_changed() {
    let mut scene = Scene::new(12, scaler(cpu(50), json!({"maxReplicas": 12})));
    scene.sim.world.refuse_patches = Some(("deployments", model::ApiError::internal("no")));
    scene.sim.patch(&AUTOSCALERS, "h", "", json!({"spec": {"maxReplicas": 10}}));
    scene.sim.pass(2);
    scene.sim.pass(2);
    assert_eq!(
        (scene.replicas(), scene.message("AbleToScale").as_str()),
        (12, "the HPA controller was unable to update the target scale: Internal error occurred: no")
    );
    let told = "h FailedRescale: New size: 10; reason: Current number of replicas above Spec.MaxReplicas; error: Internal error occurred: no".to_owned();
    assert!(scene.sim.events.contains(&told), "{:?}", scene.sim.events);
    scene.sim.world.refuse_patches = None;
    scene.sim.pass(16);
    assert_eq!(scene.replicas(), 10);
}

#[test]
fn what_is_remembered_is_little() {
    let mut history = History::default();
    for second in 0..10_000 {
        history.recommend(second / 100, 300, at(second));
    }
    assert!(history.recommendations.len() <= 5, "{}", history.recommendations.len());
    assert_eq!(History::read(Some(&history.write())), history);
}
