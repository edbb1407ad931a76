//! The six ports on AWS. Every failure becomes a [`PortError`](tributary_ports::PortError) by status and error code,
//! never by searching text.

mod connector;
pub mod control;
pub mod directory;
mod error;
pub mod invocation;
pub mod keys;
pub mod ledger;
pub mod objects;
pub mod sdk;
pub mod search;
pub mod stream;
#[cfg(test)]
mod testing;
