//! Some hundred worlds, and every deliberate bug found in them.

use tributary_simulation::{Bug, run, tell};

const SEEDS: u64 = 300;

#[test]
fn everything_holds_in_every_world() {
    for seed in 0..SEEDS {
        if let Some(violation) = run(seed, None).violation {
            panic!("seed {seed}: {violation}\n{}", tell(seed, None, None).1);
        }
    }
}

#[test]
fn a_seed_is_the_same_world_every_time() {
    for seed in 0..20 {
        let (first, second) = (run(seed, None), run(seed, None));
        assert_eq!((first.fingerprint, first.acknowledged), (second.fingerprint, second.acknowledged), "seed {seed}");
    }
}

#[test]
fn every_bug_is_found() {
    for bug in Bug::ALL {
        let found = (0..SEEDS).find(|seed| run(*seed, Some(bug)).violation.is_some());
        assert!(found.is_some(), "{bug} is not found in {SEEDS} worlds");
    }
}
