//! Requests per CPU-second and per second, by stream, size and connections.

use std::time::Duration;

use tributary::load::{self, LoadArguments, Options};

use crate::Result;
use crate::process::{ServerProcess, run};

const SIZES: [usize; 2] = [1000, 20_000];
const CONNECTIONS: [u16; 3] = [1, 16, 64];

pub(crate) fn table(run: Duration) -> Result<()> {
    println!("| stream | report bytes | connections | requests/CPU-s | requests/s | p50 ms | p99 ms |");
    println!("|---|---|---|---|---|---|---|");
    for stream in ["blackhole", "durable"] {
        for bytes in SIZES {
            for connections in CONNECTIONS {
                row(stream, bytes, connections, run)?;
            }
        }
    }
    Ok(())
}

fn row(stream: &str, bytes: usize, connections: u16, run: Duration) -> Result<()> {
    let server = ServerProcess::start(stream, "collector")?;
    sent(&server, connections, bytes, Duration::from_millis(500))?; // warms caches, not counted
    let before = server.cpu_seconds()?;
    let summary = sent(&server, connections, bytes, run)?;
    let cpu = server.cpu_seconds()? - before;
    let number = |pointer: &str| summary.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
    let acknowledged = number("/acknowledged");
    println!(
        "| {stream} | {bytes} | {connections} | {:.0} | {:.0} | {:.2} | {:.2} |",
        acknowledged / cpu,
        number("/rate_per_s"),
        number("/latency_ms/p50"),
        number("/latency_ms/p99"),
    );
    Ok(())
}

/// Sends for a while from a process of its own and answers the summary; any report that is not acknowledged is an error.
pub(crate) fn sent(
    server: &ServerProcess,
    connections: u16,
    bytes: usize,
    duration: Duration,
) -> Result<serde_json::Value> {
    let (connections, bytes, seconds) =
        (connections.to_string(), bytes.to_string(), duration.as_secs_f64().to_string());
    Ok(serde_json::from_str(&run(&["send", &server.endpoint, &server.token, &connections, &bytes, &seconds])?)?)
}

/// The sender process: prints the summary as JSON.
pub(crate) fn send(endpoint: &str, token: &str, connections: &str, bytes: &str, seconds: &str) -> Result<()> {
    let arguments = LoadArguments {
        rate: None,
        connections: connections.parse()?,
        duration: Some(Duration::from_secs_f64(seconds.parse()?)),
        count: None,
        size: Some(bytes.parse()?),
        seed: Some(1),
        receipts: None,
    };
    let summary = load::run(Options { endpoint: endpoint.to_owned(), token: token.to_owned(), arguments })?;
    if let Some(problem) = summary.problem() {
        return Err(problem.into());
    }
    println!("{}", serde_json::to_string(&summary)?);
    Ok(())
}
