//! Numbers with units, comparisons and ranges.

use tributary_model::limits::QUOTED_CHARS_MAX;
use tributary_ports::search::{NumberField, Range};

use super::fields::Measure;

/// Milliseconds of each unit of time; a bare number counts milliseconds.
const TIMES: &[(&str, f64)] =
    &[("", 1.0), ("ns", 1e-6), ("us", 1e-3), ("µs", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 6e4), ("h", 3.6e6)];
const MIB: f64 = 1_048_576.0;
/// MiB of each unit of size; a bare number counts MiB.
const SIZES: &[(&str, f64)] = &[
    ("", 1.0),
    ("B", 1.0 / MIB),
    ("kB", 1e3 / MIB),
    ("KB", 1e3 / MIB),
    ("KiB", 1.0 / 1024.0),
    ("MB", 1e6 / MIB),
    ("MiB", 1.0),
    ("GB", 1e9 / MIB),
    ("GiB", 1024.0),
];
const SHARES: &[(&str, f64)] = &[("", 1.0), ("%", 1.0)];
const COUNTS: &[(&str, f64)] = &[("", 1.0)];

impl Measure {
    const fn units(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::Time => TIMES,
            Self::Size => SIZES,
            Self::Share => SHARES,
            Self::Count => COUNTS,
        }
    }

    /// A value of this measure, for an error.
    const fn example(self) -> &'static str {
        match self {
            Self::Time => "500ms (ns, us, ms, s, m, h; ms unless told)",
            Self::Size => "100MiB (B, kB, KiB, MB, MiB, GB, GiB; MiB unless told)",
            Self::Share => "80%",
            Self::Count => "100 or 2.5",
        }
    }
}

/// The range that `text` means behind `operator` (empty, `>`, `>=`, `<` or `<=`).
///
/// # Errors
/// A sentence that says which form is expected.
pub(super) fn range(operator: &str, text: &str, measure: Measure) -> Result<Range, String> {
    if let Some((from, to)) = text.split_once("..") {
        return between(operator, from, to, measure);
    }
    let value = number(text, measure)?;
    Ok(match operator {
        ">" => Range { from: Some((value, false)), to: None },
        ">=" => Range { from: Some((value, true)), to: None },
        "<" => Range { from: None, to: Some((value, false)) },
        "<=" => Range { from: None, to: Some((value, true)) },
        _ => Range { from: Some((value, true)), to: Some((value, true)) },
    })
}

fn between(operator: &str, from: &str, to: &str, measure: Measure) -> Result<Range, String> {
    if !operator.is_empty() {
        return Err(format!("a range needs no {operator}: write 100..200, 100.. or ..200"));
    }
    let bound = |text: &str| if text.is_empty() { Ok(None) } else { number(text, measure).map(Some) };
    match (bound(from)?, bound(to)?) {
        (None, None) => Err("a range needs one end at least: 100..200, 100.. or ..200".to_owned()),
        (Some(from), Some(to)) if from > to => Err("the range's first number is greater than its second".to_owned()),
        (from, to) => Ok(Range { from: from.map(|value| (value, true)), to: to.map(|value| (value, true)) }),
    }
}

fn number(text: &str, measure: Measure) -> Result<f64, String> {
    let wrong = || {
        let shown: String = text.chars().take(QUOTED_CHARS_MAX).collect();
        format!("{shown:?} is no value here; expected a number such as {}", measure.example())
    };
    let (number, unit) = split(text);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let (_, factor) = measure.units().iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    Some(number * factor).filter(|value| value.is_finite()).ok_or_else(wrong)
}

/// A number and its unit. No unit begins with a character that a number may hold.
fn split(text: &str) -> (&str, &str) {
    let in_number = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-' | '+' | 'e' | 'E');
    text.split_at_checked(text.find(|letter| !in_number(letter)).unwrap_or(text.len())).unwrap_or((text, ""))
}

/// Whether the text reads as a number, or as a range of numbers, without a unit.
pub(super) fn is_plain(text: &str) -> bool {
    range("", text, Measure::Count).is_ok()
}

/// The field that `memory:` means, by the unit of the value: percent or MiB.
///
/// # Errors
/// If the value has no unit, or two different ones.
pub(super) fn memory_field(text: &str) -> Result<(NumberField, Measure), String> {
    let ends = text.split_once("..").map_or(vec![text], |(from, to)| vec![from, to]);
    let units: Vec<&str> = ends.into_iter().filter(|end| !end.is_empty()).map(|end| split(end).1).collect();
    if !units.is_empty() && units.iter().all(|unit| *unit == "%") {
        return Ok((NumberField::MemoryUsedPercent, Measure::Share));
    }
    if units.iter().any(|unit| unit.is_empty() || *unit == "%") || units.is_empty() {
        return Err("memory needs a unit: memory:>80% of the limit, or memory:>100MiB".to_owned());
    }
    Ok((NumberField::MemoryUsedMib, Measure::Size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exactly(value: f64) -> Range {
        Range { from: Some((value, true)), to: Some((value, true)) }
    }

    #[test]
    fn units_of_time_become_milliseconds() {
        for (text, ms) in
            [("500", 500.0), ("500ms", 500.0), ("1.5s", 1500.0), ("2m", 120_000.0), ("250us", 0.25), ("1e3ns", 0.001)]
        {
            assert_eq!(range("", text, Measure::Time), Ok(exactly(ms)), "{text}");
        }
    }

    #[test]
    fn comparisons_and_ranges_bound_as_they_say() {
        let bounds = |operator, text| range(operator, text, Measure::Count).map(|range| (range.from, range.to));
        assert_eq!(bounds(">", "1"), Ok((Some((1.0, false)), None)));
        assert_eq!(bounds(">=", "-1.5"), Ok((Some((-1.5, true)), None)));
        assert_eq!(bounds("<", "1"), Ok((None, Some((1.0, false)))));
        assert_eq!(bounds("<=", "1"), Ok((None, Some((1.0, true)))));
        assert_eq!(bounds("", "1..2.5"), Ok((Some((1.0, true)), Some((2.5, true)))));
        assert_eq!(bounds("", "1.."), Ok((Some((1.0, true)), None)));
        assert_eq!(bounds("", "..2"), Ok((None, Some((2.0, true)))));
    }

    #[test]
    fn what_is_no_number_says_what_is_expected() {
        for (operator, text, measure, part) in [
            ("", "fast", Measure::Time, "expected a number such as 500ms"),
            ("", "5 parsecs", Measure::Time, "expected a number such as 500ms"),
            ("", "5ms", Measure::Count, "such as 100 or 2.5"),
            ("", "nan", Measure::Count, "is no value"),
            ("", "1e999", Measure::Count, "is no value"),
            ("", "..", Measure::Count, "one end at least"),
            ("", "2..1", Measure::Count, "greater than its second"),
            (">", "1..2", Measure::Count, "needs no >"),
        ] {
            let message = range(operator, text, measure).expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn the_unit_decides_what_memory_means() {
        let percent = (NumberField::MemoryUsedPercent, Measure::Share);
        let mib = (NumberField::MemoryUsedMib, Measure::Size);
        assert_eq!(memory_field("80%"), Ok(percent));
        assert_eq!(memory_field("50%..80%"), Ok(percent));
        assert_eq!(memory_field("1GiB.."), Ok(mib));
        for text in ["80", "80..90%", "..", "50%..1GiB"] {
            assert!(memory_field(text).is_err(), "{text}");
        }
    }
}
