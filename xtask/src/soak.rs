//! `cargo xtask soak`: a pipeline of the functions' binaries on the peers of AWS, under load for minutes, while one thing
//! after another goes wrong, drawn from a seed; in the end an audit. The test is `tests/rig/tests/soak`.

use std::ffi::OsString;
use std::process::Command;

use crate::failure::{Context, Failure};
use crate::peers::{Places, needs, stores};

/// How long, and of what seed, unless told otherwise.
pub(crate) const MINUTES: u64 = 20;
pub(crate) const SEED: u64 = 1;

/// Installs what it needs, and runs it with its story on stdout.
///
/// # Errors
/// If the machine lacks something, or a report is missing, doubled or differing in the end.
pub(crate) fn run(minutes: u64, seed: u64) -> Result<(), Failure> {
    needs::peers("cargo xtask soak")?;
    let places = Places::new()?;
    stores::install_all(&places)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args([
        "test",
        "--package",
        "tributary-rig",
        "--features",
        "peers,soak",
        "--test",
        "soak",
        "--",
        "--nocapture",
    ]);
    command.env("SOAK_MINUTES", minutes.to_string()).env("SOAK_SEED", seed.to_string()).current_dir(&places.root);
    let status = command.status().context("starting cargo")?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("the soak of seed {seed} failed ({status})"))) }
}
