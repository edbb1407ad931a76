//! The names of indices: one for each retention class and day, and for each month where the class is longer than
//! [`SEARCH_DAILY_DAYS_MAX`], or a cluster would run out of shards.

use std::fmt::Write as _;

use tributary_model::limits::{SEARCH_DAILY_DAYS_MAX, SEARCH_DAYS_NAMED_MAX, SEARCH_MONTHS_NAMED_MAX};
use tributary_model::{Day, RetentionClass, TimestampMs};

/// What every index's name begins with.
const PREFIX: &str = "invocations";

/// All indices.
pub(super) const ALL: &str = "invocations-%2A";

/// The index of a document.
pub(super) fn name(retention: RetentionClass, day: Day) -> String {
    let span = if retention.days() > SEARCH_DAILY_DAYS_MAX { month(day) } else { date(day) };
    format!("{PREFIX}-{retention}-{span}")
}

/// The class of an index, and the last day whose documents it holds; none if the name is not one of ours.
pub(super) fn parse(index: &str) -> Option<(RetentionClass, Day)> {
    let (retention, span) = index.strip_prefix(PREFIX)?.strip_prefix('-')?.split_once('-')?;
    let digits: String = span.split('.').collect();
    let number: u32 = digits.parse().ok()?;
    let last = match digits.len() {
        8 => Day::new(number).ok()?,
        6 => (28..=31).rev().find_map(|day| Day::new(number * 100 + day).ok())?,
        _ => return None,
    };
    Some((retention.parse().ok()?, last))
}

/// Patterns, ready for a path, that fit all indices which may hold documents of these days: few for a short time, and
/// all of them for a very long one. A pattern without an index finds nothing, which is no error.
pub(super) fn of_days(days: &[Day]) -> String {
    if days.len() > SEARCH_DAYS_NAMED_MAX {
        return ALL.to_owned();
    }
    let mut patterns = Vec::new();
    for day in days {
        for span in [month(*day), date(*day)] {
            push_new(&mut patterns, span);
        }
    }
    join(&patterns, "")
}

/// The same for the days from the one of `from` up to the one of the last instant before `to`.
pub(super) fn of_range(from: TimestampMs, to: TimestampMs) -> String {
    let (first, last) = (from.day(), to.plus_ms(-1).day());
    let days: Vec<Day> = days_from(first).take_while(|day| *day <= last).take(SEARCH_DAYS_NAMED_MAX + 1).collect();
    if days.len() <= SEARCH_DAYS_NAMED_MAX {
        return of_days(&days);
    }
    let mut months = Vec::new();
    for day in days_from(first).take_while(|day| *day <= last) {
        push_new(&mut months, month(day));
        if months.len() > SEARCH_MONTHS_NAMED_MAX {
            return ALL.to_owned();
        }
    }
    // A month's own index and those of its days.
    join(&months, "%2A")
}

/// Every day from `first` on, up to the last that the calendar of [`Day`] has.
fn days_from(first: Day) -> impl Iterator<Item = Day> {
    std::iter::successors(Some(first), |day| Some(day.plus_days(1)).filter(|next| next > day))
}

fn push_new(patterns: &mut Vec<String>, span: String) {
    if !patterns.contains(&span) {
        patterns.push(span);
    }
}

fn join(spans: &[String], ending: &str) -> String {
    let mut joined = String::new();
    for span in spans {
        let comma = if joined.is_empty() { "" } else { "%2C" };
        // Writing to a text can't fail.
        let _ = write!(joined, "{comma}{PREFIX}-%2A-{span}{ending}");
    }
    joined
}

fn date(day: Day) -> String {
    format!("{:04}.{:02}.{:02}", day.0 / 10_000, day.0 / 100 % 100, day.0 % 100)
}

fn month(day: Day) -> String {
    format!("{:04}.{:02}", day.0 / 10_000, day.0 / 100 % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> TimestampMs {
        text.parse().unwrap()
    }

    fn class(days: u16) -> RetentionClass {
        RetentionClass::from_days(days).unwrap()
    }

    #[test]
    fn long_classes_have_an_index_a_month() {
        assert_eq!(name(class(30), Day(20_261_121)), "invocations-30d-2026.11.21");
        assert_eq!(name(class(31), Day(20_261_121)), "invocations-31d-2026.11");
    }

    #[test]
    fn a_name_tells_its_class_and_last_day() {
        assert_eq!(parse("invocations-30d-2026.11.21"), Some((class(30), Day(20_261_121))));
        assert_eq!(parse("invocations-90d-2028.02"), Some((class(90), Day(20_280_229))));
        for other in [
            "invocations",
            "invocations-30d",
            "invocations-30d-2026.11.31",
            "other-30d-2026.11.21",
            "invocations-30d-2026",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_range_names_its_days_then_its_months_then_all() {
        let decoded = |from, to| of_range(at(from), at(to)).replace("%2A", "*").replace("%2C", ",");
        assert_eq!(
            decoded("2026-10-31T23:00:00Z", "2026-11-02T00:00:00Z"),
            "invocations-*-2026.10,invocations-*-2026.10.31,invocations-*-2026.11,invocations-*-2026.11.01"
        );
        assert_eq!(
            decoded("2026-10-01T00:00:00Z", "2026-11-02T00:00:00Z"),
            "invocations-*-2026.10*,invocations-*-2026.11*"
        );
        assert_eq!(decoded("2020-01-01T00:00:00Z", "2026-11-02T00:00:00Z"), "invocations-*");
        assert_eq!(of_range(TimestampMs(i64::MIN), TimestampMs(i64::MAX)), ALL);
    }

    #[test]
    fn the_longest_pattern_fits_a_request_line() {
        let longest = of_range(at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
        assert!(longest.len() < 2048, "{} bytes; OpenSearch takes a line of 4,096", longest.len());
    }
}
