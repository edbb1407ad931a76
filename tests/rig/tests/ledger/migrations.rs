//! The schema's versions.

use tributary_ports::{Ledger as _, PortErrorKind, Upserted};

use crate::fixture::{Fixture, row};

const VERSIONS: usize = 3;

#[tokio::test]
async fn migrations_are_applied_once() {
    let fixture = Fixture::start().await;
    let (ledger, name) = fixture.empty().await;
    let error = ledger.check_schema().await.expect_err("an empty database");
    assert_eq!(error.kind, PortErrorKind::Invalid);
    assert!(error.to_string().contains("has version 0, and this build needs 3: run `tributary aws setup`"), "{error}");
    assert_eq!(ledger.migrate().await.expect("a migration"), VERSIONS);
    assert_eq!(ledger.migrate().await.expect("the same again"), 0);
    ledger.check_schema().await.expect("a schema that fits");
    ledger.upsert_invocations(vec![row(1, 1, 0)]).await.expect("an upsert");
    assert_eq!(fixture.ledger(&name).migrate().await.expect("the same by another process"), 0);
    assert_eq!(ledger.invocations(&[row(1, 1, 0).id]).await.expect("rows"), [Some(row(1, 1, 0))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_at_once_apply_each_migration_once() {
    let fixture = Fixture::start().await;
    let (_, name) = fixture.empty().await;
    let commands: Vec<_> = (0..4)
        .map(|_| {
            let ledger = fixture.ledger(&name);
            tokio::spawn(async move { ledger.migrate().await.expect("a migration") })
        })
        .collect();
    let mut applied = 0;
    for command in commands {
        applied += command.await.expect("a command that ends");
    }
    assert_eq!(applied, VERSIONS);
    fixture.ledger(&name).check_schema().await.expect("a schema that fits");
}

#[tokio::test]
async fn a_migration_that_was_cut_off_goes_on_where_it_was() {
    use tributary_rig::data_api::Fault;
    let fixture = Fixture::start().await;
    let (ledger, _) = fixture.empty().await;
    // The sixth call is within the first migration, the fourteenth within a later one, which finds the first one done.
    for good in [5, 13] {
        fixture.gateway.faults((0..good).map(|_| Fault::Delay(std::time::Duration::ZERO)));
        fixture.gateway.faults([Fault::Error("DatabaseErrorException")]);
        let error = ledger.migrate().await.expect_err("a failure");
        assert_eq!(error.kind, PortErrorKind::Unavailable);
    }
    let rest = ledger.migrate().await.expect("a migration");
    assert!((1..VERSIONS).contains(&rest), "{rest}");
    ledger.check_schema().await.expect("a schema that fits");
    assert_eq!(ledger.upsert_invocations(vec![row(1, 1, 0)]).await.expect("an upsert"), [Upserted::Applied]);
}

#[tokio::test]
async fn a_schema_of_a_later_build_is_refused_and_left_alone() {
    let fixture = Fixture::start().await;
    let (ledger, name) = fixture.empty().await;
    ledger.migrate().await.expect("a migration");
    let database = fixture.postgres.connect(&name).await;
    database.batch_execute("INSERT INTO schema_version (version) VALUES (4)").await.expect("a later version");
    for error in [ledger.check_schema().await.expect_err("a refusal"), ledger.migrate().await.expect_err("a refusal")] {
        assert_eq!(error.kind, PortErrorKind::Invalid);
        assert!(error.to_string().contains("has version 4, and this build knows none beyond 3"), "{error}");
    }
}
