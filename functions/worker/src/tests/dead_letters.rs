//! What can never be applied.

use bytes::Bytes;
use tributary_model::limits::DEAD_LETTERS_BATCH_MAX;
use tributary_model::{Kind, Outcome, Reason, Report, RetentionClass, Target};
use tributary_ports::PortErrorKind;

use super::doubles::*;
use crate::read::read;

/// Records that can't be applied, and why.
fn poison() -> Vec<(Bytes, Reason)> {
    let whole = record("poison", 5);
    let mut unknown_version = whole.to_vec();
    unknown_version[0] = 9;
    let mut bomb = record_of("bomb", 5, RetentionClass::DEFAULT, Kind::Report, &vec![b' '; 1_000_000]).to_vec();
    bomb[34..38].copy_from_slice(&100u32.to_be_bytes()); // says that its payload has 100 bytes
    let not_a_report = record_of("list", 5, RetentionClass::DEFAULT, Kind::Report, b"[1,2]");
    let not_json = record_of("text", 5, RetentionClass::DEFAULT, Kind::Report, b"\xff\xfe");
    let not_a_jws = record_of("jws", 5, RetentionClass::DEFAULT, Kind::SignedReport, b"a.b");
    vec![
        (whole.slice(..whole.len() - 5), Reason::Malformed),
        (whole.slice(..20), Reason::Malformed),
        (unknown_version.into(), Reason::Unsupported),
        (bomb.into(), Reason::Malformed),
        (Bytes::from_static(b"\0\x01garbage\xff"), Reason::Unsupported),
        (Bytes::new(), Reason::Malformed),
        (not_a_report, Reason::InvalidField),
        (not_json, Reason::Malformed),
        (not_a_jws, Reason::Malformed),
    ]
}

/// L7, L10: what is cut off, empty, or of a kind that nobody knows is kept with its bytes, and costs no neighbour
/// anything.
#[tokio::test]
async fn neighbours_of_poison_are_stored_and_the_poison_is_kept() {
    for target in Target::ALL {
        let world = World::default();
        let mut records = vec![record("first", 5)];
        for (at, (bytes, _)) in poison().into_iter().enumerate() {
            records.extend([bytes, record(&format!("neighbour {at}"), 5)]);
        }
        let handled = world.worker(target).handle(NOW, &batch(&records)).await;
        let count = poison().len() as u64;
        assert_eq!(counted(&handled), [(Outcome::Applied, count + 1), (Outcome::DeadLettered, count)]);
        assert_eq!((redelivered(&handled), handled.facts.error), (vec![], None));
        let mut kept = Vec::new();
        for row in world.ledger.dead_letters() {
            assert_eq!(world.shelf.dead_letter(&row.object_key).reason, row.reason);
            kept.push((world.kept(&row.object_key).await, row.reason));
        }
        for lost in poison() {
            let found = kept.iter().position(|found| *found == lost);
            kept.remove(found.unwrap_or_else(|| panic!("{lost:?} was not kept in {kept:?}")));
        }
    }
}

#[tokio::test]
async fn a_record_without_a_readable_header_is_named_by_its_place() {
    let world = World::default();
    world.worker(Target::Search).handle(NOW, &batch(&[record("a", 5), "garbage".into()])).await;
    let row = &world.ledger.dead_letters()[0];
    assert_eq!((row.id.as_str(), &row.project, row.record_bytes), ("record-local-0-1", &None, 7));
    assert_eq!(row.detail, "the record's version is 103; this build reads version 1");
}

#[tokio::test]
async fn a_record_with_a_readable_header_is_named_by_its_report() {
    let world = World::default();
    let record = record("a", 5);
    world.worker(Target::Search).handle(NOW, &batch(&[record.slice(..record.len() - 1)])).await;
    let row = &world.ledger.dead_letters()[0];
    assert_eq!((&row.id, &row.project), (&id("a").to_string(), &Some(project())));
    assert_eq!((row.first_seen, row.last_seen), (NOW, NOW));
}

#[tokio::test]
async fn both_consumers_write_one_object_and_one_row() {
    let world = World::default();
    for target in Target::ALL {
        world.worker(target).handle(NOW, &batch(&["garbage".into()])).await;
    }
    let rows = world.ledger.dead_letters();
    assert_eq!((rows.len(), rows[0].targets.as_slice()), (1, Target::ALL.as_slice()));
    assert_eq!(world.shelf.keys(), [rows[0].object_key.clone()]);
}

#[tokio::test]
async fn a_panic_of_ours_costs_one_record_and_tells_no_customer_s_text() {
    let world = World::default();
    let batch = batch(&[record("a", 5), record("secret", 5), record("b", 5)]);
    let handled = world
        .worker(Target::Search)
        .handle_with(NOW, &batch, |bytes, today| {
            let unpacked = tributary_pipeline::unpack::unpack(bytes)?;
            let name = Report::parse(&unpacked.report)?.request_id().to_owned();
            assert_ne!(name, "secret", "we can't stand {name}");
            read(bytes, today)
        })
        .await;
    assert_eq!(counted(&handled), [(Outcome::Applied, 2), (Outcome::DeadLettered, 1)]);
    let row = &world.ledger.dead_letters()[0];
    assert_eq!((row.reason, &row.id), (Reason::Panic, &id("secret").to_string()));
    assert!(!row.detail.contains("secret"), "{}", row.detail);
    assert_eq!(world.kept(&row.object_key).await, batch.records[1].data);
}

#[tokio::test]
async fn an_empty_huge_or_binary_reason_is_written_all_the_same() {
    for detail in ["", "\0\u{1b}[31m\n", &"reason ".repeat(100_000)] {
        let world = World::default();
        world.search.refuse_saying(id("a"), version(5), detail);
        let handled = world.worker(Target::Search).handle(NOW, &batch(&[record("a", 5)])).await;
        assert_eq!(counted(&handled), [(Outcome::DeadLettered, 1)]);
        let written = &world.ledger.dead_letters()[0].detail;
        assert!(written.len() <= 1024 && !written.contains(char::is_control), "{written:?}");
    }
}

#[tokio::test]
async fn a_dead_letter_that_can_t_be_written_comes_again_and_its_neighbours_are_stored() {
    let fails = Fault::Fails(PortErrorKind::Denied);
    for (data_keys, puts, rows, again) in [
        (&[fails][..], &[][..], &[][..], vec![1, 3]),
        (&[Fault::None, fails], &[], &[], vec![3]),
        (&[], &[fails], &[], vec![1, 3]),
        (&[], &[Fault::None, fails], &[], vec![3]),
        (&[], &[Fault::AnswerLost], &[], vec![1, 3]),
        (&[], &[], &[fails], vec![1, 3]),
        (&[], &[], &[Fault::AnswerLost], vec![1, 3]),
    ] {
        let world = World::default();
        world.keys.data_keys_fail(data_keys);
        world.shelf.puts_fail(puts);
        world.ledger.dead_letter_rows_fail(rows);
        let batch = batch(&[record("a", 5), "garbage".into(), record("b", 5), "more".into(), record("c", 5)]);
        let worker = world.worker(Target::Search);
        let handled = worker.handle(NOW, &batch).await;
        assert_eq!(redelivered(&handled), again);
        assert_eq!((world.search.written().len(), handled.facts.error.is_some()), (3, true));
        for row in world.ledger.dead_letters() {
            assert!(world.shelf.keys().contains(&row.object_key), "a row points to an object");
        }
        let second = worker.handle(NOW, &batch).await;
        assert_eq!(counted(&second), [(Outcome::AlreadyThere, 3), (Outcome::DeadLettered, 2)]);
        assert_eq!((world.ledger.dead_letters().len(), world.shelf.keys().len()), (2, 2));
    }
}

#[tokio::test]
async fn more_dead_letters_than_a_batch_writes_come_again_and_come_to_an_end() {
    let world = World::default();
    let records: Vec<Bytes> = (0..2 * DEAD_LETTERS_BATCH_MAX + 1).map(|at| format!("garbage {at}").into()).collect();
    let batch = batch(&records);
    let mut rest = batch.clone();
    let mut rounds = 0;
    while !rest.records.is_empty() {
        let handled = world.worker(Target::Search).handle(NOW, &rest).await;
        rest.records.retain(|record| handled.redeliver.contains(&record.sequence_number));
        rounds += 1;
    }
    assert_eq!((rounds, world.ledger.dead_letters().len()), (3, records.len()));
}

/// S6: neither a reason nor a line of the log repeats what a customer's function has reported.
#[tokio::test]
async fn no_reason_and_no_log_line_repeats_a_report() {
    let json = [
        r#"{"CANARY"#,
        r#"["CANARY"]"#,
        r#""CANARY""#,
        r#"{"processId":"CANARY"}"#,
        r#"{"processId":{"CANARY":"CANARY"},"timestamp":1,"aws":{"awsRequestId":"CANARY"}}"#,
        r#"{"processId":"CANARY","timestamp":"CANARY","aws":{"awsRequestId":"CANARY"}}"#,
        r#"{"processId":"CANARY","timestamp":1,"aws":"CANARY"}"#,
    ];
    let report = |kind| move |text: &str| record_of("a", 5, RetentionClass::DEFAULT, kind, text.as_bytes());
    let jws = ["CANARY", "CANARY.CANARY", "CANARY.CANARY.CANARY", "{\"CANARY\":1}"];
    let mut records: Vec<Bytes> = json.into_iter().map(report(Kind::Report)).collect();
    records.extend(jws.into_iter().map(report(Kind::SignedReport)));
    records.push("CANARY".into());
    for target in Target::ALL {
        for record in &records {
            let world = World::default();
            let handled = world.worker(target).handle(NOW, &batch(std::slice::from_ref(record))).await;
            assert_eq!(counted(&handled), [(Outcome::DeadLettered, 1)]);
            let told = format!("{:?} {:?}", handled.facts, world.ledger.dead_letters());
            assert!(!told.contains("CANARY"), "{told}");
        }
    }
}

#[tokio::test]
async fn nothing_of_a_record_can_be_read_in_its_object() {
    let world = World::default();
    world.worker(Target::Search).handle(NOW, &batch(&["a canary's garbage".into()])).await;
    let key = &world.shelf.keys()[0];
    let letter = world.shelf.dead_letter(key);
    let sealed =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, letter.sealed_record).expect("base64");
    assert!(!sealed.windows(6).any(|part| part == b"canary"));
    assert_eq!(world.kept(key).await, "a canary's garbage");
}
