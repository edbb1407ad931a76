//! Runners that are killed, ports that fail: everything is applied all the same, and counted once.

use bytes::Bytes;
use tributary_model::outages::open_outage_key;
use tributary_model::{Outcome, Region, Target};
use tributary_ports::ledger::DeadLetterFilter;
use tributary_ports::objects::Condition;
use tributary_ports::stream::OperatedStream;
use tributary_ports::{Ledger, Objects, PortErrorKind};
use tributary_replay::{Mode, Next, Runner, State, progress, steer};

use crate::world::{FIRST, NOW, World, adds_up, by, lock, names, request};

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
    let gap = done.shards[0].gap.clone().expect("a gap");
    assert_eq!((gap.from, gap.to, &done.shards[1].gap), (FIRST, NOW, &None), "nothing of it was read");
    assert_eq!(done.replay.state, State::Incomplete);
}

#[tokio::test]
async fn a_reader_goes_with_its_replay_and_comes_back_with_it() {
    let world = World::new();
    world.fill("a", 0..9);
    let readers = || lock(&world.stream.readers).iter().cloned().collect::<Vec<_>>();
    let notes = async || world.objects.list("replay-readers/", None, 10).await.expect("keys").len();
    let replay = world.start(request(Mode::Apply)).await;
    let mut runner = Runner::new("one");
    let now = NOW.plus_ms(2000);
    runner.step(&world.replays, now).await.expect("a page");
    assert_eq!((readers(), notes().await), (vec![format!("tributary-replay-{}", replay.id)], 1));

    // Somebody removes it: the shard is not taken for gone.
    lock(&world.stream.readers).clear();
    runner.step(&world.replays, now.plus_ms(1)).await.expect("noted");
    let noted = progress(&world.replays, now, &replay.id).await.expect("an answer").expect("a replay");
    assert_eq!(noted.shards[0].error.as_deref(), Some("memory.read: not-found: the reader was removed"));
    assert!(!noted.shards[0].finished);
    runner.step(&world.replays, now.plus_ms(60_000)).await.expect("a page");
    assert_eq!(readers().len(), 1);

    steer(&world.replays, now, &by(), &replay.id, State::Paused).await.expect("paused");
    world.run(&mut runner, now.plus_ms(120_000)).await;
    assert_eq!((readers(), notes().await), (vec![], 0), "nobody pays for a paused one");
    steer(&world.replays, now, &by(), &replay.id, State::Running).await.expect("resumed");
    let done = world.finish(&replay.id).await;
    assert_eq!((done.counts.read, readers(), notes().await), (9, vec![], 0));
}

/// One that was killed before it could remove its reader leaves a note for the next.
#[tokio::test]
async fn a_reader_that_was_left_behind_is_removed_by_the_next_runner() {
    let world = World::new();
    world.stream.reader("tributary-replay-20261126t000000.000z").await.expect("a reader");
    let note = format!("replay-readers/{}/20261126t000000.000z", Region::local());
    world.objects.put(&note, Bytes::new(), Condition::Always).await.expect("a note");
    world.run(&mut Runner::new("another"), NOW).await;
    assert_eq!(lock(&world.stream.readers).len(), 0);
    assert_eq!(world.objects.get(&note).await.expect("read"), None);
}

/// A runner that does not know yet that its replay was cancelled might make the reader again.
#[tokio::test]
async fn a_reader_stays_while_a_runner_may_read_with_it() {
    let world = World::new();
    world.fill("a", 0..9);
    let replay = world.start(request(Mode::Apply)).await;
    let now = NOW.plus_ms(2000);
    Runner::new("killed").step(&world.replays, now).await.expect("a page");
    steer(&world.replays, now, &by(), &replay.id, State::Cancelled).await.expect("cancelled");
    let mut other = Runner::new("other");
    other.step(&world.replays, now.plus_ms(59_999)).await.expect("nothing to do");
    assert_eq!(lock(&world.stream.readers).len(), 1);
    other.step(&world.replays, now.plus_ms(60_000)).await.expect("nothing to do");
    assert_eq!(lock(&world.stream.readers).len(), 0);
    assert_eq!(world.objects.list("replay-readers/", None, 10).await.expect("keys").len(), 0);
}

#[tokio::test]
async fn what_a_pause_let_expire_is_told() {
    let world = World::new();
    world.fill("a", 0..9);
    let replay = world.start(request(Mode::Apply)).await;
    let mut runner = Runner::new("one");
    runner.step(&world.replays, NOW.plus_ms(2000)).await.expect("a page");
    steer(&world.replays, NOW, &by(), &replay.id, State::Paused).await.expect("paused");
    let late = NOW.plus_ms(8 * 86_400_000);
    steer(&world.replays, late, &by(), &replay.id, State::Running).await.expect("resumed");
    world.run(&mut runner, late).await;
    let done = progress(&world.replays, late, &replay.id).await.expect("an answer").expect("a replay");
    let gap = done.shards[0].gap.clone().expect("a gap");
    assert_eq!((gap.from, gap.to), (FIRST.plus_ms(2000), NOW), "from the last record that was read");
    assert_eq!(done.replay.state, State::Incomplete);
}

#[tokio::test]
async fn a_replay_waits_while_a_store_is_out_for_the_live_consumer() {
    let world = World::new();
    world.fill("a", 0..3);
    let key = open_outage_key(&Region::local(), Target::Ledger);
    world.objects.put(&key, Bytes::from_static(b"{}"), Condition::Always).await.expect("an outage");
    let replay = world.start(request(Mode::Apply)).await;
    world.run(&mut Runner::new("one"), NOW.plus_ms(2000)).await;
    let held = progress(&world.replays, NOW, &replay.id).await.expect("an answer").expect("a replay");
    let why = "replay.step: throttled: waits for the outage of the ledger consumer to end";
    assert_eq!((held.counts.read, held.shards[0].error.as_deref()), (0, Some(why)));
    let compared = world.replay(request(Mode::DryRun)).await;
    assert_eq!(compared.counts.read, 3, "what writes nothing goes on");
    world.objects.delete(&key).await.expect("over");
    assert_eq!(world.finish(&replay.id).await.counts.read, 3);
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
    // list, get, get, put (the lease); get; two outages, the note of the reader; then the dead letter's object.
    world.break_objects(8, false);
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
