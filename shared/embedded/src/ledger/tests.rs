use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use tributary_model::{AccountId, Region, RetentionClass, TokenId, Version};
use tributary_ports::{PortErrorKind, contract};

use super::*;

const AT: TimestampMs = TimestampMs(1_795_284_061_873);

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn database(root: &TempDir) -> Connection {
    Connection::open(root.path().join("ledger.db")).expect("the database")
}

/// A ledger that does not wait for others' writes.
fn impatient(root: &TempDir) -> SqliteLedger {
    SqliteLedger { file: Arc::new(File::open(root.path(), Duration::ZERO).expect("a ledger")) }
}

fn row(request: u32) -> InvocationRow {
    let project = ProjectId::new("shop").expect("a project's name");
    InvocationRow {
        id: ReportId::derive(&project, "process", &request.to_string(), AT),
        version: Version::from_u64(1),
        project,
        account: AccountId::new("acme").expect("an account's name"),
        region: Region::new("eu-west-1").expect("a region's name"),
        function: "checkout".to_owned(),
        timestamp: AT,
        received_at: AT,
        retention: RetentionClass::DEFAULT,
        token: TokenId::new("token").expect("a token's id"),
        duration_ms: Some(12.5),
        coldstart: false,
        error_fingerprint: None,
        report_bytes: 1024,
    }
}

async fn count(ledger: &SqliteLedger) -> u64 {
    let shop = ProjectId::new("shop").expect("a project's name");
    ledger.count_invocations(&shop, AT, AT.plus_ms(1)).await.expect("a count")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sqlite_keeps_the_contract_of_ledgers() {
    let (root, next) = (folder(), Cell::new(0));
    contract::ledger::all(async || {
        next.set(next.get() + 1);
        let ledger: Arc<dyn Ledger> = SqliteLedger::open(&root.path().join(next.get().to_string())).expect("a ledger");
        ledger
    })
    .await;
}

/// A page costs what it holds, whatever else is in the ledger.
#[tokio::test]
async fn pages_are_read_from_an_index_and_not_sorted() {
    let root = folder();
    let _ledger = SqliteLedger::open(root.path()).expect("a ledger");
    for (sql, expected) in [
        (dead_letters::LIST, "SEARCH dead_letter USING INDEX dead_letter_by_project (project=? AND id>?)"),
        (dead_letters::EXPIRED, "SEARCH dead_letter USING COVERING INDEX dead_letter_by_last_seen (last_seen<?)"),
        (outages::LIST, "SEARCH outage USING INDEX outage_by_start ((started_at,id)<(?,?))"),
        (audit::LIST, "SEARCH audit_event USING INDEX audit_event_by_time (project=? AND (at,id)<(?,?))"),
        (tokens::LIST, "SEARCH token USING INDEX token_by_project (project=? AND (issued_at,id)<(?,?))"),
    ] {
        let database = database(&root);
        let mut statement = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a statement");
        let nulls = rusqlite::params_from_iter(vec![rusqlite::types::Null; statement.parameter_count()]);
        let steps: rusqlite::Result<Vec<String>> =
            statement.query_map(nulls, |step| step.get("detail")).expect("a plan").collect();
        let steps = steps.expect("its steps");
        assert_eq!(steps.first().map(String::as_str), Some(expected));
        assert!(steps.iter().all(|step| !step.contains("TEMP B-TREE")), "{steps:?}");
    }
}

#[tokio::test]
async fn rows_outlive_the_ledger() {
    let root = folder();
    let ledger = SqliteLedger::open(root.path()).expect("a ledger");
    ledger.upsert_invocations(vec![row(1)]).await.expect("an upsert");
    drop(ledger);
    let ledger = SqliteLedger::open(root.path()).expect("a ledger");
    assert_eq!(ledger.invocations(&[row(1).id]).await.expect("rows"), [Some(row(1))]);
}

#[tokio::test]
async fn what_is_acknowledged_is_on_the_disk() {
    let root = folder();
    let ledger = SqliteLedger::open(root.path()).expect("a ledger");
    let synchronous: i64 = ledger
        .write("test", |transaction| transaction.pragma_query_value(None, "synchronous", |row| row.get(0)))
        .await
        .expect("a setting");
    assert_eq!(synchronous, 2, "FULL");
    let mode: String = database(&root).pragma_query_value(None, "journal_mode", |row| row.get(0)).expect("a setting");
    assert_eq!(mode, "wal");
}

/// A copy of the files, taken while they are in use, is what a killed process leaves.
#[tokio::test]
async fn rows_of_a_killed_process_are_there() {
    let (root, copy) = (folder(), folder());
    let ledger = SqliteLedger::open(root.path()).expect("a ledger");
    ledger.upsert_invocations((0..500).map(row).collect()).await.expect("an upsert");
    for entry in root.path().read_dir().expect("the folder") {
        let entry = entry.expect("a file");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
    }
    let after = SqliteLedger::open(copy.path()).expect("a ledger");
    assert_eq!(count(&after).await, 500);
    assert!(after.check().await.expect("a check").is_empty());
}

/// Cut anywhere, the write-ahead log holds whole batches and no part of one.
#[tokio::test]
async fn a_batch_that_was_cut_off_is_not_there_at_all() {
    let root = folder();
    let ledger = SqliteLedger::open(root.path()).expect("a ledger");
    for batch in 0..4 {
        ledger.upsert_invocations((batch * 100..batch * 100 + 100).map(row).collect()).await.expect("an upsert");
    }
    let whole = std::fs::metadata(root.path().join("ledger.db-wal")).expect("the log").len();
    let mut counts = BTreeSet::new();
    for cut in (0..whole).step_by(7919).chain([whole]) {
        let copy = folder();
        for name in ["ledger.db", "ledger.db-wal"] {
            std::fs::copy(root.path().join(name), copy.path().join(name)).expect("a copy");
        }
        let log = std::fs::OpenOptions::new().write(true).open(copy.path().join("ledger.db-wal")).expect("the log");
        log.set_len(cut).expect("a cut");
        let after = SqliteLedger::open(copy.path()).expect("a ledger");
        assert!(after.check().await.expect("a check").is_empty(), "cut at byte {cut} of {whole}");
        counts.insert(count(&after).await);
    }
    assert_eq!(counts, BTreeSet::from([0, 100, 200, 300, 400]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn openers_at_once_share_a_ledger() {
    let root = folder();
    let ledgers = std::thread::scope(|scope| {
        let openers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| SqliteLedger::open(root.path()).expect("a ledger"))).collect();
        openers.into_iter().map(|opener| opener.join().expect("an opener that ends")).collect::<Vec<_>>()
    });
    let writers = [0, 1, 2, 3].map(|number| {
        let ledger = Arc::clone(&ledgers[number]);
        tokio::spawn(async move {
            for request in 0..20 {
                ledger.upsert_invocations(vec![row(request)]).await.expect("an upsert");
            }
        })
    });
    for writer in writers {
        writer.await.expect("a writer that ends");
    }
    for ledger in &ledgers {
        assert_eq!(count(ledger).await, 20);
    }
}

#[tokio::test]
async fn another_processs_write_throttles_ours_and_not_our_reads() {
    let root = folder();
    let ledger = impatient(&root);
    let other = database(&root);
    other.execute_batch("BEGIN IMMEDIATE").expect("a transaction");
    let error = ledger.upsert_invocations(vec![row(1)]).await.expect_err("a failure");
    assert_eq!((error.kind, error.operation), (PortErrorKind::Throttled, "ledger.upsert_invocations"));
    assert!(error.retry_after.is_some());
    assert_eq!(count(&ledger).await, 0);
    other.execute_batch("ROLLBACK").expect("its end");
    ledger.upsert_invocations(vec![row(1)]).await.expect("an upsert");
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_of_a_batch() {
    let root = folder();
    let ledger = impatient(&root);
    let pages: i64 = ledger
        .write("test", |transaction| {
            let pages = transaction.pragma_query_value(None, "page_count", |row| row.get(0))?;
            transaction.pragma_update(None, "max_page_count", pages)?;
            Ok(pages)
        })
        .await
        .expect("a setting");
    let error = ledger.upsert_invocations((0..10_000).map(row).collect()).await.expect_err("a failure");
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}");
    assert_eq!(count(&ledger).await, 0);
    let more = pages + 10_000;
    ledger
        .write("test", move |transaction| transaction.pragma_update(None, "max_page_count", more))
        .await
        .expect("room");
    let upserted = ledger.upsert_invocations((0..1000).map(row).collect()).await.expect("an upsert");
    assert_eq!(upserted, vec![Upserted::Applied; 1000]);
}

#[tokio::test]
async fn a_panic_in_a_call_leaves_the_ledger_usable() {
    let root = folder();
    let ledger = impatient(&root);
    let panicked = ledger.write::<()>("test", |transaction| {
        invocations::upsert(transaction, &[row(1)])?;
        panic!("a bug")
    });
    assert_eq!(panicked.await.expect_err("a failure").kind, PortErrorKind::Unavailable);
    assert_eq!(count(&ledger).await, 0, "what it wrote is rolled back");
    ledger.upsert_invocations(vec![row(1)]).await.expect("an upsert");
    assert_eq!(count(&ledger).await, 1);
}

#[test]
fn a_newer_ledger_is_refused() {
    let root = folder();
    SqliteLedger::open(root.path()).expect("a ledger");
    database(&root).pragma_update(None, "user_version", 3).expect("a newer version");
    let error = SqliteLedger::open(root.path()).err().expect("a refusal");
    assert_eq!(error.kind, PortErrorKind::Invalid);
    let text = error.to_string();
    assert!(text.contains("has the schema's version 3, and this program knows none beyond 2"), "{text}");
}

#[tokio::test]
async fn a_ledger_of_the_first_version_is_brought_up_to_date() {
    let root = folder();
    let old = database(&root);
    old.execute_batch(include_str!("schema/1.sql")).expect("the tables");
    old.execute_batch(
        "INSERT INTO dead_letter VALUES ('a', 'shop', 'panic', 'x', 3, 1, 2, 'dead-letters/a/1.json', 7);
        PRAGMA user_version = 1;",
    )
    .expect("a row");
    drop(old);
    let ledger = SqliteLedger::open(root.path()).expect("a ledger");
    let row = ledger.dead_letter("a").await.expect("a dead letter").expect("the row");
    assert_eq!((row.count, row.object_key.as_str()), (1, "dead-letters/a/1.json"));
    drop(ledger);
    SqliteLedger::open(root.path()).expect("a ledger that is up to date");
}

#[test]
fn a_database_of_somebody_else_is_refused_and_left_alone() {
    let root = folder();
    database(&root).execute_batch("CREATE TABLE theirs (x)").expect("a table");
    let error = SqliteLedger::open(root.path()).err().expect("a refusal");
    assert_eq!(error.kind, PortErrorKind::Invalid);
    assert!(error.to_string().contains("holds tables that are not the ledger's"), "{error}");
    let tables: i64 =
        database(&root).query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).expect("a count");
    assert_eq!(tables, 1);
}

#[test]
fn a_file_that_is_no_database_is_unavailable() {
    let root = folder();
    let file = crate::files::prepare(root.path(), &[b'x'; 8192]).expect("a file");
    crate::files::publish(file, root.path(), "ledger.db").expect("a publication");
    let error = SqliteLedger::open(root.path()).err().expect("a failure");
    assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("ledger.db"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_check_finds_a_damaged_page() {
    use std::os::unix::fs::FileExt;
    let root = folder();
    let ledger = SqliteLedger::open(root.path()).expect("a ledger");
    ledger.upsert_invocations((0..1000).map(row).collect()).await.expect("an upsert");
    assert!(ledger.check().await.expect("a check").is_empty());
    drop(ledger);
    assert!(!root.path().join("ledger.db-wal").exists(), "who closes last moves the log into the file");
    let file = std::fs::OpenOptions::new().write(true).open(root.path().join("ledger.db")).expect("the file");
    let middle = file.metadata().expect("metadata").len() / 2 / 4096 * 4096;
    file.write_all_at(&[0xff; 4096], middle).expect("a page of ones");
    let ledger = SqliteLedger::open(root.path()).expect("a ledger whose first page is whole");
    match ledger.check().await {
        Ok(problems) => assert!(!problems.is_empty()),
        Err(error) => assert_eq!(error.kind, PortErrorKind::Unavailable, "{error}"),
    }
}

#[cfg(unix)]
#[test]
fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let root = folder();
    let _ledger = SqliteLedger::open(root.path()).expect("a ledger");
    for name in ["ledger.db", "ledger.db-wal"] {
        let mode = root.path().join(name).metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_value_that_was_never_written_is_damage_and_not_a_panic() {
    let root = folder();
    let ledger = SqliteLedger::open(root.path()).expect("a ledger");
    ledger.upsert_invocations(vec![row(1)]).await.expect("an upsert");
    for change in ["project = 'NOT A NAME'", "retention_days = 0", "hash = x'00'"] {
        database(&root).execute_batch(&format!("UPDATE invocation SET {change}")).expect("a change");
        let found = ledger.read("test", |transaction| {
            transaction.query_row("SELECT day, hash FROM invocation", [], |row| row.get::<_, [u8; 16]>(1)).map(drop)?;
            invocations::find(transaction, &[row(1).id])
        });
        assert_eq!(found.await.expect_err("a failure").kind, PortErrorKind::Unavailable, "{change}");
        database(&root).execute_batch("UPDATE invocation SET project = 'shop', retention_days = 30").expect("a change");
    }
}
