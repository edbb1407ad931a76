//! The functions' binaries, built by cargo when a test first asks for them, in the test's own profile. Cargo builds nothing
//! twice, so no program has to be handed from command to command. What is deployed is built otherwise
//! (`functions/.cargo/config.toml`) and run by the tests of `cargo xtask lambda`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

/// What is built: all at once, and with the rig, so that what they and the tests share is compiled once.
const ARGUMENTS: &[&str] = &[
    "--message-format=json-render-diagnostics",
    "--package=tributary-rig",
    "--package=tributary-collector",
    "--package=tributary-worker",
    "--package=tributary-query",
    "--package=tributary-custodian",
    "--package=tributary-replay",
    "--package=tributary-lambda",
    "--package=tributary",
    "--package=xtask",
    "--features=tributary-collector/lambda,tributary-worker/lambda,tributary-query/lambda",
    "--features=tributary-custodian/lambda,tributary-replay/lambda,tributary/aws",
    "--bins",
    "--example=probe",
];

/// A function's binary, the operator's program, or the example that a test of the runtime runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// HTTP request to a record.
    Collector,
    /// Batch to a store.
    Worker,
    /// The read API.
    Query,
    /// Outages, the overflow, retention.
    Custodian,
    /// The stream again.
    Replay,
    /// The operator's program.
    Tributary,
    /// The project's own commands.
    Xtask,
    /// `shared/lambda/examples/probe.rs`
    Probe,
}

impl Binary {
    const fn name(self) -> &'static str {
        match self {
            Self::Collector => "collector",
            Self::Worker => "worker",
            Self::Query => "query",
            Self::Custodian => "custodian",
            Self::Replay => "replay",
            Self::Tributary => "tributary",
            Self::Xtask => "xtask",
            Self::Probe => "probe",
        }
    }

    /// Where it is, wherever cargo puts it; built before, once in a process.
    ///
    /// # Panics
    /// If it does not build.
    #[must_use]
    pub fn path(self) -> PathBuf {
        static BUILT: LazyLock<Vec<PathBuf>> = LazyLock::new(build);
        let is_own = |path: &&PathBuf| path.file_stem().is_some_and(|stem| stem == self.name());
        BUILT.iter().find(is_own).expect("cargo names what it built").clone()
    }
}

fn build() -> Vec<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.arg("build");
    if !cfg!(debug_assertions) {
        command.args(["--profile", "release"]);
    }
    command.args(ARGUMENTS).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    let done = command.stderr(Stdio::inherit()).output().expect("cargo starts");
    assert!(done.status.success(), "{command:?}: {}", done.status);
    executables(&String::from_utf8_lossy(&done.stdout))
}

/// The programs that cargo's JSON messages name.
fn executables(messages: &str) -> Vec<PathBuf> {
    let parsed = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from)).collect()
}
