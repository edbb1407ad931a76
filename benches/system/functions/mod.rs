//! What the functions' binaries cost on Lambda: under a Runtime API in this process, each binary in one of its own, whose
//! processor time alone counts.

mod beside;
mod collector;
mod null;
mod round_trips;
mod start;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use tributary_rig::binaries::Binary;

use crate::Result;

/// The functions' programs.
#[derive(Clone)]
pub(crate) struct Bootstraps {
    /// Where `cargo xtask lambda` has put one stack's functions, as they are deployed; none for those that cargo builds with
    /// the workspace's release profile.
    pub(crate) folder: Option<PathBuf>,
}

impl Bootstraps {
    fn of(&self, function: &str, binary: Binary) -> PathBuf {
        self.folder.as_ref().map_or_else(|| binary.path(), |folder| folder.join(function).join("bootstrap"))
    }

    fn collector(&self) -> PathBuf {
        self.of("Collector", Binary::Collector)
    }

    fn worker(&self) -> PathBuf {
        self.of("WorkerSearch", Binary::Worker)
    }

    /// The runtime with a function that does nothing, which is not deployed.
    fn probe(&self) -> Option<PathBuf> {
        self.folder.is_none().then(|| Binary::Probe.path())
    }
}

/// Prints the tables.
pub(crate) fn table(bootstraps: &Bootstraps, run: Duration, starts: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        println!("### Process start to the first `next`\n");
        start::table(bootstraps, starts).await?;
        println!("\n### Collector, one invocation after another\n");
        collector::table(bootstraps, run).await?;
        println!("\n### Worker, one batch of 500 after another\n");
        worker::table(bootstraps, run).await
    })
}
