//! Outages for people to read: an object each, and from there a row in the ledger, which may be what failed.

use tributary_model::limits::OUTAGES_PENDING_MAX;
use tributary_model::{Target, TimestampMs};
use tributary_ports::PortError;
use tributary_ports::ledger::OutageRow;
use tributary_ports::objects::Condition;

use crate::Custodian;
use crate::kept::{Kept, encode};
use crate::outage::Outage;

/// What the keys of rows begin with that the ledger does not have yet.
const PENDING: &str = "outages/pending/";

impl Custodian {
    /// Keeps what is known of an outage, until the ledger has it.
    pub(crate) async fn keep_row(
        &self,
        now: TimestampMs,
        consumer: Target,
        outage: &Outage,
        ended_at: Option<TimestampMs>,
    ) -> Result<(), PortError> {
        let row = OutageRow {
            id: outage.id.clone(),
            target: consumer,
            region: self.region.clone(),
            cause: outage.cause,
            started_at: outage.started_at,
            ended_at,
            failed_batches: outage.failed_batches,
            failed_records: outage.failed_records,
            updated_at: now,
        };
        let key = format!("{PENDING}{}.json", row.id);
        self.objects.put(&key, encode(&key, &row)?, Condition::Always).await.map(drop)
    }

    /// Writes the rows that the ledger does not have. Killed before the object is deleted, the next run writes the row
    /// again, which changes nothing.
    ///
    /// # Errors
    /// Bad luck of any kind; the next run writes them.
    pub(crate) async fn write_rows(&self) -> Result<(), PortError> {
        for key in self.objects.list(PENDING, None, OUTAGES_PENDING_MAX).await? {
            let kept = Kept::<OutageRow>::read(self.objects.as_ref(), key.clone()).await?;
            let Some(row) = kept.value else { continue };
            self.ledger.upsert_outages(vec![row]).await?;
            self.objects.delete(&key).await?;
        }
        Ok(())
    }
}
