//! Shards that split and merge under load, and under a replay: nothing is lost, and a child waits for its parents.

use std::collections::BTreeMap;

use tributary_model::Target;
use tributary_ports::stream::{Shard, ShardId, Stream as _};
use tributary_replay::{Mode, Runner};
use tributary_rig::process::until;

use crate::world::{STREAM, World};

const REPORTS: u64 = 400;
const RATE: u32 = 40;

pub(crate) async fn during_load(world: &World) {
    let stored = world.rows().await;
    let load = world.load(REPORTS, RATE, crate::SEED + 5);
    until("some of it is stored", async || (world.rows().await > stored + 50).then_some(())).await;
    let kinesis = &world.installation.kinesis;
    let shards = kinesis.open(STREAM).await;
    kinesis.split(STREAM, &shards[0]).await;
    until("more of it is stored", async || (world.rows().await > stored + 100).then_some(())).await;
    kinesis.split(STREAM, &shards[1]).await;
    let children = kinesis.open(STREAM).await;
    kinesis.merge(STREAM, &children[0], &children[1]).await;
    assert!(!load.is_finished(), "the shards changed under load");
    load.await.unwrap();
    world.is_proven().await;
    for target in Target::ALL {
        parents_come_first(world, &world.delivered(target)).await;
    }
}

pub(crate) async fn during_a_replay(world: &World) {
    let replay = world.replay(world.everything(Mode::Apply, &Target::ALL)).await;
    let mut runner = Runner::new("rig");
    let mut read: Vec<ShardId> = Vec::new();
    until("some pages are read", async || {
        read.extend(world.step(&mut runner).await);
        (read.len() >= 3).then_some(())
    })
    .await;
    let kinesis = &world.installation.kinesis;
    let open = kinesis.open(STREAM).await;
    kinesis.split(STREAM, &open[2]).await;
    kinesis.merge(STREAM, &open[0], &open[1]).await;
    runner.stop(&world.replays).await.unwrap();
    let (counts, rest) = world.run(&replay).await;
    read.extend(rest);
    for target in Target::ALL {
        assert_eq!(counts.read, counts.of(target).total(), "{counts:?}");
    }
    assert!(counts.read >= world.rows().await as u64, "{counts:?}");
    world.is_proven().await;
    parents_come_first(world, &read).await;
}

/// No batch or page of a shard comes after one of its children.
async fn parents_come_first(world: &World, order: &[ShardId]) {
    let shards: BTreeMap<ShardId, Vec<ShardId>> = world
        .installation
        .stream()
        .await
        .shards()
        .await
        .unwrap()
        .into_iter()
        .map(|Shard { id, parents }| (id, parents))
        .collect();
    let mut with_parents = 0;
    for (place, shard) in order.iter().enumerate() {
        for parent in &shards[shard] {
            assert!(!order[place..].contains(parent), "{parent} comes after its child {shard}: {order:?}");
            with_parents += 1;
        }
    }
    assert!(with_parents > 0, "some shard is another one's child");
}
