//! One batch: what ends how.

use tributary_model::limits::{APPLY_BYTES_MAX, REFUSED_VERSIONS_MAX};
use tributary_model::{Kind, Outcome, Reason, RetentionClass, Target};
use tributary_ports::PortErrorKind;

use super::doubles::*;
use crate::read::{Reading, read};

/// D1: the same again is one document and one row.
#[tokio::test]
async fn records_reach_either_store_once() {
    for target in Target::ALL {
        let world = World::default();
        let batch = batch(&[record("a", 5), record("b", 5)]);
        let first = world.worker(target).handle(NOW, &batch).await;
        assert_eq!(counted(&first), [(Outcome::Applied, 2)]);
        let again = world.worker(target).handle(NOW, &batch).await;
        assert_eq!(counted(&again), [(Outcome::AlreadyThere, 2)]);
        assert_eq!(world.store(target).written().len(), 2);
        assert_eq!(world.shelf.keys(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn the_facts_say_what_was_handled() {
    let world = World::default();
    let records = [record("a", 5), record("b", 5)];
    let handled = world.worker(Target::Ledger).handle(NOW, &batch(&records)).await;
    let facts = handled.facts;
    assert_eq!((facts.target, &*facts.shard, facts.records), (Target::Ledger, "0", 2));
    assert_eq!(facts.bytes, records[0].len() + records[1].len());
    assert_eq!((facts.outcomes.total(), facts.error), (2, None));
}

#[tokio::test]
async fn an_empty_batch_asks_nothing_of_the_store() {
    let world = World::default();
    let handled = world.worker(Target::Search).handle(NOW, &batch(&[])).await;
    assert_eq!((handled.redeliver.len(), handled.facts.outcomes.total()), (0, 0));
    assert_eq!(world.search.calls(), Vec::<usize>::new());
}

#[tokio::test]
async fn the_earlier_arrival_wins_within_a_batch() {
    let world = World::default();
    let batch = batch(&[record("a", 9), record("a", 5), record("a", 5), record("b", 5)]);
    let handled = world.worker(Target::Search).handle(NOW, &batch).await;
    assert_eq!(counted(&handled), [(Outcome::Applied, 2), (Outcome::AlreadyThere, 1), (Outcome::Superseded, 1)]);
    assert_eq!(world.search.written()[&id("a")].0, version(5));
    assert_eq!(world.search.calls(), [2]);
}

#[tokio::test]
async fn the_earlier_arrival_wins_over_batches_in_either_order() {
    for (order, outcomes) in [([5, 9], Outcome::Superseded), ([9, 5], Outcome::Applied)] {
        let world = World::default();
        let worker = world.worker(Target::Ledger);
        worker.handle(NOW, &batch(&[record("a", order[0])])).await;
        let second = worker.handle(NOW, &batch(&[record("a", order[1])])).await;
        assert_eq!(counted(&second), [(outcomes, 1)]);
        assert_eq!(world.ledger.written()[&id("a")].0, version(5));
    }
}

#[tokio::test]
async fn what_loses_to_a_superseded_write_is_superseded_as_well() {
    let world = World::default();
    let worker = world.worker(Target::Search);
    worker.handle(NOW, &batch(&[record("a", 1)])).await;
    let handled = worker.handle(NOW, &batch(&[record("a", 5), record("a", 5)])).await;
    assert_eq!(counted(&handled), [(Outcome::Superseded, 2)]);
}

#[tokio::test]
async fn what_is_past_its_retention_is_not_written() {
    let world = World::default();
    let retention = RetentionClass::from_days(30).expect("a class");
    let batch = batch(&[record_of("a", 5, retention, Kind::Report, b"{}"), record("b", 5)]);
    let handled = world.worker(Target::Search).handle(NOW.plus_ms(32 * tributary_model::time::DAY_MS), &batch).await;
    assert_eq!(counted(&handled), [(Outcome::Expired, 2)]);
    assert_eq!(world.search.calls(), Vec::<usize>::new());
}

/// L5, L6: no failure of a store is final, whatever it is called.
#[tokio::test]
async fn bad_luck_of_any_kind_redelivers_and_drops_nothing() {
    for kind in [
        PortErrorKind::Throttled,
        PortErrorKind::Unavailable,
        PortErrorKind::Denied,
        PortErrorKind::NotFound,
        PortErrorKind::Conflict,
        PortErrorKind::Invalid,
    ] {
        for target in Target::ALL {
            let world = World::default();
            world.store(target).upserts_fail(&[Fault::Fails(kind)]);
            let handled =
                world.worker(target).handle(NOW, &batch(&[record("a", 9), record("b", 5), record("a", 5)])).await;
            assert_eq!(redelivered(&handled), [0, 1, 2], "the loser comes again with its winner");
            let error = handled.facts.error.expect("the error");
            assert_eq!(error, format!("double.call: {}: told to fail", kind.as_str()));
            assert_eq!(world.store(target).dead_letters(), []);
        }
    }
}

#[tokio::test]
async fn a_store_that_answers_for_more_or_less_than_it_was_asked_is_not_believed() {
    for (fault, count) in [(Fault::Short, 1), (Fault::Long, 3)] {
        for target in Target::ALL {
            let world = World::default();
            world.store(target).upserts_fail(&[fault]);
            let handled = world.worker(target).handle(NOW, &batch(&[record("a", 5), record("b", 5)])).await;
            assert_eq!(redelivered(&handled), [0, 1]);
            let error = handled.facts.error.expect("the error");
            assert!(error.ends_with(&format!("{count} answers to 2 writes")), "{error}");
        }
    }
}

#[tokio::test]
async fn bad_luck_does_not_keep_dead_letters_from_their_end() {
    let world = World::default();
    world.search.upserts_fail(&[Fault::Fails(PortErrorKind::Unavailable)]);
    let batch = batch(&[record("a", 5), "garbage".into()]);
    let handled = world.worker(Target::Search).handle(NOW, &batch).await;
    assert_eq!(counted(&handled), [(Outcome::DeadLettered, 1), (Outcome::Redelivered, 1)]);
    assert_eq!(redelivered(&handled), [0]);
}

#[tokio::test]
async fn a_version_that_lost_to_a_refused_one_is_applied() {
    let world = World::default();
    world.search.refuse(id("a"), version(1));
    let batch = batch(&[record("a", 5), record("b", 5), record("a", 1), record("a", 3)]);
    let handled = world.worker(Target::Search).handle(NOW, &batch).await;
    assert_eq!(counted(&handled), [(Outcome::Applied, 2), (Outcome::Superseded, 1), (Outcome::DeadLettered, 1)]);
    assert_eq!(world.search.written()[&id("a")].0, version(3));
    assert_eq!(world.search.calls(), [2, 1]);
    let letters = world.ledger.dead_letters();
    assert_eq!((letters.len(), letters[0].reason, &letters[0].id), (1, Reason::Refused, &id("a").to_string()));
}

#[tokio::test]
async fn a_loser_comes_again_if_its_turn_ends_in_bad_luck() {
    let world = World::default();
    world.search.refuse(id("a"), version(1));
    world.search.upserts_fail(&[Fault::None, Fault::Fails(PortErrorKind::Throttled)]);
    let handled = world.worker(Target::Search).handle(NOW, &batch(&[record("a", 1), record("a", 3)])).await;
    assert_eq!(counted(&handled), [(Outcome::DeadLettered, 1), (Outcome::Redelivered, 1)]);
    assert_eq!(redelivered(&handled), [1]);
}

#[tokio::test]
async fn two_records_of_one_id_that_are_both_refused_keep_both_their_bytes() {
    let world = World::default();
    world.ledger.refuse(id("a"), version(1));
    world.ledger.refuse(id("a"), version(2));
    let handled = world.worker(Target::Ledger).handle(NOW, &batch(&[record("a", 1), record("a", 2)])).await;
    assert_eq!(counted(&handled), [(Outcome::DeadLettered, 2)]);
    assert_eq!(world.shelf.keys().len(), 2);
    assert_eq!(world.ledger.dead_letters().len(), 1, "one row an id");
}

#[tokio::test]
async fn a_report_that_is_refused_in_many_versions_costs_few_calls() {
    let world = World::default();
    let late = || 0..50;
    late().for_each(|late_ms| world.search.refuse(id("a"), version(late_ms)));
    let records: Vec<_> = late().map(|late_ms| record("a", late_ms)).collect();
    let handled = world.worker(Target::Search).handle(NOW, &batch(&records)).await;
    assert_eq!(counted(&handled), [(Outcome::DeadLettered, 50)]);
    assert_eq!(world.search.calls().len(), REFUSED_VERSIONS_MAX);
    assert_eq!(world.shelf.keys().len(), 50);
}

#[tokio::test]
async fn a_batch_of_huge_reports_is_applied_in_parts() {
    let world = World::default();
    let batch = batch(&[record("a", 5), record("b", 5), record("a", 1), record("c", 5), record("d", 5)]);
    let handled = world
        .worker(Target::Search)
        .handle_with(NOW, &batch, |bytes, today| {
            let mut reading = read(bytes, today)?;
            if let Reading::Normalized(normalized) = &mut reading {
                normalized.record.payload_bytes = u32::try_from(APPLY_BYTES_MAX / 2).expect("it fits");
            }
            Ok(reading)
        })
        .await;
    assert_eq!(world.search.calls(), [2, 2, 1]);
    assert_eq!(
        counted(&handled),
        [(Outcome::Applied, 5)],
        "the better version in a later part is applied over the first"
    );
    assert_eq!(world.search.written()[&id("a")].0, version(1));
}
