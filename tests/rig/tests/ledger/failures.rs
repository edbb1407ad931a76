//! What goes wrong between a worker and its ledger.

use std::time::Duration;

use tributary_aws::ledger::RdsLedger;
use tributary_model::{Reason, Target};
use tributary_ports::ledger::{DeadLetterRow, Resolution};
use tributary_ports::{Ledger as _, PortErrorKind, Upserted};
use tributary_rig::data_api::{CLUSTER_ARN, ERRORS, Fault, SECRET_ARN};
use tributary_rig::postgres::SUPERUSER;

use crate::fixture::{ACCESS_KEY, AT, Fixture, row};

#[tokio::test]
async fn every_error_of_the_data_api_has_its_kind_and_nothing_is_lost() {
    use PortErrorKind::{Denied, Invalid, NotFound, Throttled, Unavailable};
    let fixture = Fixture::start().await;
    let ledger = fixture.fresh().await;
    ledger.upsert_invocations(vec![row(0, 1, 0)]).await.expect("an upsert");
    for (number, (status, name)) in ERRORS.iter().enumerate() {
        let expected = match *name {
            "BadRequestException" | "HttpEndpointNotEnabledException" | "UnsupportedResultException" => Invalid,
            "DatabaseErrorException"
            | "DatabaseResumingException"
            | "InvalidResourceStateException"
            | "StatementTimeoutException" => Unavailable,
            "InvalidSecretException" | "SecretsErrorException" => Denied,
            "ThrottlingException" => Throttled,
            _ => match status {
                403 => Denied,
                404 => NotFound,
                _ => Unavailable,
            },
        };
        // More than the attempts that a call makes.
        fixture.gateway.faults(vec![Fault::Error(name); 3]);
        let error = ledger.upsert_invocations(vec![row(number, 2, 0)]).await.expect_err("a failure");
        assert_eq!((error.kind, error.operation), (expected, "ledger.upsert_invocations"), "{name}");
        assert!(error.to_string().contains(name), "{error}");
        fixture.gateway.clear_faults();
    }
}

#[tokio::test]
async fn what_passes_soon_is_not_noticed() {
    let fixture = Fixture::start().await;
    let ledger = fixture.fresh().await;
    for fault in [
        Fault::Error("ServiceUnavailableError"),
        Fault::Error("InternalServerErrorException"),
        Fault::Error("DatabaseUnavailableException"),
        Fault::Error("ThrottlingException"),
        Fault::DropBefore,
    ] {
        fixture.gateway.faults([fault.clone()]);
        ledger.upsert_invocations(vec![row(1, 1, 0)]).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_already_there() {
    let fixture = Fixture::start().await;
    let ledger = fixture.fresh().await;
    ledger.upsert_invocations(vec![row(0, 1, 0)]).await.expect("an upsert");
    fixture.gateway.faults(vec![Fault::DropAfter; 3]);
    let error = ledger.upsert_invocations(vec![row(1, 1, 0), row(2, 1, 0)]).await.expect_err("a failure");
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}");
    let again = ledger.upsert_invocations(vec![row(1, 1, 0), row(2, 1, 0), row(3, 1, 0)]).await.expect("an upsert");
    assert_eq!(again, [Upserted::AlreadyThere, Upserted::AlreadyThere, Upserted::Applied]);
}

#[tokio::test]
async fn a_wrong_password_is_denied_until_the_secret_changes() {
    let fixture = Fixture::start().await;
    let ledger = fixture.fresh().await;
    ledger.upsert_invocations(vec![row(1, 1, 0)]).await.expect("an upsert");
    let superuser = fixture.postgres.connect("postgres").await;
    superuser.batch_execute("ALTER USER postgres PASSWORD 'another'").await.expect("a rotated password");
    fixture.gateway.close_idle();
    for _ in 0..2 {
        let error = ledger.upsert_invocations(vec![row(2, 1, 0)]).await.expect_err("a failure");
        assert_eq!(error.kind, PortErrorKind::Denied, "{error}");
    }
    fixture.gateway.set_secret(SECRET_ARN, SUPERUSER, "another");
    assert_eq!(ledger.upsert_invocations(vec![row(2, 1, 0)]).await.expect("an upsert"), [Upserted::Applied]);
    let unknown =
        RdsLedger::new(&fixture.config, CLUSTER_ARN, "arn:aws:secretsmanager:eu-west-1:1:secret:x", "postgres");
    assert_eq!(unknown.check_schema().await.expect_err("a failure").kind, PortErrorKind::Denied);
}

#[tokio::test]
async fn expired_credentials_are_denied_and_take_nothing() {
    let fixture = Fixture::start().await;
    let ledger = fixture.fresh().await;
    for error in ["ExpiredTokenException", "UnrecognizedClientException", "AccessDeniedException"] {
        fixture.gateway.refuse_key(ACCESS_KEY, Some(error));
        let failed = ledger.upsert_invocations(vec![row(1, 1, 0)]).await.expect_err("a failure");
        assert_eq!(failed.kind, PortErrorKind::Denied, "{failed}");
    }
    fixture.gateway.refuse_key(ACCESS_KEY, None);
    assert_eq!(ledger.upsert_invocations(vec![row(1, 1, 0)]).await.expect("an upsert"), [Upserted::Applied]);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let fixture = Fixture::start().await;
    for (cluster, database) in [("arn:aws:rds:eu-west-1:1:cluster:x", "postgres"), (CLUSTER_ARN, "no_such_database")] {
        let ledger = RdsLedger::new(&fixture.config, cluster, SECRET_ARN, database);
        let error = ledger.check_schema().await.expect_err("a failure");
        assert_eq!(error.kind, PortErrorKind::NotFound, "{error}");
    }
}

#[tokio::test]
async fn a_database_that_stops_is_unavailable_and_keeps_what_it_took() {
    let Fixture { mut postgres, gateway, config, .. } = Fixture::start().await;
    postgres.create_database("ledger").await;
    let ledger = RdsLedger::new(&config, CLUSTER_ARN, SECRET_ARN, "ledger");
    ledger.migrate().await.expect("a migration");
    ledger.upsert_invocations(vec![row(1, 1, 0)]).await.expect("an upsert");
    postgres.stop();
    let error = ledger.upsert_invocations(vec![row(2, 1, 0)]).await.expect_err("a failure");
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}");
    postgres.start_again().await;
    let answers = ledger.upsert_invocations(vec![row(1, 1, 0), row(2, 1, 0)]).await.expect("an upsert");
    assert_eq!(answers, [Upserted::AlreadyThere, Upserted::Applied]);
    drop(gateway);
}

/// A writer that holds the rows for longer than a statement may take.
#[tokio::test]
async fn a_statement_that_takes_too_long_is_unavailable() {
    let fixture = Fixture::start().await;
    let (ledger, name) = fixture.empty().await;
    ledger.migrate().await.expect("a migration");
    ledger.upsert_invocations(vec![row(1, 1, 0)]).await.expect("an upsert");
    fixture.gateway.set_statement_timeout(Duration::from_millis(100));
    let other = fixture.postgres.connect(&name).await;
    other.batch_execute("BEGIN; SELECT * FROM invocation FOR UPDATE").await.expect("locks");
    let error = ledger.upsert_invocations(vec![row(1, 2, 0)]).await.expect_err("a failure");
    assert!(
        error.kind == PortErrorKind::Unavailable && error.to_string().contains("StatementTimeoutException"),
        "{error}"
    );
    other.batch_execute("COMMIT").await.expect("no locks");
    assert_eq!(ledger.upsert_invocations(vec![row(1, 2, 0)]).await.expect("an upsert"), [Upserted::Applied]);
}

/// Begin, lock, records, row, commit: whichever call fails, all is as before, and the same again does it.
#[tokio::test]
async fn a_transaction_that_fails_changes_nothing() {
    let fixture = Fixture::start().await;
    let ledger = fixture.fresh().await;
    let letter = DeadLetterRow {
        id: "a".to_owned(),
        project: None,
        reason: Reason::Refused,
        detail: String::new(),
        targets: vec![Target::Search],
        first_seen: AT,
        last_seen: AT,
        object_key: "dead-letters/a/1.json".to_owned(),
        record_bytes: 1,
        count: 1,
    };
    ledger.upsert_dead_letters(vec![letter.clone()]).await.expect("an upsert");
    let resolve = async || {
        let resolution = Resolution { id: "a".to_owned(), targets: vec![Target::Search], seen_until: AT };
        ledger.resolve_dead_letters(vec![resolution]).await
    };
    for good in 2..6 {
        fixture
            .gateway
            .faults((0..good).map(|_| Fault::Delay(Duration::ZERO)).chain([Fault::Error("DatabaseErrorException")]));
        let error = resolve().await.expect_err("a failure");
        assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}");
        assert_eq!(ledger.dead_letter("a").await.expect("an answer"), Some(letter.clone()));
    }
    fixture.gateway.set_idle_timeout(Duration::ZERO);
    let error = resolve().await.expect_err("a transaction that ended by itself");
    assert!(error.kind == PortErrorKind::Unavailable && error.to_string().contains("TransactionNotFound"), "{error}");
    fixture.gateway.set_idle_timeout(Duration::from_secs(60));
    assert_eq!(resolve().await.expect("a resolution").len(), 1);
    assert_eq!(ledger.dead_letter("a").await.expect("an answer"), None);
}
