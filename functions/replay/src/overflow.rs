//! What was acknowledged and is not in the stream yet.

use std::collections::BTreeSet;

use tributary_model::ReportId;
use tributary_model::limits::{AUDIT_OVERFLOW_MAX, OBJECTS_PAGE_MAX};
use tributary_model::overflow::report_id;
use tributary_ports::PortError;

use crate::Replays;

/// The reports that wait in the overflows, the oldest first, up to [`AUDIT_OVERFLOW_MAX`]: they are not lost, whatever the
/// stores lack.
///
/// # Errors
/// Bad luck of any kind.
pub(crate) async fn waiting(replays: &Replays) -> Result<BTreeSet<ReportId>, PortError> {
    let mut found = BTreeSet::new();
    for overflow in &replays.overflows {
        let mut after: Option<String> = None;
        while found.len() < AUDIT_OVERFLOW_MAX {
            let keys = overflow.list(after.as_deref(), OBJECTS_PAGE_MAX).await?;
            found.extend(keys.iter().filter_map(|key| report_id(key)));
            match keys.into_iter().next_back() {
                Some(last) => after = Some(last),
                None => break,
            }
        }
    }
    Ok(found)
}
