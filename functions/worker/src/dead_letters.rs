//! Records that can never be applied: their bytes, sealed, and the reason as an object first, then a row that points to it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::try_join_all;
use tributary_model::dead_letter::{DeadLetter, object_key};
use tributary_model::limits::{DEAD_LETTER_DETAIL_BYTES_MAX, DEAD_LETTERS_BATCH_MAX, GIVEN_UP_AT_ONCE};
use tributary_model::{Outcome, Reason, Record, Region, Rejection, TimestampMs};
use tributary_ports::PortError;
use tributary_ports::envelope::seal;
use tributary_ports::keys::Purpose;
use tributary_ports::ledger::DeadLetterRow;
use tributary_ports::objects::Condition;
use tributary_ports::stream::{Batch, ShardId, StreamRecord};

use crate::Worker;
use crate::run::Run;

impl Run<'_> {
    /// Writes the dead letters and ends their records. Whatever can't be written is redelivered, and so is what would
    /// be more than [`DEAD_LETTERS_BATCH_MAX`]; the others of the batch have their ends already.
    pub(crate) async fn write_dead_letters(&mut self) {
        let mut rejected = std::mem::take(&mut self.rejected);
        rejected.sort_by_key(|(position, _)| *position);
        if rejected.len() > DEAD_LETTERS_BATCH_MAX {
            self.note(format_args!("{} dead letters; one batch writes {DEAD_LETTERS_BATCH_MAX}", rejected.len()));
            rejected.truncate(DEAD_LETTERS_BATCH_MAX);
        }
        let mut positions = Vec::new();
        let mut rows = Vec::new();
        for (position, rejection) in rejected {
            let Some(record) = self.batch.records.get(position) else { continue };
            match self.worker.put(self.now, &self.batch.shard, record, &rejection).await {
                Ok(row) => {
                    positions.push(position);
                    rows.push(row);
                }
                // Everything behind this record comes again with it: the checkpoint stays in front of it.
                Err(error) => {
                    self.note(error);
                    break;
                }
            }
        }
        self.write_rows(&positions, rows).await;
    }

    async fn write_rows(&mut self, positions: &[usize], rows: Vec<DeadLetterRow>) {
        if rows.is_empty() {
            return;
        }
        match self.worker.ledger.upsert_dead_letters(rows).await {
            Ok(()) => positions.iter().for_each(|position| self.endings.end(*position, Outcome::DeadLettered)),
            Err(error) => self.note(error),
        }
    }
}

impl Worker {
    /// Makes a dead letter of every record of a batch that its consumer gave up; `detail` says after what. Done again, it
    /// leaves the same letters.
    ///
    /// # Errors
    /// Bad luck of any kind. What was written until then stays, and the batch has to be given up again.
    pub async fn give_up(&self, now: TimestampMs, batch: &Batch, detail: &str) -> Result<(), PortError> {
        let rejection = Rejection::new(Reason::Exhausted, detail);
        for part in batch.records.chunks(GIVEN_UP_AT_ONCE) {
            let rows = part.iter().map(|record| self.put(now, &batch.shard, record, &rejection));
            self.ledger.upsert_dead_letters(try_join_all(rows).await?).await?;
        }
        Ok(())
    }

    /// Writes the object and answers the row that points to it.
    async fn put(
        &self,
        now: TimestampMs,
        shard: &ShardId,
        record: &StreamRecord,
        rejection: &Rejection,
    ) -> Result<DeadLetterRow, PortError> {
        let project = Record::decode(&record.data).ok().map(|header| header.project);
        let id = dead_letter_id(&self.region, shard, record);
        let key = object_key(&id, &record.data);
        let sealed = seal(&*self.keys, Purpose::DeadLetter, &key, &record.data).await?;
        let letter = DeadLetter {
            id,
            project,
            reason: rejection.reason,
            detail: printable(&rejection.detail),
            target: self.target.target(),
            seen_at: now,
            sealed_record: STANDARD.encode(sealed),
        };
        let object = Bytes::from(serde_json::to_vec(&letter).unwrap_or_default()); // texts and a time always serialise
        self.objects.put(&key, object, Condition::Always).await?;
        Ok(DeadLetterRow {
            id: letter.id,
            project: letter.project,
            reason: letter.reason,
            detail: letter.detail,
            targets: vec![letter.target],
            first_seen: letter.seen_at,
            last_seen: letter.seen_at,
            object_key: key,
            record_bytes: u32::try_from(record.data.len()).unwrap_or(u32::MAX),
            count: 1,
        })
    }
}

fn place(region: &Region, shard: &ShardId, number: &str) -> String {
    let place = format!("record-{region}-{shard}-{number}");
    let in_key = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    // A key has no upper-case letters; Kinesis's shards, `shardId-000000000000`, do.
    place.chars().map(|letter| if in_key(letter) { letter.to_ascii_lowercase() } else { '_' }).collect()
}

/// The id that a record's dead letter has: its report's if its header can be read, else its place in the stream.
#[must_use]
pub fn dead_letter_id(region: &Region, shard: &ShardId, record: &StreamRecord) -> String {
    let header = Record::decode(&record.data).ok();
    header.map_or_else(|| place(region, shard, &record.sequence_number.0), |header| header.id.to_string())
}

/// A reason as it can be stored and shown anywhere: of bounded length and on one line.
fn printable(detail: &str) -> String {
    let mut text = String::new();
    for letter in detail.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        if text.len() + letter.len_utf8() > DEAD_LETTER_DETAIL_BYTES_MAX {
            break;
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use tributary_ports::objects::is_key;

    use super::*;

    /// Or the dead letter could never be written, and the record would hold its shard.
    #[test]
    fn a_place_in_any_stream_names_an_object() {
        for (shard, number) in [("shardId-000000000007", "4960118965842235937883629"), ("0", "7"), ("a/b c", "ß")] {
            let place = place(&Region::local(), &ShardId(shard.into()), number);
            assert!(is_key(&object_key(&place, b"no record")), "{place}");
        }
    }

    #[test]
    fn a_reason_is_cut_at_a_character_and_stays_on_one_line() {
        assert_eq!(printable("a\nb\0c"), "a b c");
        let long = printable(&"ü".repeat(DEAD_LETTER_DETAIL_BYTES_MAX));
        assert_eq!((long.len(), long.chars().next()), (DEAD_LETTER_DETAIL_BYTES_MAX, Some('ü')));
        assert_eq!(printable(""), "");
    }
}
