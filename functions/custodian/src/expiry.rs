//! Documents past their retention, out of the index once a day.

use serde::{Deserialize, Serialize};
use tributary_model::{Day, TimestampMs};
use tributary_ports::PortError;

use crate::Custodian;
use crate::kept::Kept;

/// What was done last.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Expired {
    on: Day,
}

impl Custodian {
    /// Has the index forget what is past its retention, at the first run of a day (UTC). Every region's custodian does, since
    /// any of them may be the only one left; the second one finds nothing to delete.
    ///
    /// # Errors
    /// Bad luck of any kind; the next run does it.
    pub(crate) async fn expire(&self, now: TimestampMs) -> Result<(), PortError> {
        let today = now.day();
        let mut last = Kept::<Expired>::read(self.objects.as_ref(), format!("expiry/{}.json", self.region)).await?;
        if last.value.is_some_and(|last| last.on >= today) {
            return Ok(());
        }
        self.search.expire(today).await?;
        last.replace(self.objects.as_ref(), Expired { on: today }).await
    }
}
