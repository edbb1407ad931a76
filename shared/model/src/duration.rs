//! The one notation for durations that people write: `500ms`, `10s`, `5m`, `12h`, `7d`.

use std::time::Duration;

/// A text that is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number and a unit, one of ms, s, m, h, d, without a space: 500ms, 10s, 5m, 12h, 7d")]
pub struct DurationError;

/// Milliseconds of each unit, the longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a duration.
///
/// # Errors
/// Unless the text is ASCII digits followed by a unit, and fits 64 bits of milliseconds.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(DurationError)?;
    let (_, unit_ms) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(DurationError)?;
    let number: u64 = number.parse().map_err(|_| DurationError)?;
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or(DurationError)
}

/// Writes a duration in the longest unit that leaves a whole number; what is below a millisecond is cut.
#[must_use]
pub fn format(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, unit_ms) =
        UNITS.into_iter().find(|(_, unit_ms)| ms != 0 && ms.is_multiple_of(*unit_ms)).unwrap_or(("s", 1000));
    format!("{}{unit}", ms / unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_written() {
        for (text, ms) in
            [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("12h", 43_200_000), ("7d", 604_800_000), ("0s", 0)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
            assert_eq!(format(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn the_longest_whole_unit_is_written() {
        assert_eq!(format(Duration::from_secs(3600)), "1h");
        assert_eq!(format(Duration::from_millis(1500)), "1500ms");
        assert_eq!(format(Duration::from_micros(1_000_900)), "1s");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", "-5s", "+5s", "5 s", "1.5s", "5S", "5w", "5sec", "٥s", "99999999999999999999s"] {
            assert_eq!(parse(text), Err(DurationError), "{text:?}");
        }
        assert_eq!(parse(&format!("{}d", u64::MAX)), Err(DurationError), "more milliseconds than 64 bits hold");
    }
}
