//! What a pipeline of the real binaries comes through, against the real stores: a store that is away for longer than its
//! consumer is patient, credentials that are revoked, an index that is deleted, shards that split and merge. In the end
//! both stores have each acknowledged report, once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test, which tells what it waits for when it fails"
)]

#[path = "../world/mod.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod world;

mod expired;
mod rebuilt;
mod resharded;
mod revoked;
mod stopped;

use world::World;

/// Of what goes wrong in between, and of what is sent.
const SEED: u64 = 2026;

/// One start of the peers for all of it: they take longer to start than a store is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_is_waited_for() {
    let mut world = Box::pin(World::start(SEED)).await;
    stopped::the_search_index(&mut world).await;
    stopped::the_ledger(&mut world).await;
    revoked::of_the_search_index(&world).await;
    revoked::of_the_ledger(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_is_rebuilt_while_shards_change() {
    let world = Box::pin(World::start(SEED)).await;
    rebuilt::an_index_is(&world).await;
    resharded::during_load(&world).await;
    resharded::during_a_replay(&world).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_longer_than_it_is_kept_is_lost_and_named() {
    Box::pin(expired::after_seven_days()).await;
}
