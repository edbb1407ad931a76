//! From the acknowledgement of a report until a search finds it, and what a busy process holds in memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::Result;
use crate::collector::sent;
use crate::process::ServerProcess;

/// Reports per second beside which latency is measured.
const BATCH: u16 = 4;

pub(crate) fn table(run: Duration, probes: u32) -> Result<()> {
    let server = ServerProcess::start("durable", "all")?;
    let (resident, anonymous) = server.resident_mib()?;
    println!("| | |\n|---|---|");
    println!("| resident memory at start | {resident:.0} MiB, {anonymous:.0} of it not files |");
    let mut latencies = (0..probes).map(|_| probe(&server)).collect::<Result<Vec<_>>>()?;
    latencies.sort_unstable();
    let percentile = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
    println!(
        "| acknowledged to searchable, {probes} single reports | p50 {:.0} ms, p95 {:.0} ms |",
        percentile(50).as_secs_f64() * 1e3,
        percentile(95).as_secs_f64() * 1e3
    );
    let before = server.cpu_seconds()?;
    let summary = sent(&server, BATCH, 2500, run)?;
    let count = summary.pointer("/acknowledged").and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
    let caught_up = Instant::now();
    probe(&server)?; // the consumers take records in order, so that a later one is found after all of them in its shard
    println!(
        "| {count:.0} reports of 2,500 bytes, all functions | {:.0} reports/CPU-s |",
        count / (server.cpu_seconds()? - before)
    );
    println!("| a report sent right after them is found after | {:.1} s |", caught_up.elapsed().as_secs_f64());
    let (resident, anonymous) = server.resident_mib()?;
    println!("| resident memory afterwards | {resident:.0} MiB, {anonymous:.0} of it not files |");
    Ok(())
}

/// Sends one report and asks for it until it is found; the time from the acknowledgement.
fn probe(server: &ServerProcess) -> Result<Duration> {
    let body = tributary::load::sample(2500, &server.token)?;
    let (status, answer) = request(server, "POST", "/v0/event", &body)?;
    let acknowledged = Instant::now();
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    let id = answer.get("id").and_then(serde_json::Value::as_str).ok_or(format!("{status}: {answer}"))?;
    loop {
        let (status, _) = request(server, "GET", &format!("/v1/invocations?limit=1&query=id:{id}"), b"")?;
        let (found, _) = request(server, "GET", &format!("/v1/invocations/{id}"), b"")?;
        if status == 200 && found == 200 {
            return Ok(acknowledged.elapsed());
        }
        if acknowledged.elapsed() > Duration::from_secs(120) {
            return Err(format!("{id} is not found: {status}, {found}").into());
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn request(server: &ServerProcess, method: &str, path: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
    let host = server.endpoint.trim_start_matches("http://");
    let mut connection = TcpStream::connect(host)?;
    write!(
        connection,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        server.token,
        body.len()
    )?;
    connection.write_all(body)?;
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err("the answer ends in its headers".into());
        }
    }
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest)?;
    Ok((status, rest))
}
