//! `cargo xtask peers`: what the published agents send is what an engineer finds.
//!
//! The agents are installed, unmodified, from npm, PyPI, Maven and the Go module proxy under `target/peers`. A driver a
//! language (in `peers/`) runs its agent as one Lambda function in one warm container would, a request id a scenario,
//! against a Tributary started for this run, over https on port 443: the JavaScript agent knows no other port. Then each
//! invocation is looked for by query and compared, field by field, with what its driver did.
//!
//! Then the tests of `tests/rig` run against the peers that stand for AWS, which are installed in the same place.
//!
//! Nothing is skipped: a machine that lacks something is told so in one line, and a scenario for which an agent has no
//! feature stands in the table with the reason.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::failure::{Context, Failure, print};
use crate::template;

mod agent;
mod check;
mod client;
mod drive;
pub(crate) mod install;
pub(crate) mod needs;
mod rig;
mod server;
pub(crate) mod stores;
mod table;
mod want;

use agent::Agent;
use client::Client;
use server::{Address, Server};
use table::{Row, Verdict};

/// Longest time from the last agent's end until every report can be found. The index is about one second behind; the
/// rest is for a busy machine.
const FOUND_LIMIT: Duration = Duration::from_secs(30);

/// Where this command reads and writes.
pub(crate) struct Places {
    /// The workspace.
    pub(crate) root: PathBuf,
    /// The drivers' sources: `peers/`.
    pub(crate) sources: PathBuf,
    /// Everything that is installed, built and logged: `target/peers`.
    pub(crate) target: PathBuf,
    /// Output of every program that was run; kept for reading after a failure.
    pub(crate) logs: PathBuf,
    /// What lives for one run only: the data folder and what the drivers recorded.
    pub(crate) run: PathBuf,
}

impl Places {
    /// The places of this checkout; the folders that programs write to are made.
    pub(crate) fn new() -> Result<Self, Failure> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().ok_or_else(|| Failure::new("xtask stands outside a workspace"))?.to_path_buf();
        let target = root.join("target").join("peers");
        let places =
            Self { sources: root.join("peers"), logs: target.join("logs"), run: target.join("run"), target, root };
        std::fs::create_dir_all(&places.logs).context(format_args!("creating {}", places.logs.display()))?;
        Ok(places)
    }

    /// The folder of one peer, which is made.
    pub(crate) fn peer(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.target.join(name);
        std::fs::create_dir_all(&folder).context(format_args!("creating {}", folder.display()))?;
        Ok(folder)
    }

    /// The log of one program.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }
}

/// The run's own folder: empty at first, gone at the end whatever happens.
struct RunFolder<'a>(&'a Path);

impl<'a> RunFolder<'a> {
    fn new(path: &'a Path) -> Result<Self, Failure> {
        if path.exists() {
            std::fs::remove_dir_all(path).context(format_args!("removing {}", path.display()))?;
        }
        std::fs::create_dir_all(path).context(format_args!("creating {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for RunFolder<'_> {
    fn drop(&mut self) {
        // What is left here is removed when the next run begins.
        let _ = std::fs::remove_dir_all(self.0);
    }
}

/// Runs it all and prints the table. True if every scenario passed.
///
/// # Errors
/// If there is nothing to put into a table: the machine lacks something, an agent can't be installed, Tributary can't be
/// built or started.
pub(crate) fn run(tributary: Option<PathBuf>) -> Result<bool, Failure> {
    let lacking = needs::lacking();
    if !lacking.is_empty() {
        return Err(Failure::new(format!("cargo xtask peers can't run, this machine lacks: {}", lacking.join("; "))));
    }
    let places = Places::new()?;
    for agent in Agent::ALL {
        print(&format!("installing {} {}\n", agent.package(), agent.version()))?;
        install::install(agent, &places)?;
    }
    stores::install_all(&places)?;
    template::check(&places)?;
    let program = match tributary {
        Some(program) => program,
        None => {
            print("building tributary\n")?;
            server::build(&places)?
        }
    };
    let run_folder = RunFolder::new(&places.run)?;
    let server = Server::start(&program, &places)?;
    let mut rows = scenarios(&server.address, &server.token()?, &places)?;
    let stopped = server.stop();
    drop(run_folder);
    rows.push(Row { agent: "tributary", scenario: "stops on SIGTERM", verdict: Verdict::of(stopped) });
    print("testing against the peers of AWS\n")?;
    rows.push(Row { agent: "tributary", scenario: "the peers of AWS", verdict: Verdict::of(rig::test(&places)) });
    print(&table::render(&rows))?;
    Ok(rows.iter().all(|row| !row.verdict.failed()))
}

/// Runs the installed agents against the Tributary that a file tells of, and prints the table. True if every scenario passed.
///
/// # Errors
/// If the file is none, or nothing can be run.
pub(crate) fn agents(file: &Path) -> Result<bool, Failure> {
    let (address, token) = Address::of_file(file)?;
    let places = Places::new()?;
    let _run_folder = RunFolder::new(&places.run)?;
    let rows = scenarios(&address, &token, &places)?;
    print(&table::render(&rows))?;
    Ok(rows.iter().all(|row| !row.verdict.failed()))
}

/// Runs every agent, then looks for what each sent. An agent that fails is a failure of its scenarios, not of the run.
fn scenarios(address: &Address, token: &str, places: &Places) -> Result<Vec<Row>, Failure> {
    let mut driven = Vec::new();
    for agent in Agent::ALL {
        print(&format!("running {}\n", agent.title()))?;
        driven.push((agent, drive::drive(agent, address, token, places)));
    }
    print("looking for what they sent\n")?;
    let deadline = Instant::now() + FOUND_LIMIT;
    // With no invocation at all there is nothing to look for, and every row fails by its driver.
    let from = driven.iter().filter_map(|(_, sent)| sent.as_ref().ok()?.first()).map(|sent| sent.started.clone()).min();
    let client = Client::new(address, token, from.unwrap_or_default());
    Ok(driven.into_iter().flat_map(|(agent, sent)| check::rows(agent, &sent, &client, deadline)).collect())
}
