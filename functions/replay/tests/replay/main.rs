//! Replays of a stream in memory into the embedded stores.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod audits;
mod faults;
mod letters;
mod pace;
mod ranges;
mod runs;
mod world;
