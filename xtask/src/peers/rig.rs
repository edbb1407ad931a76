//! The tests of `tests/rig`: the adapters and the functions' binaries against the peers that stand for AWS.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use super::Places;
use crate::process;

/// Longest time for all of them, building the binaries included.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// Lines of their output that an error quotes.
const QUOTED_LINES: usize = 60;

/// Runs them in the profile that `cargo test --workspace` has built already; the error quotes what the failed ones said,
/// which the output of later targets may be long after.
///
/// # Errors
/// If one fails.
pub(crate) fn test(places: &Places) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["test", "--package", "tributary-rig", "--features", "peers", "--no-fail-fast"]);
    command.current_dir(&places.root);
    let log = places.log("rig");
    process::run("testing against the peers of AWS", &mut command, &log, LIMIT).map_err(|failure| {
        let output = std::fs::read_to_string(&log).unwrap_or_default();
        format!("{failure}\n    what the failed ones said:\n{}", failures(&output))
    })
}

/// The parts of libtest's output from each `failures:` on, to its list of names.
fn failures(output: &str) -> String {
    let mut is_inside = false;
    let mut begun = 0;
    let inside = output.lines().filter(|line| {
        if *line == "failures:" {
            begun += 1;
            is_inside = begun % 2 == 1; // the second one of a target heads the list of names
        }
        is_inside && !line.is_empty()
    });
    inside.take(QUOTED_LINES).map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_tests_said_is_quoted_without_what_came_after() {
        let output = "test a ... FAILED\n\nfailures:\n\n---- a stdout ----\npanicked\n\nfailures:\n    a\n\ntest result: FAILED\n\
                      test b ... FAILED\n\nfailures:\n\n---- b stdout ----\nalso\n\nfailures:\n    b\n";
        let quoted =
            "    failures:\n    ---- a stdout ----\n    panicked\n    failures:\n    ---- b stdout ----\n    also\n";
        assert_eq!(failures(output), quoted);
        assert_eq!(failures("test a ... ok\n"), "");
    }
}
