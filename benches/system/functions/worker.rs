//! Records per second of the worker's processor time: batches of 500 reports of 1 kB as Kinesis events, unpacked, parsed and
//! written to a search server that keeps nothing; and beside it the same steps without an event loop and HTTP.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tributary_model::{Region, Report, limits};
use tributary_pipeline::normalize::normalize;
use tributary_pipeline::unpack::unpack;
use tributary_rig::runtime_api::Function;

use super::{Bootstraps, beside, null};
use crate::Result;
use crate::process::cpu_seconds;
use crate::records::packed;

const BATCHES: usize = 20;
const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// Bulk requests as the worker sends them, by their bodies.
type Sent = Arc<Mutex<Vec<Bytes>>>;

pub(super) async fn table(bootstraps: &Bootstraps, run: Duration) -> Result<()> {
    let region = Region::new("eu-west-1")?;
    let batches = (0..BATCHES).map(|_| packed(limits::BATCH_RECORDS, 1000, &region)).collect::<Result<Vec<_>>>()?;
    let events: Vec<String> = batches.iter().map(|batch| event(batch)).collect();
    let sent = Sent::default();
    let null = search(&sent).await?;
    let worker = worker(bootstraps, &format!("http://{null}"), null);
    println!("| what | records | records/CPU-s | CPU µs each |");
    println!("|---|---|---|---|");
    for event in &events {
        invoke(&worker, event).await?;
    }
    let bodies: Vec<Bytes> = sent.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
    let process = *worker.idle().first().ok_or("no process")?;
    let (begun, cpu, mut records) = (Instant::now(), cpu_seconds(process)?, 0);
    while begun.elapsed() < run {
        for event in &events {
            invoke(&worker, event).await?;
            records += limits::BATCH_RECORDS;
        }
        sent.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
    row("worker, into a null search server", records, cpu_seconds(process)? - cpu);
    floor(&events, &batches, &bodies, run)?;
    println!();
    let bootstraps = bootstraps.clone();
    // A thread of its own, to which the runtime of this one does not lend its threads.
    let beside =
        std::thread::spawn(move || beside::table(&bootstraps, &events, &bodies).map_err(|error| error.to_string()));
    Ok(beside.join().map_err(|_| "the comparison panicked")??)
}

fn row(name: &str, records: usize, cpu: f64) {
    let records_f64 = as_f64(records);
    println!("| {name} | {records} | {:.0} | {:.1} |", records_f64 / cpu, cpu * 1e6 / records_f64);
}

#[expect(clippy::cast_precision_loss, reason = "counts of a bench")]
pub(super) fn as_f64(count: usize) -> f64 {
    count as f64
}

fn event(records: &[Bytes]) -> String {
    let record = |(position, data): (usize, &Bytes)| {
        let number = format!("495903382714902566085596925383615710959215759891{position:08}");
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0", "partitionKey": "20261126-zsgaao5zneachau4p66lyuyzyy",
                "sequenceNumber": number, "data": STANDARD.encode(data),
                "approximateArrivalTimestamp": 1_764_000_000.123,
            },
            "eventSource": "aws:kinesis", "eventVersion": "1.0",
            "eventID": format!("shardId-000000000000:{number}"), "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::123456789012:role/worker", "awsRegion": "eu-west-1",
            "eventSourceARN": "arn:aws:kinesis:eu-west-1:123456789012:stream/tributary",
        })
    };
    json!({"Records": records.iter().enumerate().map(record).collect::<Vec<_>>()}).to_string()
}

pub(super) fn worker(bootstraps: &Bootstraps, search: &str, others: SocketAddr) -> Function {
    let environment = [
        ("AWS_ENDPOINT_URL", &*format!("http://{others}")),
        ("TRIBUTARY_REGION", "eu-west-1"),
        ("TRIBUTARY_TARGET", "search"),
        ("TRIBUTARY_LOG", "warn"),
        ("TRIBUTARY_OPENSEARCH_URL", search),
        ("TRIBUTARY_LEDGER_CLUSTER_ARN", "arn:aws:rds:eu-west-1:123456789012:cluster:tributary"),
        ("TRIBUTARY_LEDGER_SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tributary-abc123"),
        ("TRIBUTARY_OBJECTS_BUCKET", "objects"),
        ("TRIBUTARY_DATA_KEY", KEY),
    ];
    Function::new(&bootstraps.worker(), &environment)
}

pub(super) async fn invoke(worker: &Function, event: &str) -> Result<()> {
    let answer = worker.invoke(event.to_owned()).await.json();
    if answer == json!({"batchItemFailures": []}) { Ok(()) } else { Err(format!("{answer}\n{}", worker.log()).into()) }
}

/// A search server that takes everything, and keeps what it was sent.
async fn search(sent: &Sent) -> Result<SocketAddr> {
    let sent = Arc::clone(sent);
    let items = vec![r#"{"index":{"status":201}}"#; limits::BATCH_RECORDS].join(",");
    let taken = Bytes::from(format!(r#"{{"items":[{items}]}}"#));
    null::serve(Duration::ZERO, move |path, body| match path {
        "/_bulk" => {
            sent.lock().unwrap_or_else(PoisonError::into_inner).push(body.clone());
            taken.clone()
        }
        // The index template of this build, or a later one.
        _ => Bytes::from_static(br#"{"template":{"mappings":{"_meta":{"version":1000}}}}"#),
    })
    .await
}

/// The worker's steps in this thread: the event's JSON and base64, the reports, and the compression of the requests.
fn floor(events: &[String], batches: &[Vec<Bytes>], bodies: &[Bytes], run: Duration) -> Result<()> {
    let (begun, mut records) = (Instant::now(), 0);
    while begun.elapsed() < run / 4 {
        for event in events {
            let event: Value = serde_json::from_str(event)?;
            for record in event.pointer("/Records").and_then(Value::as_array).into_iter().flatten() {
                let data = record.pointer("/kinesis/data").and_then(Value::as_str).unwrap_or_default();
                black_box(STANDARD.decode(data)?);
                records += 1;
            }
        }
    }
    row("floor: the event's JSON and base64", records, begun.elapsed().as_secs_f64());
    let (begun, mut records) = (Instant::now(), 0);
    while begun.elapsed() < run / 4 {
        for record in batches.iter().flatten() {
            let unpacked = unpack(black_box(record))?;
            black_box(normalize(&unpacked.record, &Report::parse(&unpacked.report)?));
            records += 1;
        }
    }
    row("floor: unpack, parse, normalize", records, begun.elapsed().as_secs_f64());
    let lines = bodies.iter().map(|body| {
        let mut lines = Vec::new();
        GzDecoder::new(&**body).read_to_end(&mut lines).map(|_| lines)
    });
    let lines = lines.collect::<std::io::Result<Vec<_>>>()?;
    let (begun, mut records) = (Instant::now(), 0);
    while begun.elapsed() < run / 4 {
        for lines in &lines {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::new(limits::SEARCH_GZIP_LEVEL));
            gzip.write_all(black_box(lines))?;
            black_box(gzip.finish()?);
            records += limits::BATCH_RECORDS;
        }
    }
    row("floor: gzip of the requests", records, begun.elapsed().as_secs_f64());
    let [bytes, zipped] = [lines.iter().map(Vec::len).sum::<usize>(), bodies.iter().map(Bytes::len).sum()];
    let documents = bodies.len().max(1) * limits::BATCH_RECORDS;
    println!("\nA document has {} bytes in a request, {} compressed.", bytes / documents, zipped / documents);
    Ok(())
}
