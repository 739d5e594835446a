//! What `/metrics` tells: requests, how long they took, watches and streams that are open.
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use prometheus_client::registry::Registry;
use std::time::Duration;

/// A request as it is counted. Names of objects and users are not part of it: the number of series stays bounded by the table of kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// Verb.
    pub verb: &'static str,
    /// Group, `""` for the core group and for what isn't a resource.
    pub group: String,
    /// Resource with its subresource, `pods/log`; `""` for what isn't a resource.
    pub resource: String,
    /// HTTP status.
    pub code: u16,
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResourceLabels {
    /// Group.
    pub group: String,
    /// Resource.
    pub resource: String,
}

/// A verb.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VerbLabels {
    /// Verb.
    pub verb: &'static str,
}

/// The gateway's metrics.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<VerbLabels, Histogram>,
    open: Family<ResourceLabels, Gauge>,
}

/// Something long that is open; dropping it says that it ended.
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Upper bounds of the durations' buckets, in seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let requests = Family::<RequestLabels, Counter>::default();
        let durations = Family::<VerbLabels, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        let open = Family::<ResourceLabels, Gauge>::default();
        registry.register("apiserver_request", "Requests by verb, resource and HTTP status", requests.clone());
        registry.register("apiserver_request_duration_seconds", "Time until the response's head, watches and streams aside", durations.clone());
        registry.register("apiserver_longrunning_requests", "Watches and streams that are open", open.clone());
        Self { registry, requests, durations, open }
    }
}

impl Metrics {
    /// Counts a request.
    pub fn request(&self, labels: RequestLabels, took: Duration) {
        if !matches!(labels.verb, "watch" | "connect") {
            self.durations.get_or_create(&VerbLabels { verb: labels.verb }).observe(took.as_secs_f64());
        }
        self.requests.get_or_create(&labels).inc();
    }
    /// Counts a watch or stream while what is returned lives.
    pub fn open(&self, group: &str, resource: &str) -> Open {
        let gauge = self.open.get_or_create_owned(&ResourceLabels { group: group.to_owned(), resource: resource.to_owned() });
        gauge.inc();
        Open(gauge)
    }
    /// The OpenMetrics text.
    ///
    /// # Errors
    /// When it can't be formatted.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_ones_are_counted_while_they_live() {
        let metrics = Metrics::default();
        let watch = metrics.open("", "pods");
        assert!(metrics.render().unwrap().contains("apiserver_longrunning_requests{group=\"\",resource=\"pods\"} 1"));
        drop(watch);
        assert!(metrics.render().unwrap().contains("apiserver_longrunning_requests{group=\"\",resource=\"pods\"} 0"));
        let labels = RequestLabels { verb: "get", group: String::new(), resource: "pods".to_owned(), code: 200 };
        metrics.request(labels, Duration::from_millis(1));
        assert!(metrics.render().unwrap().contains("apiserver_request_total{verb=\"get\""));
    }
}
