//! The collector from request to record: on the embedded object and key stores, with a stream that records or fails.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test's own functions fail as tests do")]

mod fixture;
mod reports;
mod signed;
mod statuses;
mod stream_faults;
mod tokens;
