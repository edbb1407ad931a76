//! A store is lost, and one command brings everything back, once: the real program, its data folder, and what an operator
//! types.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "../program/mod.rs"]
mod program;

use std::collections::BTreeSet;
use std::fs;

use program::{Program, Up, lines, until};
use serde_json::Value;

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

fn json(program: &Program, arguments: &[&str]) -> Value {
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

    let foreseen = json(&program, &["replay", "start", "--from", "1h", "--dry-run", "--watch"]);
    assert_eq!(foreseen["counts"]["search"]["applied"], receipts.len());
    let replayed = json(&program, &["replay", "start", "--from", "1h", "--watch"]);
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
    let listed = json(&program, &["replay", "list"]);
    let states: Vec<&str> =
        listed["items"].as_array().expect("items").iter().filter_map(|item| item["mode"].as_str()).collect();
    assert_eq!(states, ["audit", "dry-run", "apply", "audit"]);
}

#[test]
fn a_lost_ledger_is_back_once_and_no_revoked_token_works_in_between() {
    let (program, up, receipts) = loaded(300);
    let revoked = token(&program);
    let tokens = |program: &Program| json(program, &["token", "list"])["items"].clone();
    let id = tokens(&program)[0]["id"].as_str().expect("an id").to_owned();
    program.run(&["token", "revoke", &id]);
    let before = tokens(&program);
    let up = lose(&program, up, "ledger");
    let refused = || {
        let ended = program.command(&["query", "", "--token", &revoked, "--endpoint", &up.endpoint]).output();
        let ended = ended.expect("the program starts");
        !ended.status.success() && String::from_utf8_lossy(&ended.stderr).contains("401")
    };
    assert!(refused(), "without its ledger");
    assert_eq!(program.missing_in_ledger(&receipts), receipts.len(), "what was lost is lost");

    let restored = program.run(&["ledger", "restore"]);
    assert!(restored.starts_with("restored "), "{restored}");
    assert_eq!(tokens(&program), before, "every token is listed again, the revoked one as revoked");
    assert!(refused(), "with its tokens back");
    let path = program.data().join("receipts").display().to_string();
    // Healing by receipts replays exactly what is lacking.
    let healed = program.run(&["audit", "--from", "1h", "--receipts", &path, "--heal"]);
    assert_eq!(healed.lines().last(), Some("300 receipts, 300 of them lacking in a store"));
    assert_eq!(program.missing_in_ledger(&receipts), 0);
    let replayed = json(&program, &["replay", "start", "--from", "1h", "--target", "ledger", "--watch"]);
    assert_eq!(replayed["counts"]["ledger"]["already_there"], receipts.len(), "{replayed}");
    program.run(&["audit", "--from", "1h", "--to", "now"]);
}

/// A replay goes on after `kill -9` where its last checkpoint was, by itself.
#[test]
fn a_replay_survives_a_kill() {
    let (program, up, receipts) = loaded(1500);
    let up = lose(&program, up, "search");
    let started = json(&program, &["replay", "start", "--from", "1h", "--rate", "500"]);
    let id = started["id"].as_str().expect("an id").to_owned();
    until("some of it is done", || {
        let status = json(&program, &["replay", "status", &id]);
        status["counts"]["read"].as_u64().filter(|read| *read > 0)
    });
    up.kill();
    let up = program.up(&[]);
    let done = json(&program, &["replay", "status", &id, "--watch"]);
    let counts = &done["counts"];
    assert_eq!(counts["read"], receipts.len(), "no page is counted twice: {counts}");
    let token = token(&program);
    until("everything is found", || (program.found(&up, &token).len() == receipts.len()).then_some(()));
}
