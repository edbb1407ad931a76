//! The project's own rules, held by a test: who may depend on whom, how long files and functions get, where limits
//! live, and that the pages' links lead somewhere.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod edges;
mod limits;
mod links;
mod sizes;
mod source;
