//! From the start of a process to its first `next`.

use std::path::Path;
use std::time::Duration;

use tributary_rig::runtime_api::Function;

use super::Bootstraps;
use super::collector::Collector;
use crate::Result;

pub(super) async fn table(bootstraps: &Bootstraps, starts: usize) -> Result<()> {
    println!("| binary | MiB | zip MiB | starts | median ms | p90 ms |");
    println!("|---|---|---|---|---|---|");
    let collector = Collector::deploy(bootstraps).await?.function;
    row("collector", collector, &bootstraps.collector(), starts).await?;
    match bootstraps.probe() {
        Some(probe) => row("the runtime alone", Function::new(&probe, &[]), &probe, starts).await,
        None => Ok(()),
    }
}

async fn row(name: &str, function: Function, binary: &Path, starts: usize) -> Result<()> {
    let mut took = Vec::with_capacity(starts);
    for _ in 0..starts {
        took.push(function.warm_up().await);
        function.recycle();
    }
    took.sort_unstable();
    let percentile =
        |percent: usize| took.get(took.len() * percent / 100).map_or(f64::NAN, Duration::as_secs_f64) * 1e3;
    let (bytes, zipped) = sizes(binary)?;
    println!("| {name} | {bytes:.1} | {zipped:.1} | {starts} | {:.1} | {:.1} |", percentile(50), percentile(90));
    Ok(())
}

/// Of the binary, and of it in a zip: deflate at its best, as `sam build` packs.
#[expect(clippy::cast_precision_loss, reason = "sizes in MiB")]
fn sizes(binary: &Path) -> Result<(f64, f64)> {
    let bytes = std::fs::read(binary)?;
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut deflate, &bytes)?;
    let mib = |bytes: usize| bytes as f64 / 1024.0 / 1024.0;
    Ok((mib(bytes.len()), mib(deflate.finish()?.len())))
}
