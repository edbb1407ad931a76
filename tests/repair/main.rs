//! A store is lost, and one command brings everything back, once: the real program, its data folder, and what an operator
//! types.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "../program/mod.rs"]
mod program;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use bytes::Bytes;
use program::{Program, Up, lines, until};
use serde_json::{Value, json};
use tributary_embedded::objects::FileObjects;
use tributary_embedded::stream::{Clock, FileStream, StreamSettings};
use tributary_model::outages::{PENDING, WRITTEN};
use tributary_model::{
    AccountId, Kind, ProjectId, Region, Report, ReportId, RetentionClass, Target, TimestampMs, TokenId,
};
use tributary_pipeline::pack::{Arrival, pack};
use tributary_ports::ledger::OutageRow;
use tributary_ports::objects::Condition;
use tributary_ports::stream::Entry;
use tributary_ports::{Objects, PortErrorKind, Stream};

/// A program with so many acknowledged reports in both stores, and their receipts.
fn loaded(count: usize) -> (Program, Up, BTreeSet<String>) {
    let program = Program::new();
    let up = program.up(&[]);
    let file = program.data().join("receipts");
    let (count, path) = (count.to_string(), file.display().to_string());
    program.run(&["load", "--count", &count, "--connections", "4", "--receipts", &path]);
    let receipts: BTreeSet<String> = lines(&file).into_iter().collect();
    let token = token(&program);
    until("both stores have every report", || {
        let found = program.found(&up, &token);
        (found.len() == receipts.len() && program.missing_in_ledger(&receipts) == 0).then_some(())
    });
    (program, up, receipts)
}

fn token(program: &Program) -> String {
    program.run(&["token", "issue", "--scope", "read"]).trim().to_owned()
}

/// Kills the program, removes one of its stores, and starts it again.
fn lose(program: &Program, up: Up, store: &str) -> Up {
    up.kill();
    fs::remove_dir_all(program.data().join(store)).expect("removed");
    program.up(&[])
}

fn printed(program: &Program, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--output", "json"]).collect();
    serde_json::from_str(&program.run(&arguments)).expect("JSON")
}

#[test]
fn a_lost_search_index_is_back_once() {
    let (program, up, receipts) = loaded(700);
    let up = lose(&program, up, "search");
    let token = token(&program);
    assert_eq!(program.found(&up, &token).len(), 0, "what was lost is lost");

    let audit = ["audit", "--from", "1h", "--to", "now", "--output", "json"];
    let ended = program.command(&audit).output().expect("the program starts");
    assert!(!ended.status.success(), "an audit that finds something fails");
    let audited: Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    let named: BTreeSet<&str> =
        audited["findings"].as_array().expect("findings").iter().filter_map(|finding| finding["id"].as_str()).collect();
    assert_eq!(named, receipts.iter().map(String::as_str).collect(), "every lost report is named");

    let foreseen = printed(&program, &["replay", "start", "--from", "1h", "--dry-run", "--watch"]);
    assert_eq!(foreseen["counts"]["search"]["applied"], receipts.len());
    let replayed = printed(&program, &["replay", "start", "--from", "1h", "--watch"]);
    let counts = &replayed["counts"];
    assert_eq!((&replayed["state"], &counts["search"]["applied"]), (&"finished".into(), &receipts.len().into()));
    assert_eq!(counts["ledger"]["already_there"], receipts.len(), "{counts}");
    let found = until("everything is found", || {
        let found = program.found(&up, &token);
        (found.len() == receipts.len()).then_some(found)
    });
    assert!(receipts.iter().all(|id| found.get(id) == Some(&1)), "each once");

    program.run(&["audit", "--from", "1h", "--to", "now"]);
    let path = program.data().join("receipts").display().to_string();
    let checked = program.run(&["audit", "--from", "1h", "--receipts", &path]);
    assert_eq!(checked.lines().last(), Some("700 receipts, 0 of them lacking in a store"));
    let listed = printed(&program, &["replay", "list"]);
    let states: Vec<&str> =
        listed["items"].as_array().expect("items").iter().filter_map(|item| item["mode"].as_str()).collect();
    assert_eq!(states, ["audit", "dry-run", "apply", "audit"]);
}

#[test]
fn a_lost_ledger_is_back_once_and_no_revoked_token_works_in_between() {
    let (program, up, receipts) = loaded(300);
    let revoked = token(&program);
    let tokens = |program: &Program| printed(program, &["token", "list"])["items"].clone();
    let id = tokens(&program)[0]["id"].as_str().expect("an id").to_owned();
    program.run(&["token", "revoke", &id]);
    let before = tokens(&program);
    let outage = leave_outage(&program);
    let up = lose(&program, up, "ledger");
    let refused = || {
        let ended = program.command(&["query", "", "--token", &revoked, "--endpoint", &up.endpoint]).output();
        let ended = ended.expect("the program starts");
        !ended.status.success() && String::from_utf8_lossy(&ended.stderr).contains("401")
    };
    assert!(refused(), "without its ledger");
    assert_eq!(program.missing_in_ledger(&receipts), receipts.len(), "what was lost is lost");

    let restored = program.run(&["ledger", "restore"]);
    assert!(restored.contains(" 1 outages, "), "{restored}");
    let since = printed(&program, &["replay", "start", "--since-outage", &outage, "--dry-run", "--watch"]);
    assert_eq!(since["counts"]["ledger"]["applied"], receipts.len(), "{since}");
    assert_eq!(tokens(&program), before, "every token is listed again, the revoked one as revoked");
    assert!(refused(), "with its tokens back");
    let path = program.data().join("receipts").display().to_string();
    // Healing by receipts replays exactly what is lacking.
    let healed = program.run(&["audit", "--from", "1h", "--receipts", &path, "--heal"]);
    assert_eq!(healed.lines().last(), Some("300 receipts, 300 of them lacking in a store"));
    assert_eq!(program.missing_in_ledger(&receipts), 0);
    let replayed = printed(&program, &["replay", "start", "--from", "1h", "--target", "ledger", "--watch"]);
    assert_eq!(replayed["counts"]["ledger"]["already_there"], receipts.len(), "{replayed}");
    program.run(&["audit", "--from", "1h", "--to", "now"]);
    assert!(
        !heals_a_receipt_of_nothing(&program, receipts.first().expect("a receipt")),
        "what the stream does not have is not healed"
    );
}

/// Leaves an outage of the ledger, as the custodian does when the ledger can't be told; answers its id when it has been told.
fn leave_outage(program: &Program) -> String {
    let ended_at = now();
    let row = OutageRow {
        id: format!("ledger-local-{}", ended_at.0),
        target: Target::Ledger,
        region: Region::local(),
        cause: PortErrorKind::Unavailable,
        started_at: ended_at.plus_ms(-60_000),
        ended_at: Some(ended_at),
        failed_batches: 3,
        failed_records: 30,
        updated_at: ended_at,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let objects = FileObjects::open(&program.data().join("objects")).expect("objects");
    let (pending, written) = (format!("{PENDING}{}.json", row.id), format!("{WRITTEN}{}.json", row.id));
    let bytes = Bytes::from(serde_json::to_vec(&row).expect("JSON"));
    runtime.block_on(objects.put(&pending, bytes, Condition::Absent)).expect("put");
    let is_told = || runtime.block_on(objects.get(&pending)).expect("read").is_none();
    until("the ledger has the outage", || is_told().then_some(()));
    assert!(runtime.block_on(objects.get(&written)).expect("read").is_some(), "it is kept");
    row.id
}

/// Whether an audit that heals is content with a receipt like `receipt`, of a report that was never sent.
fn heals_a_receipt_of_nothing(program: &Program, receipt: &str) -> bool {
    let (day, digits) = receipt.split_at(9);
    let other = if digits.starts_with('a') { 'b' } else { 'a' };
    let path = program.data().join("receipts-of-nothing");
    let mut file = fs::File::create(&path).expect("a file");
    writeln!(file, "{day}{other}{}", &digits[1..]).expect("a line");
    let path = path.display().to_string();
    let audit = program.command(&["audit", "--from", "1h", "--receipts", &path, "--heal"]).output().expect("it starts");
    assert!(String::from_utf8_lossy(&audit.stdout).contains("missing in search and ledger"), "{audit:?}");
    audit.status.success()
}

/// A replay goes on after `kill -9` where its last checkpoint was, by itself.
#[test]
fn a_replay_survives_a_kill() {
    let (program, up, receipts) = loaded(1500);
    let up = lose(&program, up, "search");
    let started = printed(&program, &["replay", "start", "--from", "1h", "--rate", "500"]);
    let id = started["id"].as_str().expect("an id").to_owned();
    until("some of it is done", || {
        let status = printed(&program, &["replay", "status", &id]);
        status["counts"]["read"].as_u64().filter(|read| *read > 0)
    });
    up.kill();
    let up = program.up(&[]);
    let done = printed(&program, &["replay", "status", &id, "--watch"]);
    let counts = &done["counts"];
    assert_eq!(counts["read"], receipts.len(), "no page is counted twice: {counts}");
    let token = token(&program);
    until("everything is found", || (program.found(&up, &token).len() == receipts.len()).then_some(()));
}

/// Appends records to the stream of a program that is not running: what no collector would have let in.
fn append(program: &Program, records: &[Bytes]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let entries = records.iter().map(|data| Entry { partition_key: "poison".into(), data: data.clone() }).collect();
    runtime.block_on(async {
        let settings = StreamSettings::new(Clock::new(now));
        let stream = FileStream::open(&program.data().join("stream"), settings).expect("a stream");
        stream.append(entries).await.expect("appended");
    });
}

#[expect(clippy::disallowed_methods, reason = "a test has no caller who could tell the time")]
fn now() -> TimestampMs {
    TimestampMs::from_system(std::time::SystemTime::now())
}

/// The record of a report that lacks its parts, and what it should have been.
fn poison() -> (ReportId, Bytes, Value) {
    let at = now();
    let report = json!({
        "processId": "p", "timestamp": at.0, "aws": {"awsRequestId": "mended", "functionName": "checkout"},
    });
    let arrival = Arrival {
        project: ProjectId::new("default").expect("a project"),
        account: AccountId::new("local").expect("an account"),
        region: Region::local(),
        retention: RetentionClass::DEFAULT,
        token: TokenId::new("t1").expect("a token's id"),
        received_at: at,
    };
    let id = Report::parse(report.to_string().as_bytes()).expect("a report").id(&arrival.project);
    let record = pack(&arrival, id, Kind::Report, b"[\"no report\"]").expect("a record").encode();
    (id, record, report)
}

/// `docs/runbooks/poison-records.md`, as it is written.
#[test]
fn poison_is_listed_mended_and_given_up() {
    let program = Program::new();
    program.up(&[]).kill();
    let (id, broken, report) = poison();
    append(&program, &[Bytes::from_static(b"garbage"), broken]);
    let up = program.up(&[]);
    let id = id.to_string();
    let letters = |arguments: &[&str]| -> Vec<Value> {
        let all: Vec<&str> = ["dead-letter", "list"].iter().chain(arguments).copied().collect();
        printed(&program, &all)["items"].as_array().expect("items").clone()
    };
    until("both are dead letters of both stores", || {
        let found = letters(&[]);
        (found.len() == 2 && found.iter().all(|letter| letter["targets"] == json!(["search", "ledger"]))).then_some(())
    });
    let garbage = letters(&["--class", "parse"])[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(letters(&["--class", "value", "--from", "1h"])[0]["id"], id.as_str());
    assert_eq!(printed(&program, &["dead-letter", "show", &id])["report"], json!(["no report"]));
    assert!(!program.command(&["dead-letter", "retry", "--all"]).output().expect("it starts").status.success());

    // An editor that is a command: it writes what the report should have been.
    let mended = program.data().join("mended.json");
    fs::File::create(&mended).and_then(|mut file| file.write_all(report.to_string().as_bytes())).expect("written");
    let editor = format!("cp {}", mended.display());
    let edited = program.run(&["dead-letter", "edit", &id, "--editor", &editor]);
    assert!(edited.contains("search ledger"), "{edited}");
    let token = token(&program);
    until("it is found", || program.found(&up, &token).contains_key(&id).then_some(()));
    assert_eq!(program.missing_in_ledger(&BTreeSet::from([id])), 0);

    program.run(&["dead-letter", "discard", &garbage, "--reason", "a test's own"]);
    assert_eq!(letters(&[]), Vec::<Value>::new());
    // The stream has both as they came: neither is lost.
    program.run(&["audit", "--from", "1h", "--to", "now"]);
}
