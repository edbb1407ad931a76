//! The one place where this program reads the system's clock.

use std::time::SystemTime;

use tributary_model::TimestampMs;

/// What time it is.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the wiring reads the clock, and passes the time on as a value")]
pub(crate) fn now() -> TimestampMs {
    TimestampMs::from_system(SystemTime::now())
}
