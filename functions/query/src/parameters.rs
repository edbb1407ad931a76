//! A request's query string, read strictly: a name that is not known, or comes twice, is a mistake that would otherwise
//! show as a wrong answer.

use std::borrow::Cow;

use tributary_model::Problem;
use tributary_model::limits::{PAGE_ITEMS, PAGE_ITEMS_MAX, QUOTED_CHARS_MAX};

/// The parameters of a request, percent-decoded.
#[derive(Debug)]
pub(crate) struct Parameters<'a> {
    values: Vec<(&'static str, Cow<'a, str>)>,
}

impl<'a> Parameters<'a> {
    /// Reads a query string in which only the names `known` may stand, each once.
    pub(crate) fn read(text: &'a str, known: &[&'static str]) -> Result<Self, Problem> {
        let mut values: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let Some(known) = known.iter().find(|known| **known == name) else { return Err(unknown(&name, known)) };
            if values.iter().any(|(there, _)| there == known) {
                return Err(Problem::bad_request(format!("the parameter {known} is given twice")));
            }
            values.push((known, value));
        }
        Ok(Self { values })
    }

    /// A parameter's text; one that is empty counts as not given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let value = self.values.iter().find(|(known, _)| *known == name);
        value.map(|(_, value)| value.as_ref()).filter(|value| !value.is_empty())
    }

    /// How many items a page is to have.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.text("limit") else { return Ok(PAGE_ITEMS) };
        let limit = text.parse().ok().filter(|limit| (1..=PAGE_ITEMS_MAX).contains(limit));
        limit.ok_or_else(|| Problem::bad_request(format!("limit must be a number from 1 to {PAGE_ITEMS_MAX}")))
    }
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let shown: String = name.chars().take(QUOTED_CHARS_MAX).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Problem::bad_request(format!("there is no parameter {shown:?} here; this path takes {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["query", "limit"];

    #[test]
    fn values_are_decoded_as_browsers_and_curl_write_them() {
        let parameters = Parameters::read("query=a%3Ab+%22c%22&limit=", &KNOWN).expect("parameters");
        assert_eq!(parameters.text("query"), Some("a:b \"c\""));
        assert_eq!((parameters.text("limit"), parameters.limit()), (None, Ok(PAGE_ITEMS)));
    }

    #[test]
    fn what_is_not_known_or_comes_twice_is_refused_by_name() {
        let detail = |text: &str| Parameters::read(text, &KNOWN).expect_err(text).detail;
        assert_eq!(detail("form=1h"), "there is no parameter \"form\" here; this path takes query, limit");
        assert_eq!(detail("query=a&query=b"), "the parameter query is given twice");
        assert_eq!(
            Parameters::read("x", &[]).expect_err("x").detail,
            "there is no parameter \"x\" here; this path takes none"
        );
    }

    #[test]
    fn a_limit_outside_its_range_is_refused() {
        for text in ["0", "1001", "-1", "ten", "1e2", "99999999999999999999"] {
            let query = format!("limit={text}");
            let parameters = Parameters::read(&query, &KNOWN).expect("parameters");
            assert_eq!(parameters.limit().expect_err(text).detail, "limit must be a number from 1 to 1000");
        }
        assert_eq!(Parameters::read("limit=1000", &KNOWN).and_then(|parameters| parameters.limit()), Ok(1000));
    }
}
