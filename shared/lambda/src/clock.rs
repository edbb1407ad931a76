//! The one place where a function's binary reads the clock.

use std::time::{Instant, SystemTime};

use lambda_runtime::Context;
use tributary_model::TimestampMs;

/// When an invocation began.
#[derive(Debug, Clone, Copy)]
pub struct Invoked {
    /// What a handler takes as the time.
    pub at: TimestampMs,
    /// When Lambda ends it, if it has not ended by itself.
    pub until: TimestampMs,
    begun: Instant,
}

impl Invoked {
    /// An invocation that begins now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the wiring reads the clock, and passes the time on as a value")]
    pub(crate) fn now(context: &Context) -> Self {
        let until = TimestampMs(i64::try_from(context.deadline).unwrap_or(i64::MAX));
        Self { at: TimestampMs::from_system(SystemTime::now()), until, begun: Instant::now() }
    }

    /// The time now, for work that goes on for minutes.
    #[must_use]
    pub fn clock(&self) -> TimestampMs {
        self.at.plus_ms(i64::try_from(self.elapsed_ms()).unwrap_or(i64::MAX))
    }

    /// Microseconds since it began.
    #[must_use]
    pub fn elapsed_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since it began.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        self.elapsed_us() / 1000
    }
}
