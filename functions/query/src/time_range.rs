//! `from` and `to`: absolute times, or times ago.

use tributary_model::limits::{SEARCH_FROM_AGO, SEARCH_TO_AHEAD};
use tributary_model::{Problem, TimestampMs, duration};

use crate::parameters::Parameters;

/// `from <= timestamp < to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeRange {
    pub(crate) from: TimestampMs,
    pub(crate) to: TimestampMs,
}

impl TimeRange {
    /// The range that `from` and `to` mean at the time `now`. Without them it holds whatever a collector may just have
    /// acknowledged.
    pub(crate) fn read(parameters: &Parameters<'_>, now: TimestampMs) -> Result<Self, Problem> {
        let instant = |name| parameters.text(name).map(|text| instant(name, text, now)).transpose();
        let from = instant("from")?.unwrap_or_else(|| now.plus_ms(-ms(SEARCH_FROM_AGO)));
        let to = instant("to")?.unwrap_or_else(|| now.plus_ms(ms(SEARCH_TO_AHEAD)));
        if from < to {
            return Ok(Self { from, to });
        }
        Err(Problem::bad_request(format!("from ({from}) must lie before to ({to})")))
    }
}

fn ms(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The instant that the parameter `name` means at the time `now`.
pub(crate) fn instant(name: &str, text: &str, now: TimestampMs) -> Result<TimestampMs, Problem> {
    if text == "now" {
        return Ok(now);
    }
    if let Ok(ago) = duration::parse(text) {
        return Ok(now.plus_ms(-ms(ago)));
    }
    // A + that was not percent-encoded arrives as a blank: 2026-11-21T18:00:00+01:00.
    let text = text.replace(' ', "+");
    let midnight = format!("{text}T00:00:00Z");
    text.parse().or_else(|_| midnight.parse()).map_err(|_| {
        Problem::bad_request(format!(
            "{name} must be a time as in RFC 3339 (2026-11-21T18:00:00Z), a day (2026-11-21), a time ago (90s, 15m, 1h, 7d) or now"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, String), Problem> {
        let now = "2026-11-21T18:00:00.500Z".parse().expect("a time");
        let range = TimeRange::read(&Parameters::read(text, &["from", "to"])?, now)?;
        Ok((range.from.to_string(), range.to.to_string()))
    }

    #[test]
    fn times_are_absolute_or_ago() {
        for (text, from, to) in [
            ("", "2026-11-13T18:00:00.500Z", "2026-11-21T18:15:00.500Z"),
            ("from=1h&to=now", "2026-11-21T17:00:00.500Z", "2026-11-21T18:00:00.500Z"),
            ("from=7d&to=90s", "2026-11-14T18:00:00.500Z", "2026-11-21T17:58:30.500Z"),
            ("from=2026-11-20&to=2026-11-21", "2026-11-20T00:00:00.000Z", "2026-11-21T00:00:00.000Z"),
            ("from=2026-11-21T18:00:00%2B01:00", "2026-11-21T17:00:00.000Z", "2026-11-21T18:15:00.500Z"),
            ("from=2026-11-21T18:00:00+01:00", "2026-11-21T17:00:00.000Z", "2026-11-21T18:15:00.500Z"),
        ] {
            assert_eq!(read(text), Ok((from.to_owned(), to.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_range_that_holds_nothing_is_refused() {
        let detail = read("from=1h&to=2h").expect_err("turned round").detail;
        assert_eq!(detail, "from (2026-11-21T17:00:00.500Z) must lie before to (2026-11-21T16:00:00.500Z)");
        assert!(read("from=now&to=now").is_err());
    }

    #[test]
    fn what_is_no_time_says_which_parameter_and_which_forms() {
        for text in ["from=yesterday", "from=1w", "from=2026-13-01", "from=-1h", "from=1795284061873"] {
            let detail = read(text).expect_err(text).detail;
            assert!(detail.starts_with("from must be a time as in RFC 3339"), "{text}: {detail}");
        }
        assert!(read("to=x").expect_err("to").detail.starts_with("to must be"));
    }

    #[test]
    fn the_longest_time_ago_is_no_overflow() {
        assert!(read("from=106751991167d").is_ok());
    }
}
