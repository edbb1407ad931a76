//! A scope as the engine's query. Texts become terms, never the engine's own syntax.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, FastFieldRangeQuery, InvertedIndexRangeQuery, Occur, PhraseQuery, Query,
    TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tributary_ports::search::{Filter, NumberField, Range, Scope};

use super::metric::{self, unsigned_zero};
use super::not::Not;
use super::schema::{self, HAS_ERROR, METRIC, PROJECT, RECEIVED_AT, TIMESTAMP, WORDS, words_analyzer};

type Compiled = Box<dyn Query>;

/// Everything that the scope demands.
pub(super) fn scope(scope: &Scope) -> Compiled {
    all(vec![
        exactly(Term::from_field_text(PROJECT, scope.project.as_str())),
        instants(TIMESTAMP, scope.from.0, scope.to.0.checked_sub(1)),
        instants(RECEIVED_AT, i64::MIN, Some(scope.received_until.0)),
        filter(&scope.filter),
    ])
}

fn filter(wanted: &Filter) -> Compiled {
    match wanted {
        Filter::All => Box::new(AllQuery),
        Filter::And(filters) => all(filters.iter().map(filter).collect()),
        Filter::Or(filters) => any(filters.iter().map(filter).collect()),
        Filter::Not(excluded) => Box::new(Not(filter(excluded))),
        Filter::Is(field, text) => exactly(Term::from_field_text(schema::text(*field), text)),
        Filter::StartsWith(field, prefix) => starts_with(schema::text(*field), prefix),
        Filter::True(field) => exactly(Term::from_field_bool(schema::bool(*field), true)),
        Filter::InRange(field, range) => numbers(*field, *range),
        Filter::MetricIs(name, text) => exactly(Term::from_field_bytes(METRIC, &metric::text(name, text))),
        Filter::MetricInRange(name, range) => metric_numbers(name, *range),
        Filter::HasMetric(name) => exactly(Term::from_field_bytes(METRIC, &metric::presence(name))),
        Filter::Words(words) => phrase(words),
        Filter::HasError => exactly(Term::from_field_bool(HAS_ERROR, true)),
    }
}

fn all(queries: Vec<Compiled>) -> Compiled {
    if queries.is_empty() {
        return Box::new(AllQuery);
    }
    Box::new(BooleanQuery::new(queries.into_iter().map(|query| (Occur::Must, query)).collect()))
}

fn any(queries: Vec<Compiled>) -> Compiled {
    if queries.is_empty() {
        return Box::new(EmptyQuery);
    }
    Box::new(BooleanQuery::new(queries.into_iter().map(|query| (Occur::Should, query)).collect()))
}

fn exactly(term: Term) -> Compiled {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

/// `from <= instant <= last`; nothing if there is no last one or it lies before `from`.
fn instants(field: Field, from: i64, last: Option<i64>) -> Compiled {
    let Some(last) = last.filter(|last| from <= *last) else {
        return Box::new(EmptyQuery);
    };
    let bound = |at| Bound::Included(Term::from_field_i64(field, at));
    Box::new(FastFieldRangeQuery::new(bound(from), bound(last)))
}

/// Texts from the prefix on, up to the first text that is greater than all that begin with it.
fn starts_with(field: Field, prefix: &str) -> Compiled {
    let from = Bound::Included(Term::from_field_text(field, prefix));
    let to = successor(prefix).map_or(Bound::Unbounded, |to| Bound::Excluded(Term::from_field_text(field, &to)));
    Box::new(InvertedIndexRangeQuery::new(from, to))
}

/// The least text that is greater than every text which begins with `prefix`; none if there is no greater one.
fn successor(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

fn numbers(field: NumberField, range: Range) -> Compiled {
    if is_empty(range) {
        return Box::new(EmptyQuery);
    }
    let bound = |bound: Option<(f64, bool)>, open: f64| {
        let (at, included) = bound.unwrap_or((open, true));
        let term = Term::from_field_f64(schema::number(field), unsigned_zero(at));
        if included { Bound::Included(term) } else { Bound::Excluded(term) }
    };
    Box::new(FastFieldRangeQuery::new(bound(range.from, f64::NEG_INFINITY), bound(range.to, f64::INFINITY)))
}

fn metric_numbers(name: &str, range: Range) -> Compiled {
    if is_empty(range) {
        return Box::new(EmptyQuery);
    }
    let term = |bound: Bound<Vec<u8>>| bound.map(|bytes| Term::from_field_bytes(METRIC, &bytes));
    let (from, to) = metric::range(name, range);
    Box::new(InvertedIndexRangeQuery::new(term(from), term(to)))
}

/// Whether no number can lie within the range: its ends cross, or one of them is no number.
fn is_empty(range: Range) -> bool {
    let not_a_number = |bound: Option<(f64, bool)>| bound.is_some_and(|(at, _)| at.is_nan());
    let crossed = matches!((range.from, range.to), (Some((from, _)), Some((to, _))) if from > to);
    crossed || not_a_number(range.from) || not_a_number(range.to)
}

fn phrase(words: &[String]) -> Compiled {
    let mut analyzer = words_analyzer();
    let mut terms = Vec::new();
    for word in words {
        let mut stream = analyzer.token_stream(word);
        stream.process(&mut |token| terms.push(Term::from_field_text(WORDS, &token.text)));
    }
    if terms.len() > 1 {
        return Box::new(PhraseQuery::new(terms));
    }
    terms.pop().map_or_else(|| -> Compiled { Box::new(EmptyQuery) }, exactly)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(successor("ab").as_deref(), Some("ac"));
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(successor("\u{10ffff}"), None);
        assert_eq!(successor(""), None);
    }

    #[test]
    fn crossed_ranges_are_empty() {
        let range = |from, to| Range { from: Some((from, true)), to: Some((to, true)) };
        assert!(is_empty(range(2.0, 1.0)) && is_empty(range(f64::NAN, 1.0)) && is_empty(range(1.0, f64::NAN)));
        assert!(!is_empty(range(1.0, 1.0)) && !is_empty(Range { from: None, to: None }));
    }
}
