//! A store that is killed in the middle of its work, and started again after a while.

use rustix::process::Signal;
use tributary_model::Target;
use tributary_ports::PortErrorKind;
use tributary_rig::process::until;

use crate::world::World;

const REPORTS: u64 = 300;
const RATE: u32 = 40;

/// Waits until some of a load has come through.
async fn some_is_stored(world: &World) {
    let (documents, rows) = (world.documents().await, world.rows().await);
    until("some of it is stored", async || {
        (world.documents().await > documents && world.rows().await > rows).then_some(())
    })
    .await;
}

/// Waits until the paused consumer was let go on so often, in vain.
async fn probes_fail(world: &World, target: Target, probes: usize) {
    for _ in 0..probes {
        let at = world.deliveries(target);
        world.looked_after("a probe is made", async |_| world.deliveries(target) > at).await;
        world.is_out(target, "unavailable").await;
    }
}

async fn is_written_down(world: &World, target: Target, cause: PortErrorKind) {
    let rows = world.ended(target).await;
    let row = rows.iter().max_by_key(|row| row.started_at).expect("a row of the outage");
    assert_eq!(row.cause, cause);
    assert!(row.ended_at > Some(row.started_at) && row.failed_batches > 0 && row.failed_records > 0, "{row:?}");
}

pub(crate) async fn the_search_index(world: &mut World) {
    let load = world.load(REPORTS, RATE, crate::SEED);
    some_is_stored(world).await;
    world.cluster.signal(0, Signal::KILL);
    world.is_out(Target::Search, "unavailable").await;
    load.await.unwrap();
    let acknowledged = world.receipts().len();
    world.looked_after("the ledger goes on", async |_| world.rows().await >= acknowledged).await;
    probes_fail(world, Target::Search, 2).await;
    world.cluster.restart(0);
    world.cluster.serves().await;
    world.is_whole().await;
    world.is_proven().await;
    is_written_down(world, Target::Search, PortErrorKind::Unavailable).await;
}

pub(crate) async fn the_ledger(world: &mut World) {
    let load = world.load(REPORTS, RATE, crate::SEED + 1);
    some_is_stored(world).await;
    world.installation.postgres.stop();
    world.is_out(Target::Ledger, "unavailable").await;
    load.await.unwrap();
    let acknowledged = world.receipts().len();
    world.looked_after("the search index goes on", async |_| world.documents().await >= acknowledged).await;
    probes_fail(world, Target::Ledger, 1).await;
    world.installation.postgres.start_again().await;
    world.is_whole().await;
    world.is_proven().await;
    is_written_down(world, Target::Ledger, PortErrorKind::Unavailable).await;
}
