//! Documents past their retention, out of the index once a day.

use serde::{Deserialize, Serialize};
use tributary_model::{Day, TimestampMs};
use tributary_ports::{Kept, PortError};

use crate::Custodian;

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
        let key = format!("expiry/{}.json", self.region);
        let last = Kept::<Expired>::read(self.objects.as_ref(), key.clone()).await?;
        if last.as_ref().is_some_and(|last| last.value.on >= today) {
            return Ok(());
        }
        self.search.expire(today).await?;
        Kept::replace(last, self.objects.as_ref(), key, Expired { on: today }).await.map(drop)
    }
}
