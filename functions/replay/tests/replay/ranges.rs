//! Which records a replay reads, and what it refuses.

use std::sync::atomic::Ordering;

use tributary_model::limits::{REPLAY_IDS_MAX, REPLAYS_ACTIVE_MAX};
use tributary_model::{Outcome, ProjectId, Region, Target};
use tributary_ports::stream::ShardId;
use tributary_replay::{Mode, Request, start};

use crate::world::{FIRST, NOW, World, by, names, project, record, report_id, request};

#[tokio::test]
async fn the_range_is_that_of_arrival_and_never_begins_later() {
    let world = World::new();
    // Arrival times of a shard are not strictly ascending.
    for (name, second) in [("a0", 0), ("a1", 10), ("a2", 9), ("a3", 12), ("a4", 20), ("a5", 19), ("a6", 30)] {
        let at = FIRST.plus_ms(second * 1000);
        world.stream.put("a", at, record(name, at));
    }
    let range = Request { from: FIRST.plus_ms(10_000), to: FIRST.plus_ms(20_000), ..request(Mode::Apply) };
    let done = world.replay(range).await;
    let wanted = ["a1", "a2", "a3", "a5"].map(str::to_owned);
    assert!(world.has(&wanted).await, "{:?}", done.counts);
    assert_eq!((done.counts.read, done.counts.skipped), (4, 0));
}

#[tokio::test]
async fn empty_pages_are_progress() {
    let world = World::new();
    world.fill("a", 0..10);
    world.stream.empty_pages.store(2, Ordering::Relaxed);
    world.replay(request(Mode::Apply)).await;
    assert!(world.has(&names("a", 0..10)).await);
}

#[tokio::test]
async fn only_what_is_asked_for_is_applied() {
    for (narrowed, wanted, skipped) in [
        (Request { shards: vec![ShardId("b".into())], ..request(Mode::Apply) }, names("b", 20..25), 0),
        (Request { function: Some("checkout".into()), ..request(Mode::Apply) }, vec!["a0".into(), "b20".into()], 9),
        (Request { ids: vec![report_id("a3")], ..request(Mode::Apply) }, vec!["a3".into()], 10),
        (
            Request { project: Some(project()), ..request(Mode::Apply) },
            [names("a", 0..5), names("b", 20..25)].concat(),
            1,
        ),
        (Request { project: ProjectId::new("other").ok(), ..request(Mode::Apply) }, vec![], 11),
    ] {
        let world = World::new();
        world.fill("a", 0..5);
        world.fill("b", 20..25);
        let shards = narrowed.shards.clone();
        if shards.is_empty() {
            world.stream.put("a", FIRST, "garbage".into());
        }
        let done = world.replay(narrowed).await;
        assert!(world.has(&wanted).await, "{:?}", done.counts);
        assert_eq!(done.counts.skipped, skipped);
    }
}

#[tokio::test]
async fn one_store_is_left_alone_if_the_other_is_meant() {
    let world = World::new();
    world.fill("a", 0..5);
    let done = world.replay(Request { targets: vec![Target::Search], ..request(Mode::Apply) }).await;
    assert_eq!((done.counts.search.of(Outcome::Applied), done.counts.ledger.total()), (5, 0));
    assert_eq!(world.search.documents(), 5);
    assert!(!world.has(&names("a", 0..5)).await);
}

#[tokio::test]
async fn what_can_t_be_replayed_is_refused_with_what_could() {
    let world = World::new();
    let week = 7 * 86_400_000;
    let shard = |name: &str| vec![ShardId(name.into())];
    for (request, why) in [
        (
            Request { from: NOW.plus_ms(-week - 1), ..request(Mode::Apply) },
            "the stream of local holds records from 2026-11-14T18:01:01.873Z on; from is 2026-11-14T18:01:01.872Z",
        ),
        (
            Request { from: NOW, to: NOW.plus_ms(1), ..request(Mode::Apply) },
            "from (2026-11-21T18:01:01.873Z) must lie before to (2026-11-21T18:01:01.873Z)",
        ),
        (Request { targets: vec![], ..request(Mode::Apply) }, "a replay needs a target: search, ledger or both"),
        (Request { shards: shard("z"), ..request(Mode::Apply) }, "there is no shard z"),
        (
            Request { regions: Region::new("mars").into_iter().collect(), ..request(Mode::Apply) },
            "there is no stream of the region mars here",
        ),
        (
            Request { records_per_second: Some(0), ..request(Mode::Apply) },
            "records_per_second must be from 1 to 1000000",
        ),
        (
            Request { ids: vec![report_id("x"); REPLAY_IDS_MAX + 1], ..request(Mode::Apply) },
            "1001 ids; one replay takes 1000",
        ),
    ] {
        let error = start(&world.replays, NOW, &by(), request).await.expect_err(why);
        assert_eq!(error.to_string(), why);
    }
}

#[tokio::test]
async fn there_are_so_many_replays_at_once() {
    let world = World::new();
    for number in 0..REPLAYS_ACTIVE_MAX {
        let now = NOW.plus_ms(i64::try_from(number).expect("few"));
        start(&world.replays, now, &by(), request(Mode::DryRun)).await.expect("started");
    }
    let error = start(&world.replays, NOW.plus_ms(100), &by(), request(Mode::DryRun)).await.expect_err("too many");
    assert_eq!(error.to_string(), "10 replays are under way, as many as there may be at once");
}
