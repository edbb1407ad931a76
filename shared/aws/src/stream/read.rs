//! GetRecords at a shard's pace, with iterators that are kept from page to page.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::get_records::{GetRecordsError, GetRecordsOutput};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tributary_model::{TimestampMs, limits};
use tributary_ports::stream::{Page, Position, SequenceNumber, ShardId, StreamRecord};
use tributary_ports::{PortError, PortErrorKind};

use super::KinesisStream;
use crate::error::port_error;

const READ: &str = "stream.read";

/// The shards that this process reads.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<HashMap<ShardId, Arc<tokio::sync::Mutex<Reader>>>>);

/// What one shard's readers share. Locked while a page is read, so that all of them together keep the shard's pace.
#[derive(Debug, Default)]
struct Reader {
    /// When the shard may be read again.
    free_at: Option<Instant>,
    /// Iterators of pages to come, the oldest first.
    iterators: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    position: Position,
    iterator: String,
    since: Instant,
}

impl KinesisStream {
    pub(super) async fn read_page(
        &self,
        shard: &ShardId,
        from: &Position,
        records_max: usize,
    ) -> Result<Page, PortError> {
        let reader = self.readers.of(shard);
        let mut reader = reader.lock().await;
        if let Some(iterator) = reader.take(from) {
            match self.get_records(&mut reader, iterator, records_max).await {
                Err(error) if is_expired(&error) => {}
                answer => return answer.map_err(failed).map(|answer| reader.page(from, answer)),
            }
        }
        let iterator = self.iterator(shard, from).await?;
        let answer = self.get_records(&mut reader, iterator, records_max).await.map_err(failed)?;
        Ok(reader.page(from, answer))
    }

    async fn get_records(
        &self,
        reader: &mut Reader,
        iterator: String,
        records_max: usize,
    ) -> Result<GetRecordsOutput, SdkError<GetRecordsError, HttpResponse>> {
        let limit = i32::try_from(records_max.clamp(1, limits::STREAM_PAGE_RECORDS_MAX)).unwrap_or(i32::MAX);
        let request = self.client.get_records().shard_iterator(iterator).limit(limit).set_stream_arn(self.name.arn());
        if let Some(free_at) = reader.free_at {
            sleep_until(free_at).await;
        }
        let begun = Instant::now();
        let answer = request.send().await;
        let bytes = answer.as_ref().map_or(0, |answer| answer.records.iter().map(bytes).sum());
        reader.free_at = Some(begun + pace(bytes));
        answer
    }

    async fn iterator(&self, shard: &ShardId, from: &Position) -> Result<String, PortError> {
        let request = self
            .client
            .get_shard_iterator()
            .set_stream_name(self.name.plain())
            .set_stream_arn(self.name.arn())
            .shard_id(shard.0.as_ref());
        let request = match from {
            Position::Horizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Position::At(number) => request
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(number.0.as_ref()),
            Position::After(number) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(number.0.as_ref()),
            Position::AtTime(time) => {
                request.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(time.0))
            }
        };
        let answer = request.send().await.map_err(|error| port_error(READ, error))?;
        answer
            .shard_iterator
            .ok_or_else(|| PortError::new(PortErrorKind::Unavailable, READ, "an answer without iterator"))
    }
}

impl Readers {
    fn of(&self, shard: &ShardId) -> Arc<tokio::sync::Mutex<Reader>> {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() >= limits::KINESIS_SHARDS_KEPT_MAX && !readers.contains_key(shard) {
            // What is forgotten costs an iterator each; those under way go on with theirs.
            readers.clear();
        }
        Arc::clone(readers.entry(shard.clone()).or_default())
    }
}

impl Reader {
    /// The iterator that goes on at a position, if it still lives. It is good for one page.
    fn take(&mut self, from: &Position) -> Option<String> {
        self.iterators.retain(|kept| kept.since.elapsed() < limits::KINESIS_ITERATOR_AGE_MAX);
        let place = self.iterators.iter().position(|kept| kept.position == *from)?;
        self.iterators.remove(place).map(|kept| kept.iterator)
    }

    fn keep(&mut self, position: Position, iterator: String) {
        self.iterators.retain(|kept| kept.position != position);
        if self.iterators.len() >= limits::KINESIS_ITERATORS_MAX {
            self.iterators.pop_front();
        }
        self.iterators.push_back(Kept { position, iterator, since: Instant::now() });
    }

    /// The port's page. An empty one that is not the last has got further all the same: the position stays, and its
    /// iterator is the one behind the gap.
    fn page(&mut self, from: &Position, answer: GetRecordsOutput) -> Page {
        let behind_ms = answer.millis_behind_latest.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
        let listed = answer.records.len();
        let records = within_a_page(answer.records);
        let next = records.last().map_or_else(|| from.clone(), |last| Position::After(last.sequence_number.clone()));
        if records.len() < listed {
            return Page { records, next: Some(next), behind_ms: behind_ms.max(1) };
        }
        let Some(iterator) = answer.next_shard_iterator else {
            return Page { records, next: None, behind_ms: 0 };
        };
        self.keep(next.clone(), iterator);
        Page { records, next: Some(next), behind_ms }
    }
}

/// How long a shard rests after a page of so many bytes.
fn pace(bytes: u64) -> Duration {
    let of_bytes = Duration::from_millis(bytes.saturating_mul(1000) / limits::KINESIS_READ_BYTES_PER_SECOND_MAX);
    of_bytes.max(limits::KINESIS_READ_INTERVAL)
}

fn bytes(record: &Record) -> u64 {
    u64::try_from(record.data.as_ref().len() + record.partition_key.as_ref().map_or(0, String::len)).unwrap_or(u64::MAX)
}

/// The records of a page that are no more bytes than the port's pages have: Kinesis counts its 10 MB in its own way.
fn within_a_page(records: Vec<Record>) -> Vec<StreamRecord> {
    let mut left = limits::STREAM_PAGE_BYTES_MAX;
    let mut page = Vec::with_capacity(records.len());
    for record in records {
        match left.checked_sub(record.data.as_ref().len()) {
            Some(rest) => left = rest,
            None => break,
        }
        page.push(stream_record(record));
    }
    page
}

pub(super) fn date_time(time: TimestampMs) -> DateTime {
    DateTime::from_millis(time.0)
}

pub(super) fn stream_record(record: Record) -> StreamRecord {
    let arrived_at = record.approximate_arrival_timestamp.and_then(|time| time.to_millis().ok()).unwrap_or(0);
    StreamRecord {
        sequence_number: SequenceNumber(record.sequence_number.into()),
        partition_key: record.partition_key.unwrap_or_default().into(),
        arrived_at: TimestampMs(arrived_at),
        data: Bytes::from(record.data.into_inner()),
    }
}

fn is_expired(error: &SdkError<GetRecordsError, HttpResponse>) -> bool {
    error.as_service_error().is_some_and(GetRecordsError::is_expired_iterator_exception)
}

/// An iterator that has just been made and is expired is the stream's trouble, not the caller's.
fn failed(error: SdkError<GetRecordsError, HttpResponse>) -> PortError {
    let is_expired = is_expired(&error);
    let error = port_error(READ, error);
    if is_expired { PortError { kind: PortErrorKind::Unavailable, ..error } } else { error }
}
