//! Records that can never be applied: their bytes, sealed, and the reason as an object first, then a row that points to it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tributary_model::dead_letter::{DeadLetter, object_key};
use tributary_model::limits::{DEAD_LETTER_DETAIL_BYTES_MAX, DEAD_LETTERS_BATCH_MAX};
use tributary_model::{Outcome, Record, Region, Rejection};
use tributary_ports::PortError;
use tributary_ports::envelope::seal;
use tributary_ports::keys::Purpose;
use tributary_ports::ledger::DeadLetterRow;
use tributary_ports::objects::Condition;
use tributary_ports::stream::{ShardId, StreamRecord};

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
            match self.put(position, &rejection).await {
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

    /// Names a record by its place in the stream.
    fn place(&self, position: usize) -> String {
        let number = self.batch.records.get(position).map_or("", |record| &record.sequence_number.0);
        place(&self.worker.region, &self.batch.shard, number)
    }

    /// Writes the object and answers the row that points to it.
    async fn put(&self, position: usize, rejection: &Rejection) -> Result<DeadLetterRow, PortError> {
        let record = self.record(position);
        let header = Record::decode(&record).ok();
        let id = header.as_ref().map_or_else(|| self.place(position), |header| header.id.to_string());
        let key = object_key(&id, &record);
        let sealed = seal(&*self.worker.keys, Purpose::DeadLetter, &key, &record).await?;
        let letter = DeadLetter {
            id,
            project: header.map(|header| header.project),
            reason: rejection.reason,
            detail: printable(&rejection.detail),
            target: self.worker.target.target(),
            seen_at: self.now,
            sealed_record: STANDARD.encode(sealed),
        };
        let object = Bytes::from(serde_json::to_vec(&letter).unwrap_or_default()); // texts and a time always serialise
        self.worker.objects.put(&key, object, Condition::Always).await?;
        Ok(DeadLetterRow {
            id: letter.id,
            project: letter.project,
            reason: letter.reason,
            detail: letter.detail,
            targets: vec![letter.target],
            first_seen: letter.seen_at,
            last_seen: letter.seen_at,
            object_key: key,
            record_bytes: u32::try_from(record.len()).unwrap_or(u32::MAX),
            count: 1,
        })
    }
}

fn place(region: &Region, shard: &ShardId, number: &str) -> String {
    let place = format!("record-{region}-{shard}-{number}");
    let in_key = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    place.chars().map(|letter| if in_key(letter) { letter } else { '_' }).collect()
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
    use super::*;

    #[test]
    fn a_reason_is_cut_at_a_character_and_stays_on_one_line() {
        assert_eq!(printable("a\nb\0c"), "a b c");
        let long = printable(&"ü".repeat(DEAD_LETTER_DETAIL_BYTES_MAX));
        assert_eq!((long.len(), long.chars().next()), (DEAD_LETTER_DETAIL_BYTES_MAX, Some('ü')));
        assert_eq!(printable(""), "");
    }
}
