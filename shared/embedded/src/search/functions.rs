//! The functions of a scope, counted by the engine's aggregation.

use serde_json::json;
use tantivy::Searcher;
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::agg_result::{
    AggregationResult, AggregationResults, BucketEntry, BucketResult, MetricResult,
};
use tantivy::aggregation::metric::PercentileValues;
use tantivy::aggregation::{AggContextParams, AggregationCollector, AggregationLimitsGuard, Key};
use tantivy::query::Query;
use tributary_model::{TimestampMs, limits};
use tributary_ports::search::{FunctionSummary, Percentiles};

use super::schema::column;

/// The functions of the documents that match, the most invoked first, equal counts by name.
///
/// Counts are exact as long as no segment holds more than `SEARCH_FUNCTIONS_COUNTED_MAX` functions of the scope.
pub(super) fn summaries(searcher: &Searcher, query: &dyn Query, limit: usize) -> tantivy::Result<Vec<FunctionSummary>> {
    let bounds = AggregationLimitsGuard::new(Some(limits::SEARCH_AGGREGATION_BYTES_MAX), None);
    let context = AggContextParams::new(bounds, searcher.index().tokenizers().clone());
    let results = searcher.search(query, &AggregationCollector::from_aggs(request()?, context))?;
    let mut functions: Vec<_> = buckets(results).into_iter().filter_map(summary).collect();
    functions.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.function.cmp(&b.function)));
    functions.truncate(limit);
    Ok(functions)
}

/// Percentiles come from a DDSketch, whose values are within 1 % of the exact ones.
fn request() -> tantivy::Result<Aggregations> {
    let size = limits::SEARCH_FUNCTIONS_COUNTED_MAX;
    Ok(serde_json::from_value(json!({
        "functions": {
            "terms": { "field": column::FUNCTION, "size": size, "segment_size": size },
            "aggs": {
                "errors": { "sum": { "field": column::ERRORS } },
                "coldstarts": { "sum": { "field": column::COLDSTARTS } },
                "last_seen": { "max": { "field": column::TIMESTAMP } },
                "duration_ms": {
                    "percentiles": { "field": column::DURATION_MS, "percents": [50.0, 95.0, 99.0], "keyed": false },
                },
            },
        },
    }))?)
}

fn buckets(mut results: AggregationResults) -> Vec<BucketEntry> {
    match results.0.remove("functions") {
        Some(AggregationResult::BucketResult(BucketResult::Terms { buckets, .. })) => buckets,
        _ => Vec::new(),
    }
}

fn summary(bucket: BucketEntry) -> Option<FunctionSummary> {
    let Key::Str(function) = bucket.key else { return None };
    let metrics = bucket.sub_aggregation;
    Some(FunctionSummary {
        function,
        count: bucket.doc_count,
        errors: whole(single(&metrics, "errors")?),
        coldstarts: whole(single(&metrics, "coldstarts")?),
        duration_ms: percentiles(&metrics),
        last_seen: TimestampMs(instant(single(&metrics, "last_seen")?)),
    })
}

fn single(metrics: &AggregationResults, name: &str) -> Option<f64> {
    match metrics.0.get(name)? {
        AggregationResult::MetricResult(MetricResult::Sum(metric) | MetricResult::Max(metric)) => metric.value,
        _ => None,
    }
}

fn percentiles(metrics: &AggregationResults) -> Option<Percentiles> {
    let Some(AggregationResult::MetricResult(MetricResult::Percentiles(result))) = metrics.0.get("duration_ms") else {
        return None;
    };
    let PercentileValues::Vec(entries) = &result.values else { return None };
    let [p50, p95, p99] = entries.as_slice() else { return None };
    let percentiles = Percentiles { p50: p50.value, p95: p95.value, p99: p99.value };
    (!percentiles.p50.is_nan()).then_some(percentiles)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of documents, below 2^53")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[expect(clippy::cast_possible_truncation, reason = "milliseconds, below 2^53")]
fn instant(number: f64) -> i64 {
    number as i64
}
