//! Whether a report is taken in, and the removal of its token.
//!
//! That it is JSON within the limits of depth and count, and has the three fields that name it, is known once
//! [`Report::parse`] has read it; here is the rest.

mod token;

use std::time::Duration;

use tributary_model::limits::{REPORT_AGE_MAX, REPORT_AHEAD_MAX, REPORT_BYTES_MAX};
use tributary_model::{Reason, Rejection, Report, TimestampMs};

pub use token::without_token;

/// Admits a report that arrives at `now`.
///
/// The timestamp's window keeps the days bounded to which reports can still come: a report lands on the day of its own
/// timestamp, whenever it arrives.
///
/// # Errors
/// `TooLarge` beyond [`REPORT_BYTES_MAX`]; `InvalidField` if the timestamp lies more than [`REPORT_AGE_MAX`] before or
/// [`REPORT_AHEAD_MAX`] after `now`.
pub fn admit(report: &Report<'_>, now: TimestampMs) -> Result<(), Rejection> {
    let bytes = report.document().text().len();
    if bytes > REPORT_BYTES_MAX {
        let detail = format!("the report has {bytes} bytes; the limit is {REPORT_BYTES_MAX}");
        return Err(Rejection::new(Reason::TooLarge, detail));
    }
    let age_ms = now.0.saturating_sub(report.timestamp().0);
    if age_ms > as_ms(REPORT_AGE_MAX) {
        return Err(out_of_window(report.timestamp(), age_ms, "before", REPORT_AGE_MAX));
    }
    if age_ms < -as_ms(REPORT_AHEAD_MAX) {
        return Err(out_of_window(report.timestamp(), age_ms.saturating_neg(), "after", REPORT_AHEAD_MAX));
    }
    Ok(())
}

fn out_of_window(timestamp: TimestampMs, distance_ms: i64, side: &str, limit: Duration) -> Rejection {
    let (distance_s, limit_s) = (distance_ms / 1000, limit.as_secs());
    let detail = format!(
        "timestamp is {timestamp}, {distance_s} seconds {side} the report's arrival; \
         the limit is {limit_s} seconds {side} it"
    );
    Rejection::new(Reason::InvalidField, detail)
}

fn as_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimestampMs = TimestampMs(1_795_284_061_873);

    fn report_text(timestamp: i64, padding: usize) -> String {
        let padding = "x".repeat(padding);
        format!(r#"{{"processId":"p","aws":{{"awsRequestId":"r"}},"timestamp":{timestamp},"x":"{padding}"}}"#)
    }

    fn admit_at(timestamp: i64, padding: usize) -> Result<(), Rejection> {
        let text = report_text(timestamp, padding);
        admit(&Report::parse(text.as_bytes()).expect("a report"), NOW)
    }

    #[test]
    fn the_window_is_open_to_its_edges() {
        for (offset_ms, admitted) in [
            (0, true),
            (15 * 60 * 1000, true),
            (15 * 60 * 1000 + 1, false),
            (-8 * 24 * 60 * 60 * 1000, true),
            (-8 * 24 * 60 * 60 * 1000 - 1, false),
        ] {
            assert_eq!(admit_at(NOW.0 + offset_ms, 0).is_ok(), admitted, "{offset_ms}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_its_value_and_the_limit() {
        let old = admit_at(NOW.0 - 10 * 24 * 60 * 60 * 1000, 0).expect_err("ten days old");
        assert_eq!(old.reason, Reason::InvalidField);
        assert_eq!(
            old.detail,
            "timestamp is 2026-11-11T18:01:01.873Z, 864000 seconds before the report's arrival; \
             the limit is 691200 seconds before it"
        );
        let ahead = admit_at(8_640_000_000_000_000, 0).expect_err("the year 275760");
        assert!(ahead.detail.contains("after the report's arrival; the limit is 900 seconds after it"), "{ahead}");
    }

    #[test]
    fn a_report_may_be_as_large_as_the_limit() {
        let fixed = report_text(NOW.0, 0).len();
        assert_eq!(admit_at(NOW.0, REPORT_BYTES_MAX - fixed), Ok(()));
        let rejection = admit_at(NOW.0, REPORT_BYTES_MAX - fixed + 1).expect_err("one more");
        assert_eq!(rejection.detail, "the report has 1000001 bytes; the limit is 1000000");
        assert_eq!(rejection.reason, Reason::TooLarge);
    }
}
