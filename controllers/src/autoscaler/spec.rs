//! What an autoscaler is told, with what Kubernetes takes where nothing is said.
use model::quantity::Quantity;
use serde::Deserialize;
use serde_json::Value;

/// How long the highest recommendation stands against lower ones where nothing is said.
pub(super) const DOWN_WINDOW: i64 = 300;
/// By how much a metric may differ from its target where nothing is said.
const TOLERANCE: f64 = 0.1;

/// `spec` of an autoscaler.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) scale_target_ref: TargetRef,
    pub(super) min_replicas: Option<i64>,
    pub(super) max_replicas: i64,
    pub(super) metrics: Vec<Value>,
    pub(super) behavior: Option<Behavior>,
}

/// What is scaled.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TargetRef {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
}

/// How fast it is scaled.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Behavior {
    pub(super) scale_up: Option<Rules>,
    pub(super) scale_down: Option<Rules>,
}

/// The rules of one direction.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Rules {
    pub(super) stabilization_window_seconds: Option<i64>,
    pub(super) select_policy: Option<String>,
    pub(super) policies: Vec<Policy>,
    pub(super) tolerance: Option<Value>,
}

/// How many replicas may come or go in a time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Policy {
    pub(super) r#type: String,
    pub(super) value: i64,
    pub(super) period_seconds: i64,
}

impl Policy {
    fn new(r#type: &str, value: i64) -> Self {
        Self { r#type: r#type.to_owned(), value, period_seconds: 15 }
    }
}

impl Spec {
    pub(super) fn min(&self) -> i64 {
        self.min_replicas.unwrap_or(1)
    }

    /// Whether a metric isn't the pods' own, so that it is there without pods.
    pub(super) fn reaches_zero(&self) -> bool {
        self.metrics.iter().any(|metric| metric["type"] == "Object" || metric["type"] == "External")
    }

    /// Whether a metric is of what nodes say that pods use.
    pub(super) fn goes_by_usage(&self) -> bool {
        self.metrics.iter().any(|metric| metric["type"] == "Resource" || metric["type"] == "ContainerResource")
    }

    /// By how much a metric may be below and above its target.
    pub(super) fn tolerances(&self) -> Tolerances {
        let of = |rules: Option<&Option<Rules>>| {
            let written = rules.and_then(Option::as_ref).and_then(|rules| rules.tolerance.as_ref());
            let number = written.and_then(|written| Quantity::from_json(written).ok()).map(|quantity| quantity.milli() as f64 / 1000.0);
            number.unwrap_or(TOLERANCE)
        };
        let behavior = self.behavior.as_ref();
        Tolerances { down: of(behavior.map(|b| &b.scale_down)), up: of(behavior.map(|b| &b.scale_up)) }
    }
}

impl Behavior {
    /// The rules for more replicas.
    pub(super) fn up(&self) -> Rules {
        let mut rules = self.scale_up.clone().unwrap_or_default();
        if rules.policies.is_empty() {
            rules.policies = vec![Policy::new("Pods", 4), Policy::new("Percent", 100)];
        }
        rules.stabilization_window_seconds.get_or_insert(0);
        rules
    }

    /// The rules for fewer.
    pub(super) fn down(&self) -> Rules {
        let mut rules = self.scale_down.clone().unwrap_or_default();
        if rules.policies.is_empty() {
            rules.policies = vec![Policy::new("Percent", 100)];
        }
        rules.stabilization_window_seconds.get_or_insert(DOWN_WINDOW);
        rules
    }
}

impl Rules {
    pub(super) fn window(&self) -> i64 {
        self.stabilization_window_seconds.unwrap_or_default()
    }
    pub(super) fn disabled(&self) -> bool {
        self.select_policy.as_deref() == Some("Disabled")
    }
    /// Whether the policy with the least change counts.
    pub(super) fn least(&self) -> bool {
        self.select_policy.as_deref() == Some("Min")
    }
    /// The longest time that a policy looks back.
    pub(super) fn longest(&self) -> i64 {
        self.policies.iter().map(|policy| policy.period_seconds).max().unwrap_or_default()
    }
}

/// By how much a metric may differ from its target without a consequence, as a part of the target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerances {
    pub(super) down: f64,
    pub(super) up: f64,
}

impl Tolerances {
    pub(super) fn within(self, ratio: f64) -> bool {
        (1.0 - self.down..=1.0 + self.up).contains(&ratio)
    }
}
