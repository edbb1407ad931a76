//! A shard's records come as fast as the stream gives them: what a runner does beside reading is not done for each page.

use std::sync::Arc;

use bytes::Bytes;
use tributary_model::limits::{REPLAY_CHECKPOINT_INTERVAL, REPLAY_LEASE, REPLAY_LOOK_INTERVAL};
use tributary_model::outages::open_outage_key;
use tributary_model::{Outcome, Region, StoreSettings, Target};
use tributary_ports::objects::Condition;
use tributary_ports::{LiveSettings, Objects};
use tributary_replay::{Mode, Request, Runner, progress};

use crate::world::{FIRST, NOW, World, adds_up, lock, names, project, request};

#[tokio::test]
async fn the_object_store_is_asked_once_in_a_second() {
    let mut world = World::new();
    world.fill("a", 0..30);
    world.start(request(Mode::Apply)).await;
    let objects = world.break_objects(i64::MAX, false);
    let mut runner = Runner::new("one");
    let begun = NOW.plus_ms(2000);
    runner.step(&world.replays, begun).await.expect("a page");
    let first = objects.calls();
    for page in 1..5 {
        runner.step(&world.replays, begun.plus_ms(page)).await.expect("a page");
    }
    assert_eq!(objects.calls(), first, "four pages without a call");
    runner.step(&world.replays, begun.plus(REPLAY_CHECKPOINT_INTERVAL)).await.expect("a page");
    assert_eq!(objects.calls(), first + 4, "the replay, an outage of either store, a checkpoint");
}

/// Position and counts are written together: whoever takes over counts from where it reads.
#[tokio::test]
async fn what_came_after_the_last_checkpoint_is_applied_again_and_counted_once() {
    let world = World::new();
    world.fill("a", 0..12);
    let replay = world.start(request(Mode::Apply)).await;
    let mut killed = Runner::new("killed");
    let begun = NOW.plus_ms(2000);
    for page in 0..3 {
        killed.step(&world.replays, begun.plus_ms(page)).await.expect("a page");
    }
    let before = progress(&world.replays, begun, &replay.id).await.expect("an answer").expect("a replay");
    assert_eq!((before.counts.read, world.search.documents()), (3, 9), "two pages after the checkpoint");
    world.run(&mut Runner::new("other"), begun.plus(REPLAY_LEASE)).await;
    let done = world.finish(&replay.id).await;
    adds_up(&done);
    let of = |outcome| done.counts.search.of(outcome);
    assert_eq!((done.counts.read, of(Outcome::Applied), of(Outcome::AlreadyThere)), (12, 6, 6));
    assert!(world.has(&names("a", 0..12)).await);
}

#[tokio::test]
async fn a_page_is_read_while_the_one_before_it_is_handled() {
    let world = World::new();
    world.fill("a", 0..9);
    world.start(request(Mode::Apply)).await;
    let mut runner = Runner::new("one");
    let begun = NOW.plus_ms(2000);
    for (page, reads, documents) in [(1, 2, 3), (2, 3, 6), (3, 3, 9)] {
        runner.step(&world.replays, begun.plus_ms(page)).await.expect("a page");
        assert_eq!((lock(&world.stream.reads).len(), world.search.documents()), (reads, documents), "page {page}");
    }
}

/// Six megabytes are a batch; a reader that is sent back for the rest would have to subscribe again.
#[tokio::test]
async fn the_rest_of_a_page_that_is_more_than_a_batch_is_not_read_again() {
    let mut world = World::new();
    let settings = StoreSettings { stream_page_records: 9, ..StoreSettings::default() };
    world.replays.settings = Arc::new(LiveSettings::new(settings));
    for record in 0..9 {
        world.stream.put("a", FIRST.plus_ms(record), Bytes::from(vec![b'x'; 900_000]));
    }
    let replay = world.start(Request { project: Some(project()), ..request(Mode::DryRun) }).await;
    let mut runner = Runner::new("one");
    let begun = NOW.plus_ms(2000);
    runner.step(&world.replays, begun).await.expect("a batch");
    let part = progress(&world.replays, begun, &replay.id).await.expect("an answer").expect("a replay");
    assert_eq!((part.counts.read, part.counts.bytes), (6, 5_400_000));
    runner.step(&world.replays, begun.plus_ms(1)).await.expect("the rest");
    assert_eq!(lock(&world.stream.reads).clone(), ["a"]);
    let done = world.finish(&replay.id).await;
    assert_eq!((done.counts.read, done.counts.skipped), (9, 9));
}

#[tokio::test]
async fn an_outage_is_noticed_within_a_second() {
    let world = World::new();
    world.fill("a", 0..12);
    let replay = world.start(request(Mode::Apply)).await;
    let mut runner = Runner::new("one");
    let begun = NOW.plus_ms(2000);
    runner.step(&world.replays, begun).await.expect("a page");
    let key = open_outage_key(&Region::local(), Target::Search);
    world.objects.put(&key, Bytes::from_static(b"{}"), Condition::Always).await.expect("an outage");
    runner.step(&world.replays, begun.plus(REPLAY_LOOK_INTERVAL).plus_ms(-1)).await.expect("a page");
    runner.step(&world.replays, begun.plus(REPLAY_LOOK_INTERVAL)).await.expect("noted");
    let held = progress(&world.replays, begun, &replay.id).await.expect("an answer").expect("a replay");
    let why = "replay.step: throttled: waits for the outage of the search consumer to end";
    assert_eq!((held.counts.read, held.shards[0].error.as_deref()), (6, Some(why)));
    world.objects.delete(&key).await.expect("over");
    assert_eq!(world.finish(&replay.id).await.counts.read, 12);
}
