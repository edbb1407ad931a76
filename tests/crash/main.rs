//! `kill -9` at any moment loses no acknowledged report and doubles none.
//!
//! By seed: load runs against the program, which is killed after a number of acknowledgements that the seed decides,
//! whatever it is doing then; it is started again, more is sent, and it is killed again, also while it catches up. In
//! the end every receipt is found in the search index and in the ledger exactly once.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "../program/mod.rs"]
mod program;

use std::collections::BTreeSet;
use std::process::Stdio;

use program::{Program, Up, lines, until};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Seeds of the ordinary test; `TRIBUTARY_CRASH_SEEDS=100..200` asks for others.
const SEEDS: std::ops::Range<u64> = 0..4;
const KILLS: usize = 3;

/// L21, L22: the kill comes at any time after an acknowledgement, whatever the local stores are writing then.
#[test]
fn a_kill_at_any_moment_loses_and_doubles_nothing() {
    for seed in seeds() {
        eprintln!("seed {seed} (TRIBUTARY_CRASH_SEEDS={seed}..{})", seed + 1);
        crash(seed);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's own setting")]
fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("TRIBUTARY_CRASH_SEEDS") else { return SEEDS };
    let (from, to) = text.split_once("..").expect("FROM..TO");
    from.parse().expect("a number")..to.parse().expect("a number")
}

fn crash(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let program = Program::new();
    let mut receipts = BTreeSet::new();
    for round in 0..KILLS {
        let up = program.up(&[]);
        receipts.extend(load_and_kill(&program, up, round, random.random_range(1..2000)));
    }
    // Once more without load: it dies while it catches up with what the kills left in the stream.
    program.up(&[]).kill();
    let up = program.up(&[]);
    let token = program.run(&["token", "issue", "--scope", "read"]);
    let counts = until("every receipt is found", || {
        let counts = program.found(&up, token.trim());
        receipts.iter().all(|id| counts.contains_key(id)).then_some(counts)
    });
    until("the ledger has every receipt", || (program.missing_in_ledger(&receipts) == 0).then_some(()));
    for id in &receipts {
        assert_eq!(counts.get(id), Some(&1), "seed {seed}: {id} is found as often");
    }
    assert!(counts.values().all(|count| *count == 1), "seed {seed}: something is doubled");
}

/// Sends until `acknowledged` reports are acknowledged, kills the program in the midst of it, and answers the receipts
/// that the sender has.
fn load_and_kill(program: &Program, up: Up, round: usize, acknowledged: usize) -> Vec<String> {
    let file = program.data().join(format!("receipts-{round}"));
    let mut load = program
        .command(&["load", "--endpoint", &up.endpoint, "--connections", "8", "--duration", "1h", "--receipts"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    until("reports are acknowledged", || (lines(&file).len() >= acknowledged).then_some(()));
    up.kill();
    until("the sender notices", || {
        let ended = load.try_wait().expect("it ran");
        ended.map(drop)
    });
    lines(&file)
}
