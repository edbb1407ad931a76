//! A PutRecords of which some entries fail and the rest goes on.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Body, ShardLimit, State, ask, forward, operation, respond};

const THROTTLED: &str = "ProvisionedThroughputExceededException";
const FAILED: &str = "InternalFailure";
/// How long a listing of the open shards is believed.
const LISTED_FOR: Duration = Duration::from_millis(500);

/// The open shards of the streams, and what each may still take.
#[derive(Debug, Default)]
pub(super) struct Shards {
    listed: HashMap<String, (Instant, Vec<Open>)>,
    buckets: HashMap<String, Bucket>,
}

#[derive(Debug, Clone)]
struct Open {
    id: String,
    first: u128,
    last: u128,
}

#[derive(Debug)]
struct Bucket {
    left: ShardLimit,
    since: Instant,
}

pub(super) async fn answer(request: Request<Bytes>, state: &Mutex<State>) -> io::Result<Response<Body>> {
    let mut body: Value = serde_json::from_slice(request.body()).map_err(io::Error::other)?;
    let entries = body["Records"].as_array().cloned().unwrap_or_default();
    let is_limited = state.lock().unwrap().faults.shard_limit.is_some();
    let open = if is_limited { open_shards(&request, &body, state).await? } else { Vec::new() };
    let fates: Vec<Option<&str>> = {
        let mut state = state.lock().unwrap();
        entries.iter().map(|entry| state.entry(entry, &open)).collect()
    };
    if fates.iter().all(Option::is_none) {
        return forward(request, state).await;
    }
    let passed = entries.into_iter().zip(&fates).filter(|(_, fate)| fate.is_none()).map(|(entry, _)| entry);
    body["Records"] = passed.collect();
    let stored = match body["Records"].as_array() {
        Some(passed) if !passed.is_empty() => ask(&request, &operation(&request), &body, state).await?,
        _ => json!({ "Records": [], "FailedRecordCount": 0 }),
    };
    Ok(respond(200, &merged(&fates, &stored)))
}

/// The peer's answers for what passed, in the places of what was sent.
fn merged(fates: &[Option<&str>], stored: &Value) -> Value {
    let mut answers = stored["Records"].as_array().into_iter().flatten();
    let records: Vec<Value> = fates
        .iter()
        .map(|fate| match fate {
            Some(code) => json!({ "ErrorCode": code, "ErrorMessage": "a fault of the proxy" }),
            None => answers.next().cloned().unwrap_or_default(),
        })
        .collect();
    let failed = fates.iter().flatten().count() as u64 + stored["FailedRecordCount"].as_u64().unwrap_or(0);
    json!({ "Records": records, "FailedRecordCount": failed, "EncryptionType": "NONE" })
}

async fn open_shards(request: &Request<Bytes>, body: &Value, state: &Mutex<State>) -> io::Result<Vec<Open>> {
    let stream = json!({ "StreamName": body.get("StreamName"), "StreamARN": body.get("StreamARN") });
    let named = stream.as_object().into_iter().flatten().filter(|(_, name)| !name.is_null());
    let stream: Value = named.map(|(key, name)| (key.clone(), name.clone())).collect::<serde_json::Map<_, _>>().into();
    let key = stream.to_string();
    if let Some((since, open)) = state.lock().unwrap().shards.listed.get(&key)
        && since.elapsed() < LISTED_FOR
    {
        return Ok(open.clone());
    }
    let listed = ask(request, "ListShards", &stream, state).await?;
    let is_open = |shard: &&Value| shard["SequenceNumberRange"]["EndingSequenceNumber"].is_null();
    let shards = listed["Shards"].as_array().into_iter().flatten().filter(is_open);
    let open: Vec<Open> = shards.filter_map(open_shard).collect();
    state.lock().unwrap().shards.listed.insert(key, (Instant::now(), open.clone()));
    Ok(open)
}

fn open_shard(shard: &Value) -> Option<Open> {
    let key = |name: &str| shard["HashKeyRange"][name].as_str()?.parse().ok();
    let id = shard["ShardId"].as_str()?.to_owned();
    Some(Open { id, first: key("StartingHashKey")?, last: key("EndingHashKey")? })
}

impl State {
    /// The error code of an entry that fails.
    fn entry(&mut self, entry: &Value, open: &[Open]) -> Option<&'static str> {
        self.counts.entries += 1;
        let faults = self.faults.clone();
        let code = if self.meets(faults.entries_throttled) {
            THROTTLED
        } else if self.meets(faults.entries_failed) {
            FAILED
        } else if faults.shard_limit.is_some_and(|limit| !self.shards.take(entry, open, limit, Instant::now())) {
            THROTTLED
        } else {
            return None;
        };
        if code == THROTTLED {
            self.counts.entries_throttled += 1;
        } else {
            self.counts.entries_failed += 1;
        }
        Some(code)
    }
}

impl Shards {
    /// Whether the entry's shard takes it in now.
    fn take(&mut self, entry: &Value, open: &[Open], limit: ShardLimit, now: Instant) -> bool {
        let key = entry["PartitionKey"].as_str().unwrap_or_default();
        let hash = u128::from_be_bytes(Md5::digest(key.as_bytes()).into());
        let Some(shard) = open.iter().find(|shard| (shard.first..=shard.last).contains(&hash)) else { return true };
        let data = STANDARD.decode(entry["Data"].as_str().unwrap_or_default()).unwrap_or_default();
        let full = Bucket { left: limit, since: now };
        self.buckets.entry(shard.id.clone()).or_insert(full).take(key.len() + data.len(), limit, now)
    }
}

impl Bucket {
    #[expect(clippy::cast_precision_loss, reason = "a record has at most 1 MiB")]
    fn take(&mut self, bytes: usize, limit: ShardLimit, now: Instant) -> bool {
        let seconds = now.duration_since(self.since).as_secs_f64();
        self.since = now;
        let ShardLimit { bytes: bytes_left, records: records_left } = &mut self.left;
        *bytes_left = (*bytes_left + seconds * limit.bytes).min(limit.bytes);
        *records_left = (*records_left + seconds * limit.records).min(limit.records);
        // A record of the greatest size is a little more than a second's worth.
        let wanted = (bytes as f64).min(limit.bytes);
        let takes = *records_left >= 1.0 && *bytes_left >= wanted;
        if takes {
            *records_left -= 1.0;
            *bytes_left -= wanted;
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_takes_a_thousand_records_or_a_megabyte_at_once() {
        let open = [Open { id: "s".to_owned(), first: 0, last: u128::MAX }];
        for (bytes, taken) in [(1, 1000), (99_999, 10)] {
            let (mut shards, now) = (Shards::default(), Instant::now());
            let entry = json!({ "PartitionKey": "k", "Data": STANDARD.encode(vec![0; bytes]) });
            let count = (0..2000).filter(|_| shards.take(&entry, &open, ShardLimit::KINESIS, now)).count();
            assert_eq!(count, taken);
            let later = now + Duration::from_millis(500);
            let count = (0..2000).filter(|_| shards.take(&entry, &open, ShardLimit::KINESIS, later)).count();
            assert_eq!(count, taken / 2, "half of it half a second later");
        }
    }

    #[test]
    fn answers_stand_where_their_entries_stood() {
        let stored =
            json!({ "Records": [{ "SequenceNumber": "1" }, { "SequenceNumber": "2" }], "FailedRecordCount": 0 });
        let merged = merged(&[Some(THROTTLED), None, Some(FAILED), None], &stored);
        let codes: Vec<_> =
            merged["Records"].as_array().unwrap().iter().map(|record| record["ErrorCode"].as_str()).collect();
        assert_eq!(codes, [Some(THROTTLED), None, Some(FAILED), None]);
        assert_eq!(merged["Records"][3]["SequenceNumber"], "2");
        assert_eq!(merged["FailedRecordCount"], 2);
    }
}
