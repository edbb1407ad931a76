//! An event source mapping: what feeds a worker from a stream on Lambda. The project's own poller reads, and this makes
//! Kinesis events of its batches, invokes the worker and reads its answer by Lambda's rules.
//!
//! - A partial batch response names what comes again, everything from the lowest number on; null or an empty list is total
//!   success, anything that can't be read is total failure.
//! - A function error halves the batch and delivers the halves one by one, down to a single record, if bisect is on.
//! - What failed as often as `retries_max` allows goes to the on-failure destination and counts as handled.

mod answer;
mod event;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use tributary_ports::Consume;
use tributary_ports::stream::{Batch, SequenceNumber, ShardId, StreamRecord};

use crate::runtime_api::{Answer, Function};
use answer::{Failures, failures};

/// How a mapping delivers.
#[derive(Debug, Clone)]
pub struct MappingSettings {
    /// `BisectBatchOnFunctionError`
    pub bisect: bool,
    /// `MaximumRetryAttempts`; none for -1, as long as the record is kept.
    pub retries_max: Option<u32>,
    /// The folder that stands for the on-failure destination's bucket.
    pub on_failure: PathBuf,
    /// The stream's ARN.
    pub stream_arn: String,
}

/// A mapping; the poller's consumer.
pub struct Mapping {
    function: Arc<Function>,
    settings: MappingSettings,
    /// Failed deliveries, by the first record that was not handled.
    attempts: Mutex<BTreeMap<(ShardId, SequenceNumber), u32>>,
}

/// What became of a part of a batch.
enum Delivered {
    /// All of it is handled.
    Whole,
    /// The records from this position on are not.
    UpTo(usize),
    /// The function failed.
    Error(String),
}

impl Mapping {
    /// A mapping that feeds `function`.
    #[must_use]
    pub fn new(function: Arc<Function>, settings: MappingSettings) -> Self {
        Self { function, settings, attempts: Mutex::default() }
    }

    async fn deliver(&self, shard: &ShardId, records: &[StreamRecord]) -> Delivered {
        let event = event::of(&self.settings.stream_arn, shard, records);
        match self.function.invoke(event.to_string()).await {
            Answer::Error(error) => Delivered::Error(format!("{}: {}", error.kind, error.message)),
            Answer::Response(body) => match failures(&body, records) {
                Failures::None => Delivered::Whole,
                Failures::From(position) => Delivered::UpTo(position),
                Failures::All => Delivered::UpTo(0),
            },
        }
    }

    /// Counts a failed delivery of what begins with `first`; true if there is to be another one.
    fn may_retry(&self, shard: &ShardId, first: &StreamRecord) -> bool {
        let mut attempts = self.attempts.lock().expect("a lock");
        let failed = attempts.entry((shard.clone(), first.sequence_number.clone())).or_default();
        *failed += 1;
        self.settings.retries_max.is_none_or(|retries| *failed <= retries)
    }

    /// Writes what is given up, as Lambda does: where it was, why, and the records themselves.
    fn give_up(&self, shard: &ShardId, records: &[StreamRecord], why: &str) {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return };
        let object = json!({
            "requestContext": {
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": self.settings.retries_max.unwrap_or_default() + 1,
            },
            "responseContext": {"functionError": why},
            "KinesisBatchInfo": {
                "shardId": shard.0, "batchSize": records.len(), "streamArn": self.settings.stream_arn,
                "startSequenceNumber": first.sequence_number, "endSequenceNumber": last.sequence_number,
            },
            "payload": event::of(&self.settings.stream_arn, shard, records).to_string(),
        });
        let name = format!("{}-{}.json", shard.0, first.sequence_number.0);
        #[expect(clippy::disallowed_methods, reason = "a test reads it when all is over")]
        std::fs::write(self.settings.on_failure.join(name), object.to_string()).expect("the on-failure destination");
    }

    /// The objects of the on-failure destination.
    ///
    /// # Panics
    /// If they can't be read.
    #[must_use]
    pub fn given_up(&self) -> Vec<Value> {
        let entries = std::fs::read_dir(&self.settings.on_failure).expect("the on-failure destination");
        let text = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read(entry.expect("an entry").path());
        entries.map(|entry| serde_json::from_slice(&text(entry).expect("an object")).expect("JSON")).collect()
    }
}

#[async_trait]
impl Consume for Mapping {
    async fn consume(&self, batch: Batch) -> Vec<SequenceNumber> {
        let Batch { shard, records } = batch;
        let mut begin = 0;
        // Ends of the parts that wait, the nearest last.
        let mut ends = event::ends(&records);
        while let Some(end) = ends.pop() {
            let part = &records[begin..end];
            let failed = match self.deliver(&shard, part).await {
                Delivered::Whole => {
                    begin = end;
                    continue;
                }
                Delivered::Error(_) if part.len() > 1 && self.settings.bisect => {
                    ends.extend([end, begin + part.len() / 2]);
                    continue;
                }
                Delivered::UpTo(position) => (position, "partial batch response".to_owned()),
                Delivered::Error(why) => (0, why),
            };
            begin += failed.0;
            if self.may_retry(&shard, &records[begin]) {
                return records[begin..].iter().map(|record| record.sequence_number.clone()).collect();
            }
            self.give_up(&shard, &records[begin..end], &failed.1);
            begin = end;
        }
        Vec::new()
    }
}
