//! Outages for people to read: an object each, and from there a row in the ledger, which may be what failed. The object stays
//! for a ledger that gets lost.

use tributary_model::limits::OUTAGES_PENDING_MAX;
use tributary_model::outages::{PENDING, WRITTEN};
use tributary_model::{Target, TimestampMs};
use tributary_ports::kept::encode;
use tributary_ports::ledger::OutageRow;
use tributary_ports::objects::Condition;
use tributary_ports::{Kept, PortError};

use crate::Custodian;
use crate::outage::Outage;

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

    /// Writes the rows that the ledger does not have, and keeps them for a ledger that gets lost. Killed before the object
    /// is deleted, the next run writes the row again, which changes nothing.
    ///
    /// # Errors
    /// Bad luck of any kind; the next run writes them.
    pub(crate) async fn write_rows(&self) -> Result<(), PortError> {
        for key in self.objects.list(PENDING, None, OUTAGES_PENDING_MAX).await? {
            let pending = Kept::<OutageRow>::read(self.objects.as_ref(), key.clone()).await?;
            let Some(row) = pending.map(|pending| pending.value) else { continue };
            self.ledger.upsert_outages(vec![row.clone()]).await?;
            self.keep_written(row).await?;
            self.objects.delete(&key).await?;
        }
        Ok(())
    }

    /// Keeps a row that the ledger has, unless a later one is kept: another run may be slow with what was known before.
    async fn keep_written(&self, row: OutageRow) -> Result<(), PortError> {
        let key = format!("{WRITTEN}{}.json", row.id);
        let written = Kept::<OutageRow>::read(self.objects.as_ref(), key.clone()).await?;
        if written.as_ref().is_none_or(|known| known.value.updated_at < row.updated_at) {
            Kept::replace(written, self.objects.as_ref(), key, row).await?;
        }
        Ok(())
    }
}
