//! CloudWatch's embedded metric format. On Lambda nobody reads a process's own metrics: it may be frozen for hours and
//! is one of many. There a log line says which of its own members are metrics, and CloudWatch makes them of it, so that
//! here too what is counted is what is logged. A line below the log's threshold is not written, and so not counted.

use serde::{Serialize, Serializer};
use tributary_model::TimestampMs;

/// The namespace of all of them.
const NAMESPACE: &str = "Tributary";

/// What CloudWatch makes of a kind of facts.
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    /// The member, a text of a fixed set, by which they are told apart.
    pub dimension: &'static str,
    /// The members that are metrics.
    pub metrics: &'static [Metric],
}

/// A member that is a number.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metric {
    name: &'static str,
    unit: Unit,
}

impl Metric {
    /// The member `name`, in `unit`.
    #[must_use]
    pub const fn new(name: &'static str, unit: Unit) -> Self {
        Self { name, unit }
    }
}

/// CloudWatch's words for units.
#[derive(Debug, Clone, Copy, Serialize)]
#[expect(missing_docs, reason = "they say what they are")]
pub enum Unit {
    Count,
    Bytes,
    Milliseconds,
    Microseconds,
}

/// The member `_aws` of a line.
pub(crate) struct Directive {
    pub(crate) at: TimestampMs,
    pub(crate) embedded: Embedded,
}

impl Serialize for Directive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Aws {
            timestamp: i64,
            cloud_watch_metrics: [Metrics; 1],
        }
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Metrics {
            namespace: &'static str,
            dimensions: [[&'static str; 1]; 1],
            metrics: &'static [Metric],
        }
        let Embedded { dimension, metrics } = self.embedded;
        let metrics = Metrics { namespace: NAMESPACE, dimensions: [[dimension]], metrics };
        Aws { timestamp: self.at.0, cloud_watch_metrics: [metrics] }.serialize(serializer)
    }
}
