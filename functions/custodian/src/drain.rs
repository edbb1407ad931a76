//! The overflow, from its oldest record on, into the stream.
//!
//! A record's object is deleted after the stream holds the record. Killed in between, the next run appends it again, and
//! whoever applies the second finds it there: a drain doubles nothing.

use futures_util::future::join_all;
use tributary_model::Record;
use tributary_model::limits::DRAIN_RECORDS_MAX;
use tributary_ports::PortError;
use tributary_ports::stream::Entry;
use tributary_telemetry::CustodianFacts;

use crate::Custodian;
use crate::found::Found;

impl Custodian {
    /// Drains until nothing is left, the stream refuses, or the run has done enough.
    ///
    /// # Errors
    /// Bad luck of any kind. What was drained until then is counted.
    pub(crate) async fn drain(&self, facts: &mut CustodianFacts) -> Result<(), PortError> {
        let mut after: Option<String> = None;
        while facts.drained < DRAIN_RECORDS_MAX {
            let keys = self.overflow.list(after.as_deref(), self.settings.current().objects_concurrency).await?;
            let Some(last) = keys.last().cloned() else { return Ok(()) };
            facts.drained += self.drain_page(&keys, facts).await?;
            after = Some(last);
        }
        Ok(())
    }

    /// Drains the records under `keys`; answers how many.
    async fn drain_page(&self, keys: &[String], facts: &mut CustodianFacts) -> Result<usize, PortError> {
        let (mut drained, mut entries) = (Vec::new(), Vec::new());
        for (key, entry) in keys.iter().zip(join_all(keys.iter().map(|key| self.entry(key))).await) {
            match entry? {
                Found::Whole(entry) => {
                    entries.push(entry);
                    drained.push(key);
                }
                Found::Gone => {}
                Found::Unreadable => facts.unreadable += 1,
            }
        }
        if entries.is_empty() {
            return Ok(0);
        }
        self.stream.append(entries).await?;
        let deleted = join_all(drained.iter().map(|key| self.overflow.forget(key))).await;
        deleted.into_iter().collect::<Result<Vec<()>, PortError>>()?;
        Ok(drained.len())
    }

    async fn entry(&self, key: &str) -> Result<Found<Entry>, PortError> {
        Found::of(self.overflow.read(key).await, |data| {
            let record = Record::decode(&data).ok()?;
            Some(Entry { partition_key: record.id.to_string().into(), data })
        })
    }
}
