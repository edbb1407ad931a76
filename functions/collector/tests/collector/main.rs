//! The collector from request to record: on the embedded object and key stores, with a stream that records or fails.

mod fixture;
mod reports;
mod signed;
mod statuses;
mod stream_faults;
mod tokens;
