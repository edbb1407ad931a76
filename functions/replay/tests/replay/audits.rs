//! What an audit names, and what heals it.

use bytes::Bytes;
use tributary_model::{Outcome, Target};
use tributary_replay::{Finding, Mode, Problem, Receipt, Request, check_receipts, findings};

use crate::world::{FIRST, World, names, project, record, report_id, request};

async fn all_findings(world: &World, replay: &str) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = findings(&world.replays, replay, after.as_deref()).await.expect("findings");
        all.extend(page.findings);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

fn finding(name: &str, target: Target, problem: Problem) -> Finding {
    Finding { id: report_id(name).to_string(), project: Some(project()), target, problem }
}

#[tokio::test]
async fn an_audit_names_what_a_store_lacks_and_healing_applies_exactly_that() {
    let world = World::new();
    world.fill("a", 0..7);
    world.replay(Request { targets: vec![Target::Ledger], ids: vec![], ..request(Mode::Apply) }).await;
    let ids = ["a0", "a1", "a2", "a5"].map(report_id).to_vec();
    world.replay(Request { targets: vec![Target::Search], ids, ..request(Mode::Apply) }).await;

    let audit = world.replay(request(Mode::Audit)).await;
    let lacking = ["a3", "a4", "a6"].map(|name| finding(name, Target::Search, Problem::Missing));
    assert_eq!(all_findings(&world, &audit.replay.id).await, lacking);
    assert_eq!((audit.counts.found, audit.counts.ledger.of(Outcome::AlreadyThere)), (3, 7));
    assert_eq!(world.search.documents(), 4, "an audit writes nothing");

    let heal = world.replay(request(Mode::Heal)).await;
    assert_eq!(all_findings(&world, &heal.replay.id).await, lacking);
    assert_eq!((heal.counts.search.of(Outcome::Applied), heal.counts.search.of(Outcome::AlreadyThere)), (3, 4));
    assert!(world.has(&names("a", 0..7)).await);
    let clean = world.replay(request(Mode::Audit)).await;
    assert_eq!((clean.counts.found, all_findings(&world, &clean.replay.id).await), (0, vec![]));
}

#[tokio::test]
async fn an_older_version_is_differing_and_a_newer_one_is_in_order() {
    let world = World::new();
    let (early, late) = (FIRST.plus_ms(1000), FIRST.plus_ms(5000));
    world.stream.put("a", late, record("a1", late));
    world.replay(request(Mode::Apply)).await;
    world.stream.put("b", early, record("a1", early)); // greater, since it came in earlier
    let audit = world.replay(request(Mode::Audit)).await;
    let differing = Target::ALL.map(|target| finding("a1", target, Problem::Differing));
    assert_eq!(all_findings(&world, &audit.replay.id).await, differing);
    world.replay(request(Mode::Heal)).await;
    let clean = world.replay(request(Mode::Audit)).await;
    assert_eq!((clean.counts.found, clean.counts.search.of(Outcome::Superseded)), (0, 1));
}

#[tokio::test]
async fn a_doubled_report_is_named_and_not_healed() {
    let world = World::new();
    world.fill("a", 0..3);
    world.replay(request(Mode::Apply)).await;
    world.search.doubled.lock().expect("no test panics with it").insert(report_id("a1"));
    for mode in [Mode::Audit, Mode::Heal, Mode::Audit] {
        let found = world.replay(request(mode)).await;
        let doubled = [finding("a1", Target::Search, Problem::Doubled)];
        assert_eq!(all_findings(&world, &found.replay.id).await, doubled, "{mode:?}");
        assert_eq!(found.counts.search.of(Outcome::AlreadyThere), 3);
    }
}

#[tokio::test]
async fn a_record_that_can_t_be_read_is_in_order_as_a_dead_letter() {
    let world = World::new();
    world.stream.put("a", FIRST, Bytes::from_static(b"garbage"));
    let audit = world.replay(request(Mode::Audit)).await;
    let found = all_findings(&world, &audit.replay.id).await;
    assert_eq!((found.len(), found[0].id.as_str(), found[0].project.clone()), (2, "record-local-a-1", None));
    world.replay(request(Mode::Heal)).await;
    let clean = world.replay(request(Mode::Audit)).await;
    assert_eq!((clean.counts.found, clean.counts.ledger.of(Outcome::DeadLettered)), (0, 1));
}

#[tokio::test]
async fn receipts_are_looked_up_in_both_stores() {
    let world = World::new();
    world.fill("a", 0..2);
    world.replay(Request { targets: vec![Target::Search], ..request(Mode::Apply) }).await;
    world.replay(Request { targets: vec![Target::Ledger], ids: vec![report_id("a0")], ..request(Mode::Apply) }).await;
    let ids = ["a0", "a1", "none"].map(report_id);
    // What the stream refused and nobody has drained yet is not lost.
    let refused = record("none", FIRST);
    world.replays.overflows[0].keep(ids[2], FIRST, &refused).await.expect("kept");
    assert_eq!(world.replay(request(Mode::Audit)).await.overflow, Some(1));
    let receipts = check_receipts(&world.replays, &project(), &ids).await.expect("receipts");
    let expected = [(true, true), (true, false), (false, false)];
    let expected = ids.iter().zip(expected).map(|(id, (search, ledger))| Receipt {
        id: *id,
        search,
        ledger,
        dead_letter: false,
        overflow: *id == report_id("none"),
    });
    assert_eq!(receipts, expected.collect::<Vec<_>>());
}
