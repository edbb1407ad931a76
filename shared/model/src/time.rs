//! Instants and days. Nothing here reads a clock: the time is read once per invocation and passed as a value.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime};

/// Milliseconds of one day.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// An instant, in milliseconds since 1970-01-01T00:00:00Z. Serialised as RFC 3339 with three decimals, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimestampMs(pub i64);

impl TimestampMs {
    /// The instant of a system clock's reading; instants before 1970 become 1970.
    #[must_use]
    pub fn from_system(at: std::time::SystemTime) -> Self {
        let since = at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// The UTC day in which this instant lies; instants outside the years 1 to 9999 take the nearest day.
    #[must_use]
    pub fn day(self) -> Day {
        let at = self.to_date_time();
        let year = u32::try_from(at.year()).unwrap_or(1);
        Day(year * 10_000 + u32::from(u8::from(at.month())) * 100 + u32::from(at.day()))
    }

    /// This instant moved by `ms`, held at the ends of the range.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This instant moved by `duration`, whole milliseconds of it, held at the end of the range.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        self.plus_ms(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }

    /// The same into the past.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        self.plus_ms(i64::try_from(duration.as_millis()).map_or(i64::MIN, i64::saturating_neg))
    }

    fn to_date_time(self) -> OffsetDateTime {
        const FIRST_MS: i64 = -62_135_596_800_000; // 0001-01-01
        const LAST_MS: i64 = 253_402_300_799_999; // 9999-12-31
        let ms = self.0.clamp(FIRST_MS, LAST_MS);
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for TimestampMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.to_date_time();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
    }
}

impl FromStr for TimestampMs {
    type Err = TimeError;

    /// Reads RFC 3339; decimals beyond milliseconds are cut.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimeError(text.chars().take(64).collect()))?;
        Ok(Self(i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)))
    }
}

impl Serialize for TimestampMs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimestampMs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A UTC calendar day as the number `yyyymmdd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub u32);

impl Day {
    /// Checks that the number is a calendar day.
    ///
    /// # Errors
    /// If it is none (20260230, 0, ...).
    pub fn new(yyyymmdd: u32) -> Result<Self, TimeError> {
        Self(yyyymmdd).date().map(|_| Self(yyyymmdd)).ok_or_else(|| TimeError(yyyymmdd.to_string()))
    }

    /// The day's first instant; a number that is no day counts as 1970-01-01.
    #[must_use]
    pub fn start(self) -> TimestampMs {
        let date = self.date().unwrap_or(OffsetDateTime::UNIX_EPOCH.date());
        TimestampMs(date.midnight().assume_utc().unix_timestamp().saturating_mul(1000))
    }

    /// The day `days` later.
    #[must_use]
    pub fn plus_days(self, days: u16) -> Self {
        self.start().plus_ms(i64::from(days) * DAY_MS).day()
    }

    fn date(self) -> Option<Date> {
        let year = i32::try_from(self.0 / 10_000).ok()?;
        let month = Month::try_from(u8::try_from(self.0 / 100 % 100).ok()?).ok()?;
        let day = u8::try_from(self.0 % 100).ok()?;
        if !(1..=9999).contains(&year) {
            return None;
        }
        Date::from_calendar_date(year, month, day).ok()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.0)
    }
}

/// A text or number that is no instant or day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time of the form 2026-11-21T18:01:01.937Z or a day of the form 20261121")]
pub struct TimeError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_prints_as_rfc_3339_and_reads_back() {
        let at = TimestampMs(1_795_284_061_873);
        assert_eq!(at.to_string(), "2026-11-21T18:01:01.873Z");
        assert_eq!(at.to_string().parse(), Ok(at));
        assert_eq!("2026-11-21T19:01:01.8739+01:00".parse(), Ok(at));
    }

    #[test]
    fn extreme_instants_have_a_day() {
        assert_eq!(TimestampMs(i64::MIN).day(), Day(10_101));
        assert_eq!(TimestampMs(i64::MAX).day(), Day(99_991_231));
    }

    #[test]
    fn days_follow_the_calendar() {
        assert_eq!(Day(20_240_228).plus_days(2), Day(20_240_301));
        assert!(Day::new(20_260_229).is_err());
        assert!(Day::new(0).is_err());
        assert_eq!(Day(20_261_121).start().to_string(), "2026-11-21T00:00:00.000Z");
    }
}
