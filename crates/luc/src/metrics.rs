//! What the node counts, in Prometheus' text form at `/metrics`.

mod peers;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use luc_api::Operation;
use luc_runtime::fabric::Fabric;
use luc_services::ports::Observer;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    operation: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OperationLabels {
    operation: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabels {
    status: u16,
}

/// The node's counters.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<OperationLabels, Histogram>,
    refusals: Family<RefusalLabels, Counter>,
    /// The revision of the site's store.
    pub store_revision: Gauge,
}

/// From a quarter of a millisecond to ten seconds.
const BUCKETS: [f64; 12] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0,
];

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("luc");
        let requests = Family::default();
        let seconds =
            Family::<OperationLabels, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        let (refusals, store_revision) = (Family::default(), Gauge::default());
        registry.register(
            "api_requests",
            "Requests to the OpenStack API, by operation and status",
            requests.clone(),
        );
        registry.register(
            "api_request_seconds",
            "Time from a request's arrival to its answer, in seconds",
            seconds.clone(),
        );
        registry.register(
            "site_refusals",
            "Messages of other sites that this one refused, by status",
            refusals.clone(),
        );
        registry.register(
            "store_revision",
            "Revision of the site's store, as readers see it",
            store_revision.clone(),
        );
        Self {
            registry: Mutex::new(registry),
            requests,
            seconds,
            refusals,
            store_revision,
        }
    }

    /// Something that another site asked between nodes was refused with `status`.
    pub fn refused_site(&self, status: u16) {
        self.refusals.get_or_create(&RefusalLabels { status }).inc();
    }

    /// Shows from now on what `fabric` counts of each peer.
    pub fn with_fabric(&self, fabric: Arc<dyn Fabric>) {
        let registry = self.registry.lock();
        let mut registry = registry.unwrap_or_else(std::sync::PoisonError::into_inner);
        registry.register_collector(Box::new(peers::Peers(fabric)));
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self
            .registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Metrics {
    fn answered(&self, operation: Option<Operation>, status: u16, took: Duration) {
        let operation = match operation {
            Some(Operation::Identity(op)) => format!("identity.{op:?}"),
            Some(Operation::Image(op)) => format!("image.{op:?}"),
            Some(Operation::Compute(op)) => format!("compute.{op:?}"),
            None => "none".to_owned(),
        };
        self.seconds
            .get_or_create(&OperationLabels {
                operation: operation.clone(),
            })
            .observe(took.as_secs_f64());
        self.requests
            .get_or_create(&RequestLabels { operation, status })
            .inc();
    }
}

#[cfg(test)]
mod tests {
    use luc_api::compute::ComputeOp;

    use super::*;

    #[test]
    fn a_request_is_counted_by_operation_and_status() {
        let metrics = Metrics::new();
        let operation = Operation::Compute(ComputeOp::ShowVersion);
        metrics.answered(Some(operation), 200, Duration::from_millis(1));
        let text = metrics.text();
        let line = r#"luc_api_requests_total{operation="compute.ShowVersion",status="200"} 1"#;
        assert!(text.contains(line), "{text}");
    }
}
