//! The ports on one machine: durable log, Tantivy, SQLite, files, key file, and the event source poller.

mod blocking;
mod files;
pub mod keys;
pub mod ledger;
pub mod objects;
pub mod search;
pub mod stream;
