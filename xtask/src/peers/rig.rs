//! The tests of `tests/rig`: the adapters and the functions' binaries against the peers that stand for AWS.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use super::Places;
use crate::process;

/// Longest time for all of them, building the binaries included.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// Runs them in the profile that `cargo test --workspace` has built already; the error quotes the end of their output.
///
/// # Errors
/// If one fails.
pub(crate) fn test(places: &Places) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["test", "--package", "tributary-rig", "--features", "peers", "--no-fail-fast"]);
    command.current_dir(&places.root);
    let tested = process::run("testing against the peers of AWS", &mut command, &places.log("rig"), LIMIT);
    tested.map_err(|failure| failure.to_string())
}
