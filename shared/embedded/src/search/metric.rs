//! Custom metrics as terms: "some metric of that name has a value like that" is one term, or one range of terms.
//!
//! Every metric of a document adds one to three terms to one field. All begin with the metric's name, in which a NUL is
//! written `00 FF`, and a NUL that ends it; no name's term is thus the beginning of another name's.
//!
//! | bytes | meaning |
//! |---|---|
//! | name `00` `h` | the document has a metric of this name |
//! | name `00` `n` + 8 | its number, in 8 bytes whose order is the numbers' order |
//! | name `00` `s` + text | its text |

use std::ops::Bound;

use tantivy::f64_to_u64;
use tributary_model::invocation::Metric;
use tributary_ports::search::Range;

/// The terms of one metric.
pub(super) fn terms(metric: &Metric) -> impl Iterator<Item = Vec<u8>> {
    let number = metric.n.filter(|n| !n.is_nan()).map(|n| number(&metric.name, n));
    let text = metric.s.as_deref().map(|s| text(&metric.name, s));
    std::iter::once(presence(&metric.name)).chain(number).chain(text)
}

/// The term of every document that has a metric of the name.
pub(super) fn presence(name: &str) -> Vec<u8> {
    begin(name, b'h')
}

/// The term of every document in which some metric of the name has this text.
pub(super) fn text(name: &str, text: &str) -> Vec<u8> {
    let mut term = begin(name, b's');
    term.extend_from_slice(text.as_bytes());
    term
}

/// The terms of every document in which some metric of the name has a number within the range.
pub(super) fn range(name: &str, range: Range) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let bound = |(at, included): (f64, bool)| {
        let term = number(name, at);
        if included { Bound::Included(term) } else { Bound::Excluded(term) }
    };
    let from = range.from.map_or_else(|| Bound::Included(begin(name, b'n')), bound);
    let to = range.to.map_or_else(|| Bound::Excluded(begin(name, b'n' + 1)), bound);
    (from, to)
}

fn number(name: &str, number: f64) -> Vec<u8> {
    let mut term = begin(name, b'n');
    term.extend_from_slice(&f64_to_u64(unsigned_zero(number)).to_be_bytes());
    term
}

/// The same number; minus zero becomes zero, which it equals and which the order of bits does not know.
pub(super) fn unsigned_zero(number: f64) -> f64 {
    number + 0.0
}

fn begin(name: &str, kind: u8) -> Vec<u8> {
    let mut term = Vec::with_capacity(name.len() + 10);
    for byte in name.bytes() {
        term.push(byte);
        if byte == 0 {
            term.push(0xff);
        }
    }
    term.extend_from_slice(&[0, kind]);
    term
}

#[cfg(test)]
mod tests {
    use std::ops::RangeBounds;

    use super::*;

    fn within(name: &str, bounds: Range, term: &Vec<u8>) -> bool {
        range(name, bounds).contains(term)
    }

    #[test]
    fn the_order_of_terms_is_the_order_of_numbers() {
        let numbers = [f64::NEG_INFINITY, f64::MIN, -1.5, -1e-300, 0.0, 1e-300, 1.0, 1.5, 1e300, f64::INFINITY];
        for pair in numbers.windows(2) {
            assert!(number("m", pair[0]) < number("m", pair[1]), "{pair:?}");
        }
        assert_eq!(number("m", -0.0), number("m", 0.0));
    }

    #[test]
    fn a_range_holds_numbers_of_its_name_only() {
        let all = Range { from: None, to: None };
        assert!(within("m", all, &number("m", f64::NEG_INFINITY)));
        assert!(within("m", all, &number("m", f64::INFINITY)));
        for other in [number("m\0", 1.0), number("m\0n", 1.0), number("mn", 1.0), text("m", "1"), presence("m")] {
            assert!(!within("m", all, &other), "{other:?}");
        }
    }

    #[test]
    fn bounds_are_part_of_a_range_or_not() {
        let open = Range { from: Some((1.0, false)), to: Some((2.0, true)) };
        assert!(!within("m", open, &number("m", 1.0)));
        assert!(within("m", open, &number("m", 1.5)));
        assert!(within("m", open, &number("m", 2.0)));
    }

    #[test]
    fn a_nul_in_a_name_makes_no_other_name() {
        assert_ne!(text("a", "b"), presence("a\0sb"));
        assert_ne!(text("a\0s", "b"), text("a", "\0sb"));
    }

    #[test]
    fn a_number_that_is_none_has_no_term_but_its_presence() {
        let metric = Metric { name: "m".to_owned(), n: Some(f64::NAN), s: None };
        assert_eq!(terms(&metric).collect::<Vec<_>>(), [presence("m")]);
    }
}
