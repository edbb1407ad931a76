//! Starts the protocol peers that stand for AWS: each a process or a server of its own on 127.0.0.1, gone when it is
//! dropped. What goes wrong panics, since only tests use this.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

pub mod process;
