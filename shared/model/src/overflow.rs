//! The overflow: records that the stream refused, one object each, until they are drained into it.
//!
//! A record waits here with the `received_at` that it was given at admission, so that it reaches the stores under the
//! same id and version as if the stream had taken it. One that is in the stream as well (an append whose answer was lost)
//! is "already there" for whoever applies the second.

use crate::id::ReportId;
use crate::time::TimestampMs;

/// What every object of the overflow begins with.
pub const PREFIX: &str = "overflow/";

/// The object key of a record: `overflow/<received_at, milliseconds, 13 digits>-<id>`, so that the byte order of keys is
/// the order of age. The same record has the same key, whoever writes it and however often.
#[must_use]
pub fn object_key(received_at: TimestampMs, id: ReportId) -> String {
    format!("{PREFIX}{:013}-{id}", received_at.0.max(0))
}

/// When the record under `key` was received; none if the key is not one of [`object_key`].
#[must_use]
pub fn received_at(key: &str) -> Option<TimestampMs> {
    let (at, id) = key.strip_prefix(PREFIX)?.split_once('-')?;
    let ms = at.parse().ok().filter(|_| id.parse::<ReportId>().is_ok())?;
    Some(TimestampMs(ms))
}

/// The report whose record lies under `key`; none if the key is not one of [`object_key`].
#[must_use]
pub fn report_id(key: &str) -> Option<ReportId> {
    let (at, id) = key.strip_prefix(PREFIX)?.split_once('-')?;
    id.parse().ok().filter(|_| at.parse::<i64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ProjectId;

    fn id(request: &str) -> ReportId {
        let project = ProjectId::new("shop").expect("a project's name");
        ReportId::derive(&project, "p", request, TimestampMs(1_795_284_061_873))
    }

    #[test]
    fn keys_are_in_the_order_of_age_and_tell_it() {
        let (early, late) = (TimestampMs(999_999_999_999), TimestampMs(1_795_284_061_873));
        let (first, second) = (object_key(early, id("b")), object_key(late, id("a")));
        assert!(first < second, "{first} {second}");
        assert_eq!((received_at(&first), received_at(&second)), (Some(early), Some(late)));
        assert_eq!(report_id(&second), Some(id("a")));
        assert_eq!(object_key(late, id("a")), second, "the same record has the same key");
    }

    #[test]
    fn other_keys_tell_nothing() {
        for key in ["overflow/", "overflow/12", "overflow/12-x", "dead-letters/0000000000012-x", "directory.json"] {
            assert_eq!(received_at(key), None, "{key}");
        }
    }
}
