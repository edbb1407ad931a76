//! Load for minutes while one thing after another goes wrong, drawn from a seed: the stream, both stores, their
//! credentials, the workers, the shards. In the end all heals, and receipts, audit and counts say that nothing is missing,
//! doubled or differing. `cargo xtask soak` runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "a test, which tells its story")]

#[path = "../world/mod.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod world;

mod fault;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use fault::Fault;
use world::World;

const MINUTES: u64 = 20;
const SEED: u64 = 1;
/// Reports a second: some 10,000 in 20 minutes. kinesis-local 0.6 hashes all records of a shard for each entry of PutRecords, and
/// looks through them for each GetRecords: with many more it does nothing else.
const RATE: u32 = 8;
/// Seconds that a fault lasts, and those of peace after it.
const FAULT_SECONDS: std::ops::Range<u64> = 5..25;
const PEACE_SECONDS: std::ops::Range<u64> = 1..15;
/// Records of a page of the audit.
const AUDIT_PAGE_RECORDS: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_whatever_goes_wrong() {
    let minutes = setting("SOAK_MINUTES").unwrap_or(MINUTES);
    let seed = setting("SOAK_SEED").unwrap_or(SEED);
    let mut world = Box::pin(World::start(seed)).await;
    world.page_by(AUDIT_PAGE_RECORDS);
    let mut random = StdRng::seed_from_u64(seed);
    let load = world.load_for(Duration::from_secs(minutes * 60), RATE, seed);
    let begun = Instant::now();
    while !load.is_finished() {
        let fault = Fault::ALL[random.random_range(0..Fault::ALL.len())];
        let lasts = Duration::from_secs(random.random_range(FAULT_SECONDS));
        println!("{:>5} s  {fault:?} for {} s", begun.elapsed().as_secs(), lasts.as_secs());
        fault.begin(&mut world, &mut random).await;
        world.goes_on_for(lasts).await;
        fault.end(&mut world).await;
        world.goes_on_for(Duration::from_secs(random.random_range(PEACE_SECONDS))).await;
    }
    let summary = load.await.unwrap();
    println!("{:>5} s  all heals\n{summary}", begun.elapsed().as_secs());
    assert_eq!(summary.stopped, None);
    world.is_whole().await;
    world.is_proven().await;
    println!(
        "{:>5} s  {} receipts, {} documents, {} rows, {} batches, {:?}",
        begun.elapsed().as_secs(),
        world.receipts().len(),
        world.documents().await,
        world.rows().await,
        world.deliveries_of_all(),
        world.installation.proxy.counts()
    );
    world.stop().await;
}

/// A number that `cargo xtask soak` was given.
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?;
    Some(text.to_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{name} is no number: {text:?}")))
}
