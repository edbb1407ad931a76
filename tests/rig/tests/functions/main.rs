//! A function's life on Lambda, by the smallest function: what starts, ends and kills its process, what each trigger gets,
//! and what a mapping does with a record that kills it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod fronts;
mod life;
mod mappings;
