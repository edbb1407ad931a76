//! What the stream costs: `cargo bench -p tributary-embedded --bench stream`; `TMPDIR` says on which disk.
//!
//! Prints, for so many senders that each wait for their answer before the next append, how many records of 1 kB are
//! stored in a second, and the CPU time of the whole process for each (of all its threads, from /proc/self/task, so Linux
//! only); then the same for reading.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench prints, and stops where it can't go on")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Runtime;
use tributary_embedded::stream::{Clock, FileStream, StreamSettings};
use tributary_model::TimestampMs;
use tributary_ports::Stream;
use tributary_ports::stream::{Entry, Position};

/// Bytes of a record: a packed report of the published agents has 600 to 1,500.
const RECORD_BYTES: usize = 1_000;
/// Senders, and how many records they append in all.
const APPENDS: [(usize, usize); 4] = [(1, 500), (16, 10_000), (64, 40_000), (500, 200_000)];
/// Records of a page, and pages.
const PAGE: usize = 500;
const PAGES: usize = 400;

#[expect(clippy::disallowed_methods, reason = "a bench is its own caller")]
fn now() -> TimestampMs {
    TimestampMs::from_system(std::time::SystemTime::now())
}

/// CPU time of all threads until now.
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanoseconds = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(nanoseconds).sum())
}

/// Runs `work`, which handles `count` records, and prints what it cost.
fn measure(what: &str, count: usize, work: impl FnOnce()) {
    let (begun, begun_cpu) = (Instant::now(), cpu_time());
    work();
    let (wall, cpu) = (begun.elapsed(), cpu_time().saturating_sub(begun_cpu));
    let records = f64::from(u32::try_from(count).expect("a small count"));
    let per_second = records / wall.as_secs_f64();
    println!("{what:>24} {per_second:>9.0} records/s {:>7.2} µs of CPU each", cpu.as_secs_f64() * 1e6 / records);
}

/// Appends `count` records from `senders` tasks.
async fn append(stream: &Arc<FileStream>, senders: usize, count: usize) {
    let data = Bytes::from(vec![0x5a; RECORD_BYTES]);
    let send = |sender: usize| {
        let (stream, data) = (Arc::clone(stream), data.clone());
        tokio::spawn(async move {
            for record in 0..count / senders {
                let partition_key = format!("20261121-{sender:08}{record:018}").into_boxed_str();
                stream.append(vec![Entry { partition_key, data: data.clone() }]).await.expect("an append");
            }
        })
    };
    for sender in (0..senders).map(send).collect::<Vec<_>>() {
        sender.await.expect("a sender");
    }
}

/// Reads pages of one shard, from the horizon again when it is at its end.
async fn read(stream: &FileStream) {
    let shard = stream.shards().await.expect("the shards").remove(0).id;
    let mut at = Position::Horizon;
    for _ in 0..PAGES {
        let page = stream.read(&shard, &at, PAGE).await.expect("a page");
        at = page.next.filter(|_| page.behind_ms > 0).unwrap_or(Position::Horizon);
    }
}

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder");
    let stream = FileStream::open(dir.path(), StreamSettings::new(Clock::new(now))).expect("a stream");
    for (senders, count) in APPENDS {
        measure(&format!("append, {senders} senders"), count, || runtime.block_on(append(&stream, senders, count)));
    }
    measure(&format!("read, {PAGE} of a shard"), PAGE * PAGES, || runtime.block_on(read(&stream)));
}
