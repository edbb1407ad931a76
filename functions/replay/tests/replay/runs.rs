//! What a replay brings back, in which order, and how it is steered.

use bytes::Bytes;
use tributary_embedded::ledger::SqliteLedger;
use tributary_model::{Outcome, RetentionClass, Target};
use tributary_ports::ledger::{DeadLetterFilter, DeadLetterRow};
use tributary_ports::{Ledger, Objects};
use tributary_replay::{
    Mode, Request, Runner, State, list, open, progress, restore_audit_events, restore_dead_letters, steer,
};

use crate::world::{FIRST, NOW, World, by, lock, names, record, record_of, request};

#[tokio::test]
async fn everything_is_back_once_and_the_counts_add_up() {
    let world = World::new();
    world.fill("a", 0..10);
    world.fill("b", 10..14);
    let late = FIRST.plus_ms(60_000);
    world.stream.put("a", late, record("a3", late)); // a resend
    world.stream.put("b", late, Bytes::from_static(b"garbage"));
    world.stream.put("b", late, record_of("old", late, RetentionClass::from_days(1).expect("a class"), b"{}"));
    let mut wanted = names("a", 0..10);
    wanted.extend(names("b", 10..14));

    let foreseen = world.replay(request(Mode::DryRun)).await.counts;
    assert!(world.search.documents() == 0, "a dry run writes nothing");
    let applied = world.replay(request(Mode::Apply)).await.counts;
    assert!(world.has(&wanted).await);
    for target in Target::ALL {
        let of = |outcome| applied.of(target).of(outcome);
        assert_eq!((of(Outcome::Applied), of(Outcome::Superseded)), (14, 1), "{applied:?}");
        assert_eq!((of(Outcome::DeadLettered), of(Outcome::Expired)), (1, 1), "{applied:?}");
    }
    assert_eq!((applied.read, foreseen.read), (17, 17));
    // A dry run takes one page with another for what it is: of a report in two pages it foresees two writes.
    assert_eq!(foreseen.search.of(Outcome::Applied), 15);

    let again = world.replay(request(Mode::Apply)).await.counts;
    assert_eq!((again.search.of(Outcome::AlreadyThere), again.search.of(Outcome::Applied)), (14, 0));
    assert!(world.has(&wanted).await);
}

/// D4: what is met again is no failure, and no dead letter of its own.
#[tokio::test]
async fn d4_a_replay_after_a_replay_leaves_the_dead_letters_as_they_are() {
    let world = World::new();
    world.fill("a", 0..3);
    world.stream.put("a", FIRST, Bytes::from_static(b"garbage"));
    let letters = async || world.ledger.dead_letters(&DeadLetterFilter::default(), None, 10).await.expect("rows");
    world.replay(request(Mode::Apply)).await;
    let first = letters().await;
    world.replay(request(Mode::Apply)).await;
    assert_eq!((first.len(), letters().await.len()), (1, 1));
    assert_eq!(first[0].targets, Target::ALL);
}

/// L13: shards that were split and merged are read parents first, each to its end.
#[tokio::test]
async fn l13_parents_are_read_to_their_end_before_their_children() {
    let world = World::new();
    world.fill("a", 0..5);
    world.fill("b", 5..10);
    for (shard, parents) in [("a1", &["a"][..]), ("a2", &["a"]), ("ab", &["a2", "b"])] {
        world.stream.add_shard(shard, parents);
    }
    world.fill("a1", 20..25);
    world.fill("a2", 30..35);
    world.fill("ab", 40..45);
    let done = world.replay(request(Mode::Apply)).await;
    assert_eq!(done.counts.search.of(Outcome::Applied), 25);
    let reads = lock(&world.stream.reads).clone();
    let first = |shard: &str| reads.iter().position(|read| read == shard).expect("read");
    let last = |shard: &str| reads.iter().rposition(|read| read == shard).expect("read");
    for (parent, child) in [("a", "a1"), ("a", "a2"), ("a2", "ab"), ("b", "ab")] {
        assert!(last(parent) < first(child), "{parent} before {child}: {reads:?}");
    }
}

#[tokio::test]
async fn what_is_paused_waits_and_what_is_cancelled_ends() {
    let world = World::new();
    world.fill("a", 0..20);
    let replay = world.start(request(Mode::Apply)).await;
    let mut runner = Runner::new("one");
    runner.step(&world.replays, NOW.plus_ms(2000)).await.expect("a page");
    steer(&world.replays, NOW, &by(), &replay.id, State::Paused).await.expect("paused");
    world.run(&mut runner, NOW.plus_ms(3000)).await;
    let paused = progress(&world.replays, NOW, &replay.id).await.expect("an answer").expect("a replay");
    assert_eq!((paused.replay.state, paused.counts.read), (State::Paused, 3));
    assert!(paused.shards.iter().all(|shard| shard.runner.is_none()), "nobody holds what is paused");
    steer(&world.replays, NOW, &by(), &replay.id, State::Running).await.expect("resumed");
    let done = world.finish(&replay.id).await;
    assert_eq!((done.replay.state, done.counts.read, done.done), (State::Finished, 20, 1.0));
    let over = steer(&world.replays, NOW, &by(), &replay.id, State::Cancelled).await.expect_err("over");
    assert_eq!(over.to_string(), "the replay is finished");

    let second = world.start(Request { targets: vec![Target::Ledger], ..request(Mode::Apply) }).await;
    steer(&world.replays, NOW, &by(), &second.id, State::Cancelled).await.expect("cancelled");
    world.run(&mut runner, NOW.plus_ms(4000)).await;
    let cancelled = open(&world.replays, &second.id).await.expect("an answer").expect("a replay");
    assert_eq!((cancelled.state, cancelled.ended_at), (State::Cancelled, Some(NOW)));
    let all = list(&world.replays, None, 10).await.expect("a list");
    assert_eq!(all.len(), 2);
    assert_eq!(list(&world.replays, Some(&all[0].id), 10).await.expect("a list"), all[1..]);
    assert!(world.objects.list("replays-active/", None, 10).await.expect("keys").is_empty());
}

#[tokio::test]
async fn every_replay_is_in_the_audit_trail() {
    let world = World::new();
    world.fill("a", 0..3);
    let replay = world.start(request(Mode::Apply)).await;
    world.finish(&replay.id).await;
    let events = world.ledger.audit_events(None, None, 10).await.expect("events");
    let actions: Vec<_> = events.iter().map(|event| (event.action.as_str(), event.subject.as_str())).collect();
    assert_eq!(actions, [("replay.finish", replay.id.as_str()), ("replay.start", replay.id.as_str())]);
    assert!(events.iter().all(|event| event.actor == "operator-1"), "{events:?}");
    // A ledger that was lost gets them back.
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = SqliteLedger::open(folder.path()).expect("a ledger");
    let restored = restore_audit_events(world.objects.as_ref(), ledger.as_ref()).await.expect("restored");
    assert_eq!((restored, ledger.audit_events(None, None, 10).await.expect("events")), (2, events));
}

#[tokio::test]
async fn a_lost_ledger_gets_its_dead_letters_back() {
    let world = World::new();
    world.stream.put("a", FIRST, Bytes::from_static(b"garbage"));
    world.replay(request(Mode::Apply)).await;
    let letters = async |ledger: &SqliteLedger| {
        ledger.dead_letters(&DeadLetterFilter::default(), None, 10).await.expect("rows").pop().expect("a row")
    };
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = SqliteLedger::open(folder.path()).expect("a ledger");
    let (objects, keys) = (world.objects.as_ref(), world.replays.keys.as_ref());
    assert_eq!(restore_dead_letters(objects, keys, ledger.as_ref()).await.expect("restored"), 1);
    let (lost, restored) = (letters(&world.ledger).await, letters(&ledger).await);
    // The object names the consumer that met it last; another replay would find the other.
    assert_eq!(restored, DeadLetterRow { targets: vec![Target::Ledger], ..lost });
}

#[tokio::test]
async fn a_replay_keeps_to_its_rate() {
    let world = World::new();
    world.fill("a", 0..30);
    let replay = world.start(Request { records_per_second: Some(4), ..request(Mode::Apply) }).await;
    let begun = NOW.plus_ms(2000);
    let ended = world.run(&mut Runner::new("one"), begun).await;
    let done = progress(&world.replays, ended, &replay.id).await.expect("an answer").expect("a replay");
    // Two shards share four a second: thirty records of one of them take fifteen seconds.
    assert_eq!(done.counts.read, 30);
    assert!((13_000..=16_500).contains(&(ended.0 - begun.0)), "{} ms", ended.0 - begun.0);
}
