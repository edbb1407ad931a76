//! How fast a replay reads, as a share of what a shard gives: real records, a stream that keeps to Kinesis's limit, objects
//! and stores that take as long as over a network. One thread, as the function has one processor.

mod stores;
mod stream;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join, join_all};
use tokio::time::sleep;
use tributary_embedded::keys::KeyFile;
use tributary_embedded::objects::FileObjects;
use tributary_model::limits::{KINESIS_READ_BYTES_PER_SECOND_MAX, REPLAY_BATCH_RECORDS};
use tributary_model::{Outcome, Region, Target, TimestampMs, TokenId};
use tributary_replay::{Mode, Readers, Replays, Request, Runner, progress, start};

use self::stores::{FarObjects, FarStore};
use self::stream::Pushed;
use crate::Result;
use crate::process::cpu_seconds;
use crate::records::packed;

const SIZES: [usize; 2] = [1000, 20_000];
const SHARDS: [usize; 3] = [1, 4, 8];
/// Bytes of all shards together that come while nobody reads: the window of the SDK's HTTP/2 connection (hyper's default).
const CONNECTION_WINDOW_BYTES: usize = 5 * 1024 * 1024;
/// The most of it that a shard's stream takes.
const STREAM_WINDOW_BYTES: usize = 2 * 1024 * 1024;
/// The least that HTTP/2 has (RFC 9113, 6.9.2).
const LEAST_WINDOW_BYTES: usize = 65_535;
/// Different reports of one size, more than a page has.
const REPORTS: usize = 2000;
/// What the runners have until all of them have a shard.
const WARM_UP: Duration = Duration::from_secs(2);

pub(crate) fn table(run: Duration) -> Result<()> {
    println!(
        "| report bytes | record bytes | shards | window kB | MB/s a shard | of the limit | object calls/MB | processor |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for bytes in SIZES {
        let records = packed(REPORTS, bytes, &Region::local())?;
        for shards in SHARDS {
            let share = (CONNECTION_WINDOW_BYTES / shards).min(STREAM_WINDOW_BYTES);
            for window in [LEAST_WINDOW_BYTES, share] {
                row(bytes, &records, shards, window, run)?;
            }
        }
    }
    Ok(())
}

fn row(report_bytes: usize, records: &[Bytes], shards: usize, window: usize, run: Duration) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let read = runtime.block_on(read(records, shards, window, run))?;
    let limit = as_f64(KINESIS_READ_BYTES_PER_SECOND_MAX);
    let rate = as_f64(read.bytes) / read.seconds / as_f64(shards as u64);
    println!(
        "| {report_bytes} | {} | {shards} | {} | {:.2} | {:.1} % | {:.1} | {:.0} % |",
        records.iter().map(Bytes::len).sum::<usize>() / records.len(),
        window / 1000,
        rate / 1e6,
        rate / limit * 100.0,
        as_f64(read.calls) / (as_f64(read.bytes) / 1e6),
        read.cpu_seconds / read.seconds * 100.0,
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts of a bench")]
const fn as_f64(count: u64) -> f64 {
    count as f64
}

/// What was read in a while, by all shards together.
struct Read {
    seconds: f64,
    bytes: u64,
    calls: u64,
    cpu_seconds: f64,
}

async fn read(records: &[Bytes], shards: usize, window: usize, run: Duration) -> Result<Read> {
    let folder = tempfile::tempdir()?;
    let from = now().minus(Duration::from_secs(60));
    let stream = Pushed::new(shards, window, records.to_vec(), from);
    let objects = FarObjects::new(FileObjects::open(&folder.path().join("objects"))?);
    let replays = Replays {
        streams: BTreeMap::from([(Region::local(), Arc::new(stream.clone()) as _)]),
        readers: Readers::default(),
        search: Arc::new(FarStore),
        ledger: Arc::new(FarStore),
        objects: objects.clone(),
        keys: KeyFile::open(&folder.path().join("keys"))?,
        overflows: vec![],
        settings: Arc::default(),
    };
    let replay = start(&replays, now(), &TokenId::new("bench")?, everything(from)).await?;
    let ends = Cell::new(false);
    let runners = join_all((0..shards).map(|number| work(&replays, format!("bench-{number}"), &ends)));
    let watch = async {
        sleep(WARM_UP).await;
        let (begun, bytes, calls) = (Instant::now(), stream.bytes(), objects.calls());
        let cpu = cpu_seconds(std::process::id())?;
        sleep(run).await;
        let seconds = begun.elapsed().as_secs_f64();
        let read = Read {
            seconds,
            bytes: stream.bytes() - bytes,
            calls: objects.calls() - calls,
            cpu_seconds: cpu_seconds(std::process::id())? - cpu,
        };
        ends.set(true);
        Ok::<_, crate::Error>(read)
    };
    let (read, worked) = join(watch, runners).await;
    worked.into_iter().collect::<Result<Vec<_>>>()?;
    // All that was read was applied, but for the pages that were under way.
    let done = progress(&replays, now(), &replay.id).await?.ok_or("the replay is gone")?.counts;
    let is_applied = Target::ALL.iter().all(|target| done.of(*target).of(Outcome::Applied) == done.read);
    let pages_under_way = as_f64(stream.bytes() - done.bytes) * as_f64(done.read)
        / (as_f64(done.bytes) * as_f64(REPLAY_BATCH_RECORDS as u64));
    if !is_applied || pages_under_way > as_f64(2 * shards as u64) {
        return Err(format!("{pages_under_way} pages are lost: {done:?}").into());
    }
    read
}

/// Works as the function's runners do.
async fn work(replays: &Replays, name: String, ends: &Cell<bool>) -> Result<()> {
    let mut runner = Runner::new(name);
    while !ends.get() {
        let begun = now();
        let next = runner.step(replays, begun).await?.next;
        sleep(next.wait(begun)).await;
    }
    Ok(runner.stop(replays).await?)
}

fn everything(from: TimestampMs) -> Request {
    Request {
        mode: Mode::Apply,
        from,
        to: now(),
        regions: vec![],
        shards: vec![],
        project: None,
        function: None,
        ids: vec![],
        targets: Target::ALL.to_vec(),
        records_per_second: None,
    }
}

#[expect(clippy::disallowed_methods, reason = "the one reading of a clock")]
fn now() -> TimestampMs {
    TimestampMs::from_system(std::time::SystemTime::now())
}
