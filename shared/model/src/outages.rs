//! Where the object store holds outages.

use crate::{Region, Target};

/// What the keys of rows begin with that the ledger does not have yet.
pub const PENDING: &str = "outages/pending/";

/// What the keys of rows begin with that the ledger has, or had before it was lost.
pub const WRITTEN: &str = "outages/written/";

/// The object of a consumer's outage, while it lasts: `outages/open/<region>/<consumer>.json`.
#[must_use]
pub fn open_outage_key(region: &Region, consumer: Target) -> String {
    format!("outages/open/{region}/{}.json", consumer.as_str())
}
