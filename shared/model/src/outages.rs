//! Where the object store holds outages.

use crate::{Region, Target};

/// The object of a consumer's outage, while it lasts: `outages/open/<region>/<consumer>.json`.
#[must_use]
pub fn open_outage_key(region: &Region, consumer: Target) -> String {
    format!("outages/open/{region}/{}.json", consumer.as_str())
}
