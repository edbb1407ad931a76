//! The functions of a scope, counted by the cluster's aggregations.

use serde::Deserialize;
use serde_json::{Value, json};
use tributary_model::TimestampMs;
use tributary_model::limits::{FUNCTIONS_MAX, SEARCH_FUNCTIONS_COUNTED_MAX};
use tributary_ports::search::{FunctionSummary, Percentiles, Scope};

use super::client::Client;
use super::compile;
use super::failure::Failure;
use super::{index, read};

#[derive(Deserialize)]
struct Answer {
    /// None if there is no index to look into.
    aggregations: Option<Aggregations>,
}

#[derive(Deserialize)]
struct Aggregations {
    functions: Terms,
}

#[derive(Deserialize)]
struct Terms {
    #[serde(default)]
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    key: String,
    doc_count: u64,
    errors: Count,
    coldstarts: Count,
    last_seen: Single,
    duration_ms: Quantiles,
}

#[derive(Deserialize)]
struct Count {
    doc_count: u64,
}

#[derive(Deserialize)]
struct Single {
    value: f64,
}

#[derive(Deserialize)]
struct Quantiles {
    values: [Quantile; 3],
}

#[derive(Deserialize)]
struct Quantile {
    value: Option<f64>,
}

/// The functions of the documents that match, the most invoked first, equal counts by name.
///
/// Counts are exact as long as no shard holds more than `SEARCH_FUNCTIONS_COUNTED_MAX` functions of the scope.
pub(super) async fn summaries(client: &Client, scope: &Scope, limit: usize) -> Result<Vec<FunctionSummary>, Failure> {
    let limit = limit.min(FUNCTIONS_MAX);
    if scope.from >= scope.to || limit == 0 {
        return Ok(Vec::new());
    }
    let patterns = index::of_range(scope.from, scope.to);
    let asking = read::search(&patterns, "aggregations.functions.buckets,error.type", &request(scope, limit));
    let answer = client.answer(&asking).await?;
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| Failure::Malformed)?;
    let buckets = answer.aggregations.map(|aggregations| aggregations.functions.buckets);
    Ok(buckets.unwrap_or_default().into_iter().map(summary).collect())
}

/// Percentiles come from a histogram of two significant digits, whose values are within 1 % of the exact ones.
fn request(scope: &Scope, limit: usize) -> Value {
    json!({
        "size": 0,
        "track_total_hits": false,
        "query": compile::scope(scope),
        "aggs": { "functions": {
            "terms": {
                "field": "function",
                "size": limit,
                "shard_size": SEARCH_FUNCTIONS_COUNTED_MAX,
                "order": [{ "_count": "desc" }, { "_key": "asc" }],
            },
            "aggs": {
                "errors": { "filter": compile::has_error() },
                "coldstarts": { "filter": { "term": { "coldstart": true } } },
                "last_seen": { "max": { "field": "timestamp" } },
                "duration_ms": { "percentiles": {
                    "field": "duration_ms",
                    "percents": [50.0, 95.0, 99.0],
                    "keyed": false,
                    "hdr": { "number_of_significant_value_digits": 2 },
                } },
            },
        } },
    })
}

fn summary(bucket: Bucket) -> FunctionSummary {
    FunctionSummary {
        function: bucket.key,
        count: bucket.doc_count,
        errors: bucket.errors.doc_count,
        coldstarts: bucket.coldstarts.doc_count,
        duration_ms: percentiles(bucket.duration_ms.values),
        last_seen: TimestampMs(instant(bucket.last_seen.value)),
    }
}

fn percentiles([p50, p95, p99]: [Quantile; 3]) -> Option<Percentiles> {
    Some(Percentiles { p50: p50.value?, p95: p95.value?, p99: p99.value? })
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds, below 2^53")]
fn instant(number: f64) -> i64 {
    number as i64
}
