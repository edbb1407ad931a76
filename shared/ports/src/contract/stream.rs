//! What every stream keeps to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tributary_model::{TimestampMs, limits};

use crate::stream::{Entry, OperatedStream, Page, Position, Reader, SequenceNumber, ShardId, StreamRecord};
use crate::{PortErrorKind, Stream};

/// Runs every case, each on a stream that `fresh` makes, with at most 8 shards.
pub async fn all(fresh: impl AsyncFn() -> Arc<dyn Stream>) {
    a_fresh_stream_has_shards_and_no_records(&*fresh().await).await;
    what_was_appended_is_read_as_it_was(&*fresh().await).await;
    the_numbers_of_a_shard_ascend_in_the_order_of_appending(&*fresh().await).await;
    a_partition_key_stays_in_its_shard_and_keys_spread(&*fresh().await).await;
    nothing_is_appended_by_an_empty_append(&*fresh().await).await;
    a_page_holds_no_more_records_than_asked_for(&*fresh().await).await;
    a_page_holds_no_more_bytes_than_a_page_may(&*fresh().await).await;
    reading_goes_on_where_a_page_ended(&*fresh().await).await;
    every_position_begins_where_it_says(&*fresh().await).await;
    a_time_divides_a_shard(&*fresh().await).await;
    an_entry_that_can_not_be_stored_keeps_its_neighbours_out(&*fresh().await).await;
    an_unknown_shard_is_not_found(&*fresh().await).await;
    appends_at_once_are_all_stored(fresh().await).await;
}

/// Runs every case of a stream as its operators see it, each on one that `fresh` makes, with at most 8 shards.
pub async fn operated(fresh: impl AsyncFn() -> Arc<dyn OperatedStream>) {
    a_reader_reads_what_the_stream_holds(&*fresh().await).await;
    a_reader_begins_where_it_is_told(&*fresh().await).await;
    a_reader_is_made_and_removed_as_often_as_asked(&*fresh().await).await;
    a_retention_is_kept_at_least(&*fresh().await).await;
}

/// An entry under `key`.
fn entry(key: &str, data: impl Into<Bytes>) -> Entry {
    Entry { partition_key: key.into(), data: data.into() }
}

async fn append(stream: &dyn Stream, entries: Vec<Entry>) -> Vec<SequenceNumber> {
    let count = entries.len();
    let numbers = stream.append(entries).await.expect("an append");
    assert_eq!(numbers.len(), count, "a number for each entry");
    numbers
}

/// Appends `count` records under one key and answers their shard and numbers, in the shard's order.
async fn append_to_one_shard(stream: &dyn Stream, count: usize) -> (ShardId, Vec<SequenceNumber>) {
    let entries = (0..count).map(|place| entry("one key", format!("record {place}"))).collect();
    let mut numbers = append(stream, entries).await;
    numbers.sort();
    for (shard, records) in read_all(stream).await {
        if !records.is_empty() {
            return (shard, numbers);
        }
    }
    panic!("nothing of {count} records can be read")
}

async fn page(stream: &dyn Stream, shard: &ShardId, from: &Position, records_max: usize) -> Page {
    stream.read(shard, from, records_max).await.expect("a page")
}

/// Everything from a position on, in pages of at most `records_max`.
async fn read_from(stream: &dyn Stream, shard: &ShardId, from: Position, records_max: usize) -> Vec<StreamRecord> {
    let mut records = Vec::new();
    let mut at = from;
    loop {
        let mut read = page(stream, shard, &at, records_max).await;
        assert!(read.records.len() <= records_max, "{} records of at most {records_max}", read.records.len());
        let ended = read.records.is_empty() && read.behind_ms == 0;
        records.append(&mut read.records);
        match read.next {
            Some(next) if !ended => at = next,
            _ => return records,
        }
    }
}

/// Everything, by shard.
async fn read_all(stream: &dyn Stream) -> BTreeMap<ShardId, Vec<StreamRecord>> {
    let mut all = BTreeMap::new();
    for shard in stream.shards().await.expect("the shards") {
        let records = read_from(stream, &shard.id, Position::Horizon, 1000).await;
        all.insert(shard.id, records);
    }
    all
}

fn numbers_of(records: &[StreamRecord]) -> Vec<SequenceNumber> {
    records.iter().map(|record| record.sequence_number.clone()).collect()
}

async fn a_fresh_stream_has_shards_and_no_records(stream: &dyn Stream) {
    let shards = stream.shards().await.expect("the shards");
    assert!(!shards.is_empty());
    let mut before = BTreeSet::new();
    for shard in shards {
        assert!(shard.parents.iter().all(|parent| before.contains(parent)), "parents are listed before {}", shard.id);
        let page = page(stream, &shard.id, &Position::Horizon, 10).await;
        assert_eq!((page.records.len(), page.behind_ms), (0, 0));
        assert!(page.next.is_some(), "a shard that is open has no end");
        before.insert(shard.id);
    }
}

async fn what_was_appended_is_read_as_it_was(stream: &dyn Stream) {
    let longest_key = "k".repeat(limits::PARTITION_KEY_BYTES_MAX);
    let largest = vec![0xa5; limits::RECORD_BYTES_MAX - 1];
    let entries = vec![
        entry("plain", "text"),
        entry("Schlüssel 鍵", vec![0, 255, 10, 13]),
        entry(&longest_key, "x"),
        entry("nothing", Bytes::new()),
        entry("l", largest),
    ];
    let numbers = append(stream, entries.clone()).await;
    let read: Vec<StreamRecord> = read_all(stream).await.into_values().flatten().collect();
    assert_eq!(read.len(), entries.len());
    for (entry, number) in entries.iter().zip(&numbers) {
        let record = read.iter().find(|record| record.partition_key == entry.partition_key).expect("the record");
        assert_eq!((record.data == entry.data, &record.sequence_number), (true, number));
    }
}

async fn the_numbers_of_a_shard_ascend_in_the_order_of_appending(stream: &dyn Stream) {
    let mut appended = Vec::new();
    for round in 0..3 {
        let entries = (0..20).map(|place| entry("one key", format!("{round}/{place}"))).collect();
        let mut numbers = append(stream, entries).await;
        numbers.sort();
        appended.append(&mut numbers);
    }
    assert!(appended.is_sorted_by(|a, b| a < b), "{appended:?}");
    let read = read_all(stream).await.into_values().find(|records| !records.is_empty()).expect("a shard with records");
    assert_eq!(numbers_of(&read), appended);
    let last: BTreeSet<Bytes> = read.iter().skip(40).map(|record| record.data.clone()).collect();
    assert_eq!(last, (0..20).map(|place| Bytes::from(format!("2/{place}"))).collect());
}

async fn a_partition_key_stays_in_its_shard_and_keys_spread(stream: &dyn Stream) {
    let keys: Vec<String> = (0..400).map(|key| format!("key {key}")).collect();
    for _ in 0..2 {
        append(stream, keys.iter().map(|key| entry(key, key.clone())).collect()).await;
    }
    let mut shard_of_key = BTreeMap::new();
    for (shard, records) in read_all(stream).await {
        assert!(!records.is_empty(), "{shard} got none of 400 keys");
        for record in records {
            let before = shard_of_key.insert(record.partition_key.clone(), shard.clone());
            assert!(before.is_none_or(|before| before == shard), "{} is in two shards", record.partition_key);
        }
    }
    assert_eq!(shard_of_key.len(), keys.len());
}

async fn nothing_is_appended_by_an_empty_append(stream: &dyn Stream) {
    assert_eq!(append(stream, Vec::new()).await, []);
    assert!(read_all(stream).await.values().all(Vec::is_empty));
}

async fn a_page_holds_no_more_records_than_asked_for(stream: &dyn Stream) {
    let (shard, numbers) = append_to_one_shard(stream, 10).await;
    for records_max in [1, 3, 10, 11, usize::MAX] {
        let read = read_from(stream, &shard, Position::Horizon, records_max).await;
        assert_eq!(numbers_of(&read), numbers, "pages of {records_max}");
    }
}

async fn a_page_holds_no_more_bytes_than_a_page_may(stream: &dyn Stream) {
    let large = Bytes::from(vec![7; 1_000_000]);
    let mut numbers = Vec::new();
    for _ in 0..4 {
        numbers.append(&mut append(stream, vec![entry("one key", large.clone()); 4]).await);
    }
    numbers.sort();
    let (shard, all) = read_all(stream).await.into_iter().find(|(_, records)| !records.is_empty()).expect("a shard");
    assert_eq!(numbers_of(&all), numbers);
    let first = page(stream, &shard, &Position::Horizon, 1000).await;
    let bytes: usize = first.records.iter().map(|record| record.data.len()).sum();
    assert!((1..=limits::STREAM_PAGE_BYTES_MAX).contains(&bytes), "{bytes} bytes");
    assert!(first.behind_ms > 0, "more follows");
}

async fn reading_goes_on_where_a_page_ended(stream: &dyn Stream) {
    let (shard, first) = append_to_one_shard(stream, 5).await;
    let mut at = Position::Horizon;
    while let Page { next: Some(next), behind_ms, records } = page(stream, &shard, &at, 2).await {
        at = next;
        if behind_ms == 0 && records.is_empty() {
            break;
        }
    }
    let (_, second) = append_to_one_shard(stream, 5).await;
    assert_eq!(numbers_of(&read_from(stream, &shard, at, 2).await), second, "after {first:?}");
}

async fn every_position_begins_where_it_says(stream: &dyn Stream) {
    let (shard, numbers) = append_to_one_shard(stream, 5).await;
    let third = numbers.get(2).expect("a third").clone();
    let last = numbers.get(4).expect("a last").clone();
    let cases = [
        (Position::Horizon, 0..5),
        (Position::At(third.clone()), 2..5),
        (Position::After(third), 3..5),
        (Position::At(last.clone()), 4..5),
        (Position::After(last), 5..5),
        (Position::AtTime(TimestampMs(0)), 0..5),
    ];
    for (position, expected) in cases {
        let read = read_from(stream, &shard, position.clone(), 1000).await;
        assert_eq!(numbers_of(&read), numbers.get(expected).expect("a part"), "{position:?}");
    }
}

async fn a_time_divides_a_shard(stream: &dyn Stream) {
    let (shard, numbers) = append_to_one_shard(stream, 5).await;
    let records = read_from(stream, &shard, Position::Horizon, 1000).await;
    for record in &records {
        let read = read_from(stream, &shard, Position::AtTime(record.arrived_at), 1000).await;
        let first = records.iter().position(|other| other.arrived_at >= record.arrived_at).expect("itself at least");
        assert!(numbers_of(&read).ends_with(numbers.get(first..).expect("a part")), "{:?}", record.arrived_at);
        let earliest = record.arrived_at.plus_ms(-1);
        assert!(read.iter().all(|read| read.arrived_at >= earliest), "{:?}: {read:?}", record.arrived_at);
    }
    let newest = records.iter().map(|record| record.arrived_at).max().expect("a record");
    let read = read_from(stream, &shard, Position::AtTime(newest.plus_ms(2)), 1000).await;
    assert_eq!(read, [], "nothing has arrived later");
}

async fn an_entry_that_can_not_be_stored_keeps_its_neighbours_out(stream: &dyn Stream) {
    let long_key = "k".repeat(limits::PARTITION_KEY_BYTES_MAX + 1);
    let bad = [
        entry("", "no key"),
        entry(&long_key, "a key that is too long"),
        entry("k", vec![0; limits::RECORD_BYTES_MAX]),
    ];
    for bad in bad {
        let error = stream.append(vec![entry("good", "data"), bad]).await.expect_err("a refusal");
        assert_eq!(error.kind, PortErrorKind::Invalid, "{error}");
    }
    assert!(read_all(stream).await.values().all(Vec::is_empty));
}

async fn an_unknown_shard_is_not_found(stream: &dyn Stream) {
    let error = stream.read(&ShardId("no-such-shard".into()), &Position::Horizon, 1).await.expect_err("a refusal");
    assert_eq!(error.kind, PortErrorKind::NotFound, "{error}");
}

async fn appends_at_once_are_all_stored(stream: Arc<dyn Stream>) {
    let appends: Vec<_> = (0..50)
        .map(|task| {
            let stream = Arc::clone(&stream);
            let entries = (0..4).map(|place| entry(&format!("key {task}"), format!("{task}/{place}"))).collect();
            tokio::spawn(async move { append(&*stream, entries).await })
        })
        .collect();
    let mut appended = BTreeSet::new();
    for numbers in appends {
        appended.extend(numbers.await.expect("an append that ends"));
    }
    assert_eq!(appended.len(), 200, "no number is given twice");
    let read = read_all(&*stream).await;
    let data: BTreeSet<Bytes> = read.values().flatten().map(|record| record.data.clone()).collect();
    assert_eq!(data.len(), 200);
    assert_eq!(read.values().flatten().map(|record| record.sequence_number.clone()).collect::<BTreeSet<_>>(), appended);
}

/// Everything of a shard that a reader finds from a position on, in pages of two.
async fn read_by(reader: &dyn Reader, shard: &ShardId, from: Position) -> Vec<StreamRecord> {
    let mut records = Vec::new();
    let mut at = from;
    loop {
        let mut page = reader.read(shard, &at, 2).await.expect("a page");
        assert!(page.records.len() <= 2, "{} records of at most 2", page.records.len());
        let ended = page.records.is_empty() && page.behind_ms == 0;
        records.append(&mut page.records);
        match page.next {
            Some(next) if !ended => at = next,
            _ => return records,
        }
    }
}

async fn a_reader_reads_what_the_stream_holds(stream: &dyn OperatedStream) {
    let entries = (0..20).map(|place| entry(&format!("key {place}"), format!("data {place}"))).collect();
    append(stream, entries).await;
    let reader = stream.reader("replay-1").await.expect("a reader");
    for (shard, records) in read_all(stream).await {
        assert_eq!(read_by(&*reader, &shard, Position::Horizon).await, records, "{shard}");
    }
}

async fn a_reader_begins_where_it_is_told(stream: &dyn OperatedStream) {
    let (shard, numbers) = append_to_one_shard(stream, 5).await;
    let reader = stream.reader("replay-1").await.expect("a reader");
    let third = numbers.get(2).expect("a third").clone();
    let cases =
        [(Position::At(third.clone()), 2..5), (Position::After(third), 3..5), (Position::AtTime(TimestampMs(0)), 0..5)];
    for (position, expected) in cases {
        let read = read_by(&*reader, &shard, position.clone()).await;
        assert_eq!(numbers_of(&read), numbers.get(expected).expect("a part"), "{position:?}");
    }
}

async fn a_reader_is_made_and_removed_as_often_as_asked(stream: &dyn OperatedStream) {
    for _ in 0..2 {
        stream.reader("replay-1").await.expect("a reader");
    }
    stream.reader("replay-2").await.expect("another reader");
    for _ in 0..2 {
        stream.remove_reader("replay-1").await.expect("a removal");
    }
    stream.reader("replay-1").await.expect("a reader again");
}

async fn a_retention_is_kept_at_least(stream: &dyn OperatedStream) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    for retention in [DAY * 7, DAY * 365, DAY * 30, DAY * 30, DAY] {
        stream.set_retention(retention).await.expect("a retention");
        assert_eq!(stream.retention().await.expect("the retention"), retention);
    }
    stream.set_retention(DAY + Duration::from_secs(1)).await.expect("a retention");
    let kept = stream.retention().await.expect("the retention");
    assert!((DAY + Duration::from_secs(1)..DAY * 2).contains(&kept), "{kept:?}");
    let error = stream.set_retention(limits::STREAM_RETENTION_MAX + DAY).await.expect_err("a refusal");
    assert_eq!(error.kind, PortErrorKind::Invalid, "{error}");
    assert_eq!(stream.retention().await.expect("the retention"), kept);
}
