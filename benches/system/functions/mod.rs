//! What the functions' binaries cost on Lambda: under a Runtime API in this process, each binary in one of its own, whose
//! processor time alone counts.

mod collector;
mod null;
mod start;

use std::time::Duration;

use crate::Result;

/// Prints the tables.
pub(crate) fn table(run: Duration, starts: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        println!("### Process start to the first `next`\n");
        start::table(starts).await?;
        println!("\n### Collector, one invocation after another\n");
        collector::table(run).await
    })
}
