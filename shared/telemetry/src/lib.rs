//! Structs of facts, one emit for log line and metric.
