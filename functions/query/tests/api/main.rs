//! The read API from request to answer, on the embedded stores, into which the worker brings what is read.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's own functions fail as tests do"
)]

mod answers;
mod dead_letters;
mod fixture;
mod pages;
mod refusals;
mod replays;
