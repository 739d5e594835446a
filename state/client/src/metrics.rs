//! The question for numbers that aren't the cluster's own: what a HorizontalPodAutoscaler asks of `custom.metrics.k8s.io` and `external.metrics.k8s.io`.
//!
//! Whoever has such numbers serves [`MetricQuery`] on the bus, as the service `metrics.query`. Where nobody does, an autoscaler says what it says in a
//! Kubernetes cluster without these APIs.
use bus::Call;
use jiff::Timestamp;
use model::ApiError;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a source may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Which numbers are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MetricQuery {
    /// A metric of each of some pods: one value a pod.
    Pods {
        /// The pods' namespace.
        namespace: String,
        /// Which pods: a label selector as text.
        selector: String,
        /// The metric's name.
        metric: String,
        /// Which series of it: a label selector as text; `""` for all.
        metric_selector: String,
    },
    /// A metric of one object: one value.
    Object {
        /// The object's namespace.
        namespace: String,
        /// Its API version.
        api_version: String,
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// The metric's name.
        metric: String,
        /// Which series of it: a label selector as text; `""` for all.
        metric_selector: String,
    },
    /// A metric of nothing in the cluster: one value a series, which are added.
    External {
        /// The namespace of who asks.
        namespace: String,
        /// The metric's name.
        metric: String,
        /// Which series of it: a label selector as text; `""` for all.
        metric_selector: String,
    },
}

impl MetricQuery {
    /// What Kubernetes' autoscaler says where no server has such metrics.
    pub fn unserved(&self) -> String {
        match self {
            Self::Pods { .. } | Self::Object { .. } => "no custom metrics API (custom.metrics.k8s.io) registered".to_owned(),
            Self::External { metric, .. } => format!("the server could not find the requested resource (get {metric}.external.metrics.k8s.io)"),
        }
    }
}

/// One number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricValue {
    /// Of which pod or object; `""` of an external metric.
    pub of: String,
    /// The number, as a quantity: `12`, `1500m`, `3Gi`.
    pub value: String,
    /// When it was so.
    pub at: Timestamp,
}

/// What a source says.
pub type MetricAnswer = Result<Vec<MetricValue>, ApiError>;

impl Call for MetricQuery {
    type Reply = MetricAnswer;
    const SERVICE: &'static str = "metrics.query";
}
