//! Batches out of Kinesis events, and the answer that says what comes again.

mod given_up;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tributary_model::TimestampMs;
use tributary_model::limits::BATCH_RECORDS_MAX;
use tributary_ports::stream::{Batch, SequenceNumber, ShardId, StreamRecord};

use crate::FunctionError;

pub use given_up::read_given_up;

const EXPECTED: &str = "a Kinesis event";

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "Records", borrow)]
    records: Vec<Record<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Record<'a> {
    kinesis: Kinesis<'a>,
    #[serde(rename = "eventID", borrow)]
    event_id: Cow<'a, str>,
    #[serde(rename = "eventSourceARN", borrow)]
    stream_arn: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kinesis<'a> {
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    #[serde(borrow)]
    sequence_number: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
    /// Seconds since 1970, with milliseconds behind the point.
    approximate_arrival_timestamp: f64,
}

/// Reads an event whole: one record that can't be read fails it, since nothing of it may be passed over.
///
/// # Errors
/// If it is no Kinesis event, has no record or more than `BATCH_RECORDS_MAX`, or records of two shards.
pub fn read(payload: &str) -> Result<Batch, FunctionError> {
    let event: Event<'_> = serde_json::from_str(payload).map_err(|error| FunctionError::json(EXPECTED, &error))?;
    let first = event.records.first().ok_or_else(|| FunctionError::event(EXPECTED, "it has no records"))?;
    if event.records.len() > BATCH_RECORDS_MAX {
        let problem = format!("it has {} records; the limit is {BATCH_RECORDS_MAX}", event.records.len());
        return Err(FunctionError::event(EXPECTED, problem));
    }
    let shard = first.shard()?;
    let one_shard = |record: &Record<'_>| record.stream_arn == first.stream_arn && record.shard() == Ok(shard);
    if !event.records.iter().all(one_shard) {
        return Err(FunctionError::event(EXPECTED, "its records are of more than one shard"));
    }
    let shard = ShardId(shard.into());
    let records = event.records.iter().map(Record::record).collect::<Result<_, _>>()?;
    Ok(Batch { shard, records })
}

impl Record<'_> {
    /// `SHARD:SEQUENCE NUMBER`
    fn shard(&self) -> Result<&str, FunctionError> {
        let shard = self.event_id.split_once(':').map(|(shard, _)| shard).filter(|shard| !shard.is_empty());
        shard.ok_or_else(|| FunctionError::event(EXPECTED, "an eventID names no shard"))
    }

    fn record(&self) -> Result<StreamRecord, FunctionError> {
        let Kinesis { partition_key, sequence_number, data, approximate_arrival_timestamp } = &self.kinesis;
        if sequence_number.is_empty() || !sequence_number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(FunctionError::event(EXPECTED, "a sequenceNumber is no number"));
        }
        let decoded = STANDARD.decode(data.as_bytes());
        let data = decoded.map_err(|_| FunctionError::event(EXPECTED, "a record's data is not base64"))?;
        Ok(StreamRecord {
            sequence_number: SequenceNumber(sequence_number.as_ref().into()),
            partition_key: partition_key.as_ref().into(),
            arrived_at: arrival(*approximate_arrival_timestamp),
            data: Bytes::from(data),
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes the end of the range")]
fn arrival(seconds: f64) -> TimestampMs {
    TimestampMs((seconds * 1000.0).round() as i64)
}

/// The partial batch response. Lambda takes null, an empty list and a missing field for total success, and an item that
/// it can't read for total failure; so the list is always there and an item always a sequence number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchAnswer {
    #[serde(rename = "batchItemFailures")]
    failures: Vec<ItemFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ItemFailure {
    #[serde(rename = "itemIdentifier")]
    sequence_number: SequenceNumber,
}

impl From<Vec<SequenceNumber>> for BatchAnswer {
    /// The records to redeliver; none if all were handled.
    fn from(redeliver: Vec<SequenceNumber>) -> Self {
        Self { failures: redeliver.into_iter().map(|sequence_number| ItemFailure { sequence_number }).collect() }
    }
}

#[cfg(test)]
mod tests;
