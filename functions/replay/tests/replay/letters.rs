//! Dead letters: applied again, edited, given up, and ended by themselves.

use tributary_model::limits::DEAD_LETTER_RETENTION;
use tributary_model::{RetentionClass, Target};
use tributary_ports::ledger::{DeadLetterFilter, DeadLetterRow};
use tributary_ports::{Ledger, Objects};
use tributary_replay::{Mode, Request, Sweep, discard, edited, redrive, redrive_edited, report_of};

use crate::world::{FIRST, NOW, World, by, lock, names, project, record_of, report, report_id, request};

async fn letters(world: &World) -> Vec<DeadLetterRow> {
    let filter = DeadLetterFilter { project: Some(project()), ..DeadLetterFilter::default() };
    world.ledger.dead_letters(&filter, None, 10).await.expect("rows")
}

/// A world in which the search index refuses the report `a1`, which so is a dead letter of the search index.
async fn refused() -> (World, DeadLetterRow) {
    let world = World::new();
    world.fill("a", 0..3);
    lock(&world.search.refused).insert(report_id("a1"));
    world.replay(request(Mode::Apply)).await;
    let row = letters(&world).await.pop().expect("a dead letter");
    assert_eq!((row.id.as_str(), &row.targets[..]), (report_id("a1").to_string().as_str(), &[Target::Search][..]));
    (world, row)
}

async fn nothing_is_left(world: &World) {
    assert_eq!(letters(world).await, []);
    assert_eq!(world.objects.list("dead-letters/", None, 10).await.expect("keys"), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_applied_after_all_is_no_dead_letter_any_more() {
    let (world, row) = refused().await;
    let still = redrive(&world.replays, NOW, &by(), &row).await.expect("driven");
    assert_eq!((still.resolved, still.left), (vec![], vec![Target::Search]));
    assert_eq!(letters(&world).await.len(), 1, "refused again, it is the same dead letter");
    lock(&world.search.refused).clear();
    let row = letters(&world).await.pop().expect("a dead letter");
    let driven = redrive(&world.replays, NOW, &by(), &row).await.expect("driven");
    assert_eq!((driven.resolved, driven.left, driven.error), (vec![Target::Search], vec![], None));
    assert!(world.has(&names("a", 0..3)).await);
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn an_edited_report_takes_the_place_of_the_first() {
    let world = World::new();
    world.stream.put("a", FIRST, record_of("a1", FIRST, RetentionClass::DEFAULT, b"[]"));
    world.replay(request(Mode::Apply)).await;
    let row = letters(&world).await.pop().expect("a dead letter");
    assert_eq!(row.targets, Target::ALL);
    let poison = record_of("a1", FIRST, RetentionClass::DEFAULT, b"[]");
    assert_eq!(report_of(&poison), Some(serde_json::json!([])));
    for (wrong, why) in [
        (report("a2"), "processId, awsRequestId and timestamp name the invocation and must stay as they are"),
        ("[]".to_owned(), "a report is a JSON object, not an array"),
    ] {
        assert_eq!(edited(&poison, wrong.as_bytes(), NOW).expect_err(why).detail, why);
    }
    let mended = edited(&poison, report("a1").as_bytes(), NOW).expect("a record");
    let driven = redrive_edited(&world.replays, NOW, &by(), &row, mended).await.expect("driven");
    assert_eq!(driven.resolved, Target::ALL);
    assert!(world.has(&["a1".to_owned()]).await);
    nothing_is_left(&world).await;
    let events = world.ledger.audit_events(Some(&project()), None, 10).await.expect("events");
    assert_eq!((events[0].action.as_str(), &events[0].subject), ("dead-letter.edit", &row.id));
    let audit = world.replay(request(Mode::Audit)).await;
    assert_eq!(audit.counts.found, 0, "the stream has it as it came: {:?}", audit.counts);
}

#[tokio::test]
async fn what_is_given_up_is_gone_and_no_audit_misses_it() {
    let (world, row) = refused().await;
    discard(&world.replays, NOW, &by(), &row, "a test's own").await.expect("discarded");
    nothing_is_left(&world).await;
    let events = world.ledger.audit_events(Some(&project()), None, 10).await.expect("events");
    assert_eq!(
        (events[0].action.as_str(), &events[0].detail["reason"]),
        ("dead-letter.discard", &"a test's own".into())
    );
    let audit = world.replay(request(Mode::Audit)).await;
    assert_eq!(audit.counts.found, 0, "{:?}", audit.counts);
}

#[tokio::test]
async fn a_later_success_and_time_end_it_by_themselves() {
    let (world, _) = refused().await;
    let mut sweep = Sweep::default();
    let projects = [project()];
    for _ in 0..2 {
        let swept = sweep.step(&world.replays, NOW, DEAD_LETTER_RETENTION, projects.iter()).await;
        assert_eq!(swept.expect("swept"), 0, "it has not ended yet");
    }
    lock(&world.search.refused).clear();
    world.replay(Request { targets: vec![Target::Search], ..request(Mode::Apply) }).await;
    let mut swept = 0;
    for _ in 0..2 {
        swept += sweep.step(&world.replays, NOW, DEAD_LETTER_RETENTION, projects.iter()).await.expect("swept");
    }
    assert_eq!(swept, 1, "the index has it now");
    nothing_is_left(&world).await;

    world.stream.put("b", FIRST, record_of("b1", FIRST, RetentionClass::DEFAULT, b"[]"));
    world.replay(request(Mode::Apply)).await;
    let seen = letters(&world).await[0].last_seen;
    let month = i64::try_from(DEAD_LETTER_RETENTION.as_millis()).expect("a month");
    for (later, gone) in [(month, 0), (month + 1, 1)] {
        let swept = sweep.step(&world.replays, seen.plus_ms(later), DEAD_LETTER_RETENTION, projects.iter()).await;
        assert_eq!(swept.expect("swept"), gone);
    }
    nothing_is_left(&world).await;
}
