//! The ports on one machine: durable log, Tantivy, SQLite, files, key file, and the event source poller.

mod blocking;
pub mod control;
mod files;
pub mod keys;
pub mod ledger;
pub mod objects;
pub mod poller;
pub mod search;
pub mod stream;
