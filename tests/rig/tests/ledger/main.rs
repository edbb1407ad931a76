//! The ledger on AWS: the adapter of `tributary-aws`, the Data API's gateway, and PostgreSQL itself.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

mod batches;
mod contract;
mod failures;
mod fixture;
mod migrations;
mod statements;
