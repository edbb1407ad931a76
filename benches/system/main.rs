//! What the whole program costs, as processes of their own: `cargo run --release -p tributary-benches`.
//!
//! A server process runs the collector alone, on the durable stream and on a stream that forgets at once; the sender
//! is `tributary load`'s code in another process, whose processor time does not count. It prints the tables of
//! `docs/performance.md`. With `quick` each run is short, to see that it works. With `functions` it measures the Lambda
//! binaries, which it builds first, or those in a folder that `cargo xtask lambda` has built. With `replay` it measures how
//! fast a replay reads.
#![expect(clippy::print_stdout, reason = "the tables are the program's output")]

mod collector;
mod floor;
mod functions;
mod latency;
mod process;
mod records;
mod replay;
mod server;

use std::error;
use std::time::Duration;

use functions::Bootstraps;

/// Anything that ends a bench.
type Error = Box<dyn error::Error + Send + Sync>;
type Result<T, E = Error> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", stream, functions, data] => server::serve(stream, functions, data),
        ["send", endpoint, token, connections, bytes, seconds] => {
            collector::send(endpoint, token, connections, bytes, seconds)
        }
        [] => all(Duration::from_secs(8), 100),
        ["functions"] => functions::table(&Bootstraps { folder: None }, Duration::from_secs(8), 100),
        ["functions", folder] => {
            functions::table(&Bootstraps { folder: Some(folder.into()) }, Duration::from_secs(8), 100)
        }
        ["replay"] => replay::table(Duration::from_secs(10)),
        ["quick"] => all(Duration::from_secs(1), 10),
        _ => Err("usage: tributary-benches [quick | functions [FOLDER] | replay]".into()),
    }
}

fn all(run: Duration, probes: u32) -> Result<()> {
    println!("## Collector\n");
    collector::table(run)?;
    println!("\n## Floor: the same bytes through token cache, reading, id, token removal and packing alone\n");
    floor::table(run)?;
    println!("\n## Everything in one process\n");
    latency::table(run, probes)
}
