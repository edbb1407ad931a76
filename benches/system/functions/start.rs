//! From the start of a process to its first `next`.

use std::time::Duration;

use tributary_rig::binaries::Binary;
use tributary_rig::runtime_api::Function;

use super::collector::Collector;
use crate::Result;

pub(super) async fn table(starts: usize) -> Result<()> {
    println!("| binary | MiB | zip MiB | starts | median ms | p90 ms |");
    println!("|---|---|---|---|---|---|");
    row("collector", Collector::deploy().await?.function, Binary::Collector, starts).await?;
    row("the runtime alone", Function::new(&Binary::Probe.path(), &[]), Binary::Probe, starts).await
}

async fn row(name: &str, function: Function, binary: Binary, starts: usize) -> Result<()> {
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
fn sizes(binary: Binary) -> Result<(f64, f64)> {
    let bytes = std::fs::read(binary.path())?;
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut deflate, &bytes)?;
    let mib = |bytes: usize| bytes as f64 / 1024.0 / 1024.0;
    Ok((mib(bytes.len()), mib(deflate.finish()?.len())))
}
