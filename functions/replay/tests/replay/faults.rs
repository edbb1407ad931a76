//! Runners that are killed, ports that fail: everything is applied all the same, and counted once.

use bytes::Bytes;
use tributary_model::Outcome;
use tributary_ports::ledger::DeadLetterFilter;
use tributary_ports::{Ledger, PortErrorKind};
use tributary_replay::{Mode, Next, Runner, progress};

use crate::world::{FIRST, NOW, World, adds_up, lock, names, request};

#[tokio::test]
async fn two_runners_never_share_a_shard() {
    let world = World::new();
    world.fill("a", 0..12);
    let replay = world.start(request(Mode::Apply)).await;
    let (mut one, mut other) = (Runner::new("one"), Runner::new("other"));
    let now = NOW.plus_ms(2000);
    one.step(&world.replays, now).await.expect("a page of a");
    other.step(&world.replays, now).await.expect("a page of b, which is all");
    let shards = progress(&world.replays, now, &replay.id).await.expect("an answer").expect("a replay").shards;
    assert_eq!((shards[0].runner.as_deref(), shards[1].finished), (Some("one"), true));
    assert_eq!(
        other.step(&world.replays, now).await.expect("an answer").next,
        Next::Idle,
        "one has the only shard left"
    );
    world.run(&mut one, now).await;
    assert!(world.has(&names("a", 0..12)).await);
}

/// L13: a runner that is killed between any two steps is taken over when its lease has ended, and not before; should it
/// come back, it notices.
#[tokio::test]
async fn l13_a_runner_that_was_killed_is_taken_over() {
    let world = World::new();
    world.fill("a", 0..12);
    let replay = world.start(request(Mode::Apply)).await;
    let mut killed = Runner::new("killed");
    let now = NOW.plus_ms(2000);
    killed.step(&world.replays, now).await.expect("a page");
    let mut other = Runner::new("other");
    world.run(&mut other, now.plus_ms(59_000)).await;
    let before = progress(&world.replays, now, &replay.id).await.expect("an answer").expect("a replay");
    assert_eq!(before.counts.read, 3);
    other.step(&world.replays, now.plus_ms(60_000)).await.expect("taken over");
    killed.step(&world.replays, now.plus_ms(60_001)).await.expect("it notices");
    let done = world.finish(&replay.id).await;
    adds_up(&done);
    assert_eq!(done.counts.read, 12, "no page is counted twice");
    assert!(world.has(&names("a", 0..12)).await);
}

/// L13, L14: every single call on the object store fails once, with and without effect; the replay is done all the same.
#[tokio::test]
async fn l14_any_call_on_the_object_store_may_fail() {
    for takes_effect in [false, true] {
        for call in 0.. {
            let mut world = World::new();
            world.fill("a", 0..4);
            world.fill("b", 4..6);
            world.stream.put("b", FIRST.plus_ms(7000), Bytes::from_static(b"garbage"));
            let replay = world.start(request(Mode::Apply)).await;
            let faulty = world.break_objects(call, takes_effect);
            let begun = NOW.plus_ms(2000);
            let mut runner = Runner::new("one");
            world.run(&mut runner, begun).await;
            let clean = !faulty.was_hit();
            world.replays.objects = world.objects.clone();
            let done = world.finish(&replay.id).await;
            adds_up(&done);
            let wanted = [names("a", 0..4), names("b", 4..6)].concat();
            assert!(world.has(&wanted).await, "call {call}, takes effect: {takes_effect}");
            assert_eq!(done.counts.read, 7, "call {call}, takes effect: {takes_effect}");
            let letters = world.ledger.dead_letters(&DeadLetterFilter::default(), None, 10).await.expect("rows");
            assert_eq!(letters.len(), 1);
            if clean {
                break;
            }
        }
    }
}

/// L19: after a pause of any length the next page begins behind the last record handled. L20: and the first record is
/// there, too.
#[tokio::test]
async fn l19_l20_a_failing_stream_is_read_on_where_it_was() {
    let world = World::new();
    world.fill("a", 0..9);
    let replay = world.start(request(Mode::Apply)).await;
    let mut runner = Runner::new("one");
    runner.step(&world.replays, NOW.plus_ms(2000)).await.expect("a page");
    let kinds = [PortErrorKind::Throttled, PortErrorKind::Unavailable, PortErrorKind::Denied];
    world.stream.fail(&kinds);
    let later = NOW.plus_ms(10 * 60_000);
    runner.step(&world.replays, later).await.expect("noted");
    let noted = progress(&world.replays, later, &replay.id).await.expect("an answer").expect("a replay");
    assert_eq!(noted.shards[0].error.as_deref(), Some("memory.read: denied: told to fail"));
    let done = world.finish(&replay.id).await;
    adds_up(&done);
    assert_eq!((done.counts.read, done.shards[0].error.clone()), (9, None));
    assert!(world.has(&names("a", 0..9)).await);
}

#[tokio::test]
async fn a_shard_whose_retention_has_ended_ends() {
    let world = World::new();
    world.fill("a", 0..3);
    let replay = world.start(request(Mode::Apply)).await;
    world.stream.forget("a");
    let done = world.finish(&replay.id).await;
    let error = done.shards[0].error.clone().expect("a reason");
    assert_eq!(error, "the stream has no such shard any more: its retention has ended");
}

/// L16: bad luck at a store, throttling and a wrong password among it, passes nothing; the other store's writes of the
/// page are made again and change nothing.
#[tokio::test]
async fn l16_a_failing_store_holds_the_checkpoint() {
    let world = World::new();
    world.fill("a", 0..9);
    *lock(&world.search.failures) = vec![PortErrorKind::Denied, PortErrorKind::Throttled, PortErrorKind::Unavailable];
    let replay = world.start(request(Mode::Apply)).await;
    let mut runner = Runner::new("one");
    let now = NOW.plus_ms(2000);
    runner.step(&world.replays, now).await.expect("noted");
    let noted = progress(&world.replays, now, &replay.id).await.expect("an answer").expect("a replay");
    assert_eq!(noted.counts.read, 0, "nothing is counted before it has an end");
    assert_eq!(noted.shards[0].error.as_deref(), Some("memory.upsert: unavailable: told to fail"));
    let done = world.finish(&replay.id).await;
    adds_up(&done);
    assert_eq!(done.counts.search.of(Outcome::Applied), 9);
    assert!(world.has(&names("a", 0..9)).await);
}

/// L15, L17: what can't be read becomes a dead letter with its bytes; while that can't be written, nothing passes it.
#[tokio::test]
async fn l15_l17_a_dead_letter_that_can_t_be_written_holds_the_checkpoint() {
    let mut world = World::new();
    world.fill("a", 0..1);
    world.stream.put("a", FIRST.plus_ms(1000), Bytes::from_static(b"\0garbage"));
    world.fill("a", 2..3);
    let replay = world.start(request(Mode::Apply)).await;
    // list, get, get, put (the lease); get; then the dead letter's object.
    world.break_objects(5, false);
    let mut runner = Runner::new("one");
    let now = NOW.plus_ms(2000);
    runner.step(&world.replays, now).await.expect("noted");
    world.replays.objects = world.objects.clone();
    let noted = progress(&world.replays, now, &replay.id).await.expect("an answer").expect("a replay");
    assert_eq!((noted.counts.read, noted.counts.search.of(Outcome::DeadLettered)), (1, 0), "{noted:?}");
    let done = world.finish(&replay.id).await;
    adds_up(&done);
    assert_eq!((done.counts.read, done.counts.search.of(Outcome::DeadLettered)), (3, 1));
    let letters = world.ledger.dead_letters(&DeadLetterFilter::default(), None, 10).await.expect("rows");
    assert_eq!((letters.len(), letters[0].record_bytes), (1, 8));
}
