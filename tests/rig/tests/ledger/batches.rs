//! Batches: one round trip, whatever their days, and pages within the Data API's limits.

use std::collections::BTreeSet;

use tributary_model::limits::PAGE_ITEMS_MAX;
use tributary_model::{Reason, ReportId, Target};
use tributary_ports::ledger::{DeadLetterFilter, DeadLetterRow, InvocationRow, Resolution};
use tributary_ports::{Ledger as _, Upserted};
use tributary_rig::data_api::Call;

use crate::fixture::{AT, Fixture, project, row};

fn operations(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.operation.as_str()).collect()
}

#[tokio::test]
async fn a_batch_is_one_round_trip_once_its_day_is_known() {
    let fixture = Fixture::start().await;
    let ledger = fixture.fresh().await;
    let rows = |from: usize| (from..from + 500).map(|request| row(request, 1, 0)).collect::<Vec<_>>();
    assert_eq!(ledger.upsert_invocations(rows(0)).await.expect("an upsert"), vec![Upserted::Applied; 500]);
    assert_eq!(operations(&fixture.gateway.take_calls()), ["Execute", "Execute"], "the day's partition, the rows");
    for (from, expected) in [(500, Upserted::Applied), (0, Upserted::AlreadyThere)] {
        assert_eq!(ledger.upsert_invocations(rows(from)).await.expect("an upsert"), vec![expected; 500]);
        assert_eq!(operations(&fixture.gateway.take_calls()), ["Execute"]);
    }
}

#[tokio::test]
async fn ten_thousand_rows_of_eleven_days_are_one_upsert() {
    let fixture = Fixture::start().await;
    let ledger = fixture.fresh().await;
    let rows: Vec<InvocationRow> =
        (0..10_000).zip((0..11).cycle()).map(|(request, day)| row(request, 1, day)).collect();
    for expected in [Upserted::Applied, Upserted::AlreadyThere] {
        let answers = ledger.upsert_invocations(rows.clone()).await.expect("an upsert");
        assert_eq!(answers, vec![expected; 10_000]);
    }
    for call in fixture.gateway.take_calls() {
        assert!(call.request_bytes < 4 * 1024 * 1024 && call.answer_bytes < 1024 * 1024, "{call:?}");
    }
    let ids: Vec<ReportId> = rows.iter().rev().map(|row| row.id).collect();
    let found = ledger.invocations(&ids).await.expect("rows");
    assert!(found.iter().zip(rows.iter().rev()).all(|(found, row)| found.as_ref() == Some(row)), "each in its place");
    let days: u64 = ledger.count_invocations(&project("shop"), AT, AT.plus_ms(1)).await.expect("a count");
    assert_eq!(days, 910, "those of the first day");
    let pages = fixture.gateway.take_calls();
    assert!(pages.len() > 10 && pages.iter().all(|call| call.answer_bytes < 1024 * 1024), "{}", pages.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_at_once_make_the_days_that_they_need() {
    let fixture = Fixture::start().await;
    let (ledger, name) = fixture.empty().await;
    ledger.migrate().await.expect("a migration");
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let ledger = fixture.ledger(&name);
            let rows = (0..20).zip((0..5).cycle()).map(|(request, day)| row(worker * 100 + request, 1, day)).collect();
            tokio::spawn(async move { ledger.upsert_invocations(rows).await.expect("an upsert") })
        })
        .collect();
    for worker in workers {
        assert_eq!(worker.await.expect("a worker that ends"), vec![Upserted::Applied; 20]);
    }
    let database = fixture.postgres.connect(&name).await;
    let partitions = database
        .query("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'invocation'::regclass", &[]);
    let partitions: BTreeSet<String> = partitions.await.expect("partitions").iter().map(|row| row.get(0)).collect();
    let expected = (21..26).map(|day| format!("invocation_202611{day}")).collect();
    assert_eq!(partitions, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_at_once_with_the_same_rows_count_each_once() {
    let fixture = Fixture::start().await;
    let ledger = fixture.fresh().await;
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let ledger = ledger.clone();
            // Each in an order of its own: the locks must not be taken in it.
            let mut rows: Vec<InvocationRow> = (0..300).map(|request| row(request, 1, 0)).collect();
            rows.rotate_left(worker * 37);
            tokio::spawn(async move { ledger.upsert_invocations(rows).await.expect("an upsert") })
        })
        .collect();
    let mut applied = 0;
    for worker in workers {
        let answers = worker.await.expect("a worker that ends");
        assert!(answers.iter().all(|answer| matches!(answer, Upserted::Applied | Upserted::AlreadyThere)));
        applied += answers.iter().filter(|answer| **answer == Upserted::Applied).count();
    }
    assert_eq!(applied, 300);
}

#[tokio::test]
async fn a_removed_day_is_made_again_by_the_next_attempt() {
    let fixture = Fixture::start().await;
    let (ledger, name) = fixture.empty().await;
    ledger.migrate().await.expect("a migration");
    ledger.upsert_invocations(vec![row(1, 1, 0)]).await.expect("an upsert");
    let database = fixture.postgres.connect(&name).await;
    database.batch_execute("DROP TABLE invocation_20261121").await.expect("a day less");
    ledger.upsert_invocations(vec![row(1, 1, 0)]).await.expect_err("a day that is not there");
    assert_eq!(ledger.upsert_invocations(vec![row(1, 1, 0)]).await.expect("an upsert"), [Upserted::Applied]);
}

#[tokio::test]
async fn rows_that_postgresql_can_not_hold_are_refused_one_by_one() {
    let fixture = Fixture::start().await;
    let ledger = fixture.fresh().await;
    let good = row(1, 1, 0);
    let odd = [
        InvocationRow { function: "a\0b".to_owned(), ..row(2, 1, 0) },
        InvocationRow { error_fingerprint: Some("\0".to_owned()), ..row(3, 1, 0) },
        InvocationRow { duration_ms: Some(f64::NAN), ..row(4, 1, 0) },
        InvocationRow { duration_ms: Some(f64::NEG_INFINITY), ..row(5, 1, 0) },
        InvocationRow { function: "x".repeat(30_000), ..row(6, 1, 0) },
    ];
    let extreme = InvocationRow {
        duration_ms: Some(f64::MAX),
        received_at: tributary_model::TimestampMs(i64::MIN),
        ..row(7, 1, 0)
    };
    let tiny =
        InvocationRow { duration_ms: Some(5e-324), function: "\u{1}\u{fffd}\u{10ffff}".repeat(1000), ..row(8, 1, 0) };
    let mut batch = vec![good.clone()];
    batch.extend(odd);
    batch.extend([extreme.clone(), tiny.clone()]);
    let answers = ledger.upsert_invocations(batch).await.expect("an upsert");
    assert!(answers[1..6].iter().all(|answer| matches!(answer, Upserted::Refused(_))), "{answers:?}");
    assert_eq!((&answers[0], &answers[6..]), (&Upserted::Applied, &[Upserted::Applied, Upserted::Applied][..]));
    let found = ledger.invocations(&[good.id, extreme.id, tiny.id]).await.expect("rows");
    assert_eq!(found, [Some(good), Some(extreme), Some(tiny)]);
}

fn letter(number: usize) -> DeadLetterRow {
    DeadLetterRow {
        id: format!("record-eu-west-1-{number:06}"),
        project: None,
        reason: Reason::InvalidField,
        detail: "\"ü\" ".repeat(200),
        targets: vec![Target::Search],
        first_seen: AT,
        last_seen: AT,
        object_key: format!("dead-letters/{number}.json"),
        record_bytes: 1,
        count: 1,
    }
}

#[tokio::test]
async fn a_large_page_of_dead_letters_is_cut_by_bytes_and_whole_all_the_same() {
    let fixture = Fixture::start().await;
    let ledger = fixture.fresh().await;
    let rows: Vec<DeadLetterRow> = (0..2500).map(letter).collect();
    ledger.upsert_dead_letters(rows.clone()).await.expect("an upsert");
    fixture.gateway.take_calls();
    let page = ledger.dead_letters(&DeadLetterFilter::default(), None, PAGE_ITEMS_MAX).await.expect("a page");
    assert_eq!(page, rows[..PAGE_ITEMS_MAX]);
    let calls = fixture.gateway.take_calls();
    assert!(calls.len() > 1 && calls.iter().all(|call| call.answer_bytes < 1024 * 1024), "{}", calls.len());
    let rest = ledger.dead_letters(&DeadLetterFilter::default(), Some(&rows[2489].id), PAGE_ITEMS_MAX).await;
    assert_eq!(rest.expect("a page"), rows[2490..]);
    assert_eq!(fixture.gateway.take_calls().len(), 1, "one round trip where one answer holds all");
}

/// More objects than one answer holds.
#[tokio::test]
async fn what_is_removed_is_answered_whole() {
    let fixture = Fixture::start().await;
    let ledger = fixture.fresh().await;
    let rows = (0..5000).map(|record| DeadLetterRow { object_key: format!("dead-letters/1/{record:05}"), ..letter(1) });
    ledger.upsert_dead_letters(rows.chain([letter(2)]).collect()).await.expect("an upsert");
    let resolutions =
        [1, 2, 3].map(|number| Resolution { id: letter(number).id, targets: Target::ALL.into(), seen_until: AT });
    let removed = ledger.resolve_dead_letters(resolutions.into()).await.expect("a resolution");
    assert_eq!(removed.iter().map(|letter| letter.object_keys.len()).collect::<Vec<_>>(), [5000, 1]);
    assert!(removed[0].object_keys.is_sorted());
    assert_eq!(ledger.dead_letter(&letter(1).id).await.expect("an answer"), None);
}
