//! Credentials that are revoked under load, and given back: the consumer stops at once, and drops nothing.

use tributary_model::Target;
use tributary_ports::PortErrorKind;
use tributary_rig::data_api::SECRET_ARN;
use tributary_rig::postgres::{PASSWORD as OF_POSTGRES, SUPERUSER};
use tributary_rig::process::until;

use crate::world::{PASSWORD, World, set_password};

const REPORTS: u64 = 200;
const RATE: u32 = 40;

pub(crate) async fn of_the_search_index(world: &World) {
    let load = world.load(REPORTS, RATE, crate::SEED + 2);
    let documents = world.documents().await;
    until("some of it is stored", async || (world.documents().await > documents).then_some(())).await;
    set_password(&world.cluster, "Another-password-of-the-rig-2").await;
    world.is_out(Target::Search, "denied").await;
    let stored = (world.checkpoints(Target::Search), world.documents().await);
    load.await.unwrap();
    let acknowledged = world.receipts().len();
    world.looked_after("the ledger goes on", async |_| world.rows().await >= acknowledged).await;
    tries_in_vain(world, Target::Search).await;
    assert_eq!((world.checkpoints(Target::Search), world.documents().await), stored, "nothing counts as handled");
    set_password(&world.cluster, PASSWORD).await;
    recovers(world, Target::Search).await;
}

pub(crate) async fn of_the_ledger(world: &World) {
    let load = world.load(REPORTS, RATE, crate::SEED + 3);
    let rows = world.rows().await;
    until("some of it is stored", async || (world.rows().await > rows).then_some(())).await;
    world.installation.data_api.set_secret(SECRET_ARN, SUPERUSER, "wrong");
    world.is_out(Target::Ledger, "denied").await;
    let stored = (world.checkpoints(Target::Ledger), world.rows().await);
    load.await.unwrap();
    let acknowledged = world.receipts().len();
    world.looked_after("the search index goes on", async |_| world.documents().await >= acknowledged).await;
    tries_in_vain(world, Target::Ledger).await;
    assert_eq!((world.checkpoints(Target::Ledger), world.rows().await), stored, "nothing counts as handled");
    world.installation.data_api.set_secret(SECRET_ARN, SUPERUSER, OF_POSTGRES);
    recovers(world, Target::Ledger).await;
}

/// Waits for a probe that is denied, too.
async fn tries_in_vain(world: &World, target: Target) {
    let at = world.deliveries(target);
    world.looked_after("a probe is made", async |_| world.deliveries(target) > at).await;
    world.is_out(target, "denied").await;
}

async fn recovers(world: &World, target: Target) {
    world.is_whole().await;
    world.is_proven().await;
    let rows = world.ended(target).await;
    assert_eq!(rows.iter().filter(|row| row.cause == PortErrorKind::Denied).count(), 1, "{rows:?}");
}
