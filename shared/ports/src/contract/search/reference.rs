//! What a search means, in plain Rust over invocations in memory: the measure of every adapter.

use std::cmp::Ordering;

use tributary_model::{Invocation, ReportId};

use crate::search::{After, Filter, Scope, Sort};

impl Scope {
    /// Whether the invocation is within the scope.
    #[must_use]
    pub fn matches(&self, invocation: &Invocation) -> bool {
        invocation.project == self.project
            && (self.from..self.to).contains(&invocation.timestamp)
            && invocation.received_at <= self.received_until
            && self.filter.matches(invocation)
    }
}

impl Filter {
    /// Whether the invocation passes the filter.
    #[must_use]
    pub fn matches(&self, invocation: &Invocation) -> bool {
        let some_metric = |name: &str, matches: &dyn Fn(Option<f64>, Option<&str>) -> bool| {
            invocation.metrics.iter().any(|metric| metric.name == name && matches(metric.n, metric.s.as_deref()))
        };
        match self {
            Self::All => true,
            Self::And(filters) => filters.iter().all(|filter| filter.matches(invocation)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(invocation)),
            Self::Not(excluded) => !excluded.matches(invocation),
            Self::Is(field, text) => field.of(invocation).iter().any(|value| value == text),
            Self::StartsWith(field, prefix) => field.of(invocation).iter().any(|value| value.starts_with(prefix)),
            Self::True(field) => field.of(invocation),
            Self::InRange(field, range) => field.of(invocation).is_some_and(|number| range.contains(number)),
            Self::MetricIs(name, text) => some_metric(name, &|_, s| s == Some(text)),
            Self::MetricInRange(name, range) => some_metric(name, &|n, _| n.is_some_and(|n| range.contains(n))),
            Self::HasMetric(name) => some_metric(name, &|_, _| true),
            Self::Words(wanted) => holds_phrase(invocation, wanted),
            Self::HasError => invocation.error.is_some(),
        }
    }
}

fn holds_phrase(invocation: &Invocation, wanted: &[String]) -> bool {
    let phrase: Vec<String> = wanted.iter().flat_map(|word| words(word)).collect();
    !phrase.is_empty()
        && Filter::texts(invocation).any(|text| words(text).windows(phrase.len()).any(|window| window == phrase))
}

/// The words of a text: runs of letters and digits, each character in lower case.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().flat_map(char::to_lowercase).collect())
        .collect()
}

/// The ids of a page of `invocations`.
#[must_use]
pub fn page(
    invocations: &[Invocation],
    scope: &Scope,
    sort: Sort,
    after: Option<After>,
    limit: usize,
) -> Vec<ReportId> {
    let mut places: Vec<After> = invocations
        .iter()
        .filter(|invocation| scope.matches(invocation))
        .map(|invocation| After::invocation(sort.key, invocation))
        .filter(|place| after.is_none_or(|after| order(sort, place, &after).is_gt()))
        .collect();
    places.sort_by(|a, b| order(sort, a, b));
    places.iter().take(limit).map(|place| place.id).collect()
}

fn order(sort: Sort, a: &After, b: &After) -> Ordering {
    let directed = |order: Ordering| if sort.descending { order.reverse() } else { order };
    let by_key = match (a.key, b.key) {
        (Some(a), Some(b)) => directed(a.partial_cmp(&b).unwrap_or(Ordering::Equal)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    by_key.then_with(|| directed(a.id.cmp(&b.id)))
}
