//! A batch as a Kinesis event.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tributary_ports::stream::{ShardId, StreamRecord};

/// Bytes of an event's records, encoded, that Lambda delivers at once.
const EVENT_BYTES: usize = 6 * 1024 * 1024;
/// What an event has of each record besides its data: names, ARNs, numbers.
const RECORD_BYTES: usize = 700;

pub(super) fn of(stream_arn: &str, shard: &ShardId, records: &[StreamRecord]) -> Value {
    let region = stream_arn.split(':').nth(3).unwrap_or_default();
    let record = |record: &StreamRecord| {
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record.partition_key,
                "sequenceNumber": record.sequence_number,
                "data": STANDARD.encode(&record.data),
                "approximateArrivalTimestamp": seconds(record.arrived_at.0),
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("{}:{}", shard.0, record.sequence_number),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::123456789012:role/worker",
            "awsRegion": region,
            "eventSourceARN": stream_arn,
        })
    };
    json!({"Records": records.iter().map(record).collect::<Vec<_>>()})
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of our centuries fit into a float")]
fn seconds(at_ms: i64) -> f64 {
    at_ms as f64 / 1000.0
}

/// Where the events of a batch end, the last first: a batch whose encoded records are more than Lambda takes is several.
pub(super) fn ends(records: &[StreamRecord]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut bytes = 0;
    for (position, record) in records.iter().enumerate() {
        let more = record.data.len().div_ceil(3) * 4 + record.partition_key.len() + RECORD_BYTES;
        if bytes + more > EVENT_BYTES && bytes > 0 {
            ends.push(position);
            bytes = 0;
        }
        bytes += more;
    }
    ends.push(records.len());
    ends.reverse();
    ends
}
