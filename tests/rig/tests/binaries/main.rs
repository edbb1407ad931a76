//! The functions' binaries as they are deployed: what they say of bad settings, what each front door gets of the collector,
//! and what becomes of a batch whose worker is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../installation/mod.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod installation;

mod collector;
mod custodian;
mod settings;
mod worker;
