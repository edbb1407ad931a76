//! The six ports on AWS. Every failure becomes a [`PortError`](tributary_ports::PortError) by status and error code,
//! never by searching text.

mod connector;
#[allow(dead_code, reason = "the adapters use it")]
mod error;
pub mod sdk;
#[cfg(test)]
#[allow(dead_code, reason = "the adapters use it")]
mod testing;
