//! A scope as the cluster's query. Texts become values, never the query language's own syntax.

use serde_json::{Value, json};
use tributary_ports::search::{BoolField, Filter, NumberField, Range, Scope, SortKey, TextField};

/// Everything that the scope demands.
pub(super) fn scope(scope: &Scope) -> Value {
    let instants = json!({ "range": { "timestamp": { "gte": scope.from, "lt": scope.to } } });
    let received = json!({ "range": { "received_at": { "lte": scope.received_until } } });
    let project = exactly("project", scope.project.as_str());
    all(&[project, instants, received, filter(&scope.filter)])
}

fn filter(wanted: &Filter) -> Value {
    match wanted {
        Filter::All => json!({ "match_all": {} }),
        Filter::And(filters) => all(&filters.iter().map(filter).collect::<Vec<_>>()),
        Filter::Or(filters) => any(&filters.iter().map(filter).collect::<Vec<_>>()),
        Filter::Not(excluded) => json!({ "bool": { "must_not": filter(excluded) } }),
        Filter::Is(field, text) => exactly(text_field(*field), text),
        Filter::StartsWith(field, prefix) => json!({ "prefix": { text_field(*field): { "value": prefix } } }),
        Filter::True(field) => is_true(*field),
        Filter::InRange(field, range) => numbers(number_field(*field), *range),
        Filter::MetricIs(name, text) => metric(&[exactly("metrics.name", name), exactly("metrics.s", text)]),
        Filter::MetricInRange(name, range) => metric(&[exactly("metrics.name", name), numbers("metrics.n", *range)]),
        Filter::HasMetric(name) => metric(&[exactly("metrics.name", name)]),
        Filter::Words(words) => json!({ "match_phrase": { "words": { "query": words.join(" ") } } }),
        Filter::HasError => has_error(),
    }
}

/// Every error has a fingerprint, though it may be empty.
pub(super) fn has_error() -> Value {
    json!({ "exists": { "field": "error.fingerprint" } })
}

fn all(queries: &[Value]) -> Value {
    if queries.is_empty() {
        return json!({ "match_all": {} });
    }
    json!({ "bool": { "filter": queries } })
}

fn any(queries: &[Value]) -> Value {
    if queries.is_empty() {
        return json!({ "match_none": {} });
    }
    json!({ "bool": { "should": queries, "minimum_should_match": 1 } })
}

fn exactly(field: &str, text: &str) -> Value {
    json!({ "term": { field: { "value": text } } })
}

fn is_true(field: BoolField) -> Value {
    match field {
        BoolField::Coldstart => json!({ "term": { "coldstart": true } }),
        BoolField::Timeout => json!({ "term": { "timeout": true } }),
        BoolField::Signed => json!({ "term": { "signed": true } }),
        BoolField::Removed => json!({ "range": { "removed_count": { "gte": 1 } } }),
    }
}

/// Name and value have to match in one and the same metric.
fn metric(demands: &[Value]) -> Value {
    json!({ "nested": { "path": "metrics", "query": all(demands) } })
}

/// Stored numbers are finite, and zero has no sign (see [`super::document`]): what no finite number can meet is nothing,
/// and a bound that every finite number meets is open.
fn numbers(field: &str, range: Range) -> Value {
    let crossed = matches!((range.from, range.to), (Some((from, _)), Some((to, _))) if from > to);
    let beyond = range.from.is_some_and(|(from, _)| from.is_nan() || from == f64::INFINITY)
        || range.to.is_some_and(|(to, _)| to.is_nan() || to == f64::NEG_INFINITY);
    if crossed || beyond {
        return json!({ "match_none": {} });
    }
    let mut bounds = serde_json::Map::new();
    let mut bound = |limit: Option<(f64, bool)>, included: &str, excluded: &str| {
        if let Some((at, is_included)) = limit.filter(|(at, _)| at.is_finite()) {
            let name = if is_included { included } else { excluded };
            bounds.insert(name.to_owned(), json!(super::document::unsigned_zero(at)));
        }
    };
    bound(range.from, "gte", "gt");
    bound(range.to, "lte", "lt");
    if bounds.is_empty() {
        return json!({ "exists": { "field": field } });
    }
    json!({ "range": { field: bounds } })
}

/// The field of a sort key.
pub(super) const fn sort_field(key: SortKey) -> &'static str {
    match key {
        SortKey::Timestamp => "timestamp",
        SortKey::DurationMs => "duration_ms",
        SortKey::MemoryUsedPercent => "memory.used_percent",
    }
}

const fn text_field(field: TextField) -> &'static str {
    match field {
        TextField::Id => "id",
        TextField::Function => "function",
        TextField::Version => "version",
        TextField::Region => "region",
        TextField::RequestId => "request_id",
        TextField::ProcessId => "process_id",
        TextField::ErrorName => "error.name",
        TextField::ErrorFingerprint => "error.fingerprint",
        TextField::Label => "labels",
        TextField::AgentRuntime => "agent.runtime",
        TextField::AgentVersion => "agent.version",
        TextField::EventSource => "event_source",
        TextField::StepFunction => "step_function.id",
        TextField::AwsAccount => "aws.account_id",
        TextField::TraceId => "aws.trace_id",
        TextField::Token => "token",
    }
}

const fn number_field(field: NumberField) -> &'static str {
    match field {
        NumberField::DurationMs => "duration_ms",
        NumberField::MemoryUsedMib => "memory.used_mib",
        NumberField::MemoryUsedPercent => "memory.used_percent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_number_meets_is_nothing() {
        let nothing = json!({ "match_none": {} });
        let range = |from, to| Range { from: Some((from, true)), to: Some((to, true)) };
        for range in
            [range(2.0, 1.0), range(f64::NAN, 1.0), range(f64::INFINITY, f64::INFINITY), range(0.0, f64::NEG_INFINITY)]
        {
            assert_eq!(numbers("n", range), nothing, "{range:?}");
        }
    }

    #[test]
    fn zero_has_no_sign_and_an_open_bound_is_left_out() {
        let zero = Range { from: Some((-0.0, true)), to: Some((f64::INFINITY, false)) };
        assert_eq!(numbers("n", zero).to_string(), r#"{"range":{"n":{"gte":0.0}}}"#);
        assert_eq!(numbers("n", Range { from: None, to: None }), json!({ "exists": { "field": "n" } }));
    }
}
