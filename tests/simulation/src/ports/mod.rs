//! The ports in memory. Each call takes its time and may fail, as the weather has it; what was done is done for good.

pub(crate) mod control;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod objects;
pub(crate) mod search;
pub(crate) mod stream;
pub(crate) mod versions;

use tributary_ports::{PortError, PortErrorKind};

/// What nobody in this world asks.
pub(crate) fn not_asked<T>(operation: &'static str) -> Result<T, PortError> {
    Err(PortError::new(PortErrorKind::Invalid, operation, "nobody in this world asks this"))
}
