//! Batches into OpenSearch itself through the worker, beside the very requests that the worker makes of them sent by a bare
//! client: the server has one processor, and whoever sends the other.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tributary_model::limits;
use tributary_rig::opensearch::Cluster;
use tributary_rig::runtime_api::Function;

use super::Bootstraps;
use super::worker::{as_f64, invoke, worker};
use crate::Result;

/// Runs of each sender, and those before them that warm the server up and don't count.
const RUNS: usize = 7;
const WARM_UPS: usize = 3;

/// Batches under way at once: one, and what the search consumer has unless told otherwise.
const CONCURRENCIES: [usize; 2] = [1, limits::SEARCH_PARALLELIZATION];

pub(super) fn table(bootstraps: &Bootstraps, events: &[String], bodies: &[Bytes]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // What this thread starts has the processors that the thread has.
    pin(0)?;
    let cluster = runtime.block_on(Cluster::measured());
    pin(1)?;
    runtime.block_on(compare(bootstraps, &cluster, events, bodies))
}

fn pin(processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    Ok(sched_setaffinity(None, &set)?)
}

async fn compare(bootstraps: &Bootstraps, cluster: &Cluster, events: &[String], bodies: &[Bytes]) -> Result<()> {
    let address: SocketAddr = cluster.url(0).trim_start_matches("http://").parse()?;
    let template = include_bytes!("../../../infra/index/invocations.json");
    let mut client = connect(address).await?;
    post(&mut client, "PUT", "/_index_template/invocations", Bytes::from_static(template), false).await?;
    let worker = worker(bootstraps, &cluster.url(0), address);
    println!("| batches at once | sender | documents/s in each run | of the bare client |");
    println!("|---|---|---|---|");
    for concurrency in CONCURRENCIES {
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..WARM_UPS + RUNS {
            clear(&mut client).await?;
            took[0].push(through_the_worker(&worker, events, concurrency).await?);
            clear(&mut client).await?;
            took[1].push(by_a_bare_client(address, bodies, concurrency).await?);
        }
        let [ours, bare] = took.each_ref().map(|took| took.iter().skip(WARM_UPS).sum::<Duration>().as_secs_f64());
        for (name, took, share) in [("worker", &took[0], bare / ours), ("bare client", &took[1], 1.0)] {
            let documents = as_f64(events.len() * limits::BATCH_RECORDS);
            let rates = took.iter().skip(WARM_UPS).map(|took| format!("{:.0}", documents / took.as_secs_f64()));
            let rates = rates.collect::<Vec<_>>().join(", ");
            println!("| {concurrency} | {name} | {rates} | {:.1} % |", share * 100.0);
        }
    }
    Ok(())
}

async fn through_the_worker(worker: &Function, events: &[String], concurrency: usize) -> Result<Duration> {
    let (begun, waiting) = (Instant::now(), Waiting::of(events));
    try_join_all((0..concurrency).map(|_| invoke_all(worker, &waiting))).await?;
    Ok(begun.elapsed())
}

async fn invoke_all(worker: &Function, waiting: &Waiting<'_, String>) -> Result<()> {
    while let Some(event) = waiting.next() {
        invoke(worker, event).await?;
    }
    Ok(())
}

async fn by_a_bare_client(address: SocketAddr, bodies: &[Bytes], concurrency: usize) -> Result<Duration> {
    let clients = try_join_all((0..concurrency).map(|_| connect(address))).await?;
    let (begun, waiting) = (Instant::now(), Waiting::of(bodies));
    try_join_all(clients.into_iter().map(|client| send_all(client, &waiting))).await?;
    Ok(begun.elapsed())
}

async fn send_all(mut client: Sender, waiting: &Waiting<'_, Bytes>) -> Result<()> {
    while let Some(body) = waiting.next() {
        let answer = post(&mut client, "POST", "/_bulk?filter_path=errors", body.clone(), true).await?;
        if answer != json!({"errors": false}) {
            return Err(answer.to_string().into());
        }
    }
    Ok(())
}

/// What nobody has taken yet.
struct Waiting<'a, T>(Mutex<std::slice::Iter<'a, T>>);

impl<'a, T> Waiting<'a, T> {
    fn of(all: &'a [T]) -> Self {
        Self(Mutex::new(all.iter()))
    }

    fn next(&self) -> Option<&'a T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

type Sender = hyper::client::conn::http1::SendRequest<Full<Bytes>>;

async fn connect(address: SocketAddr) -> Result<Sender> {
    let connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn clear(client: &mut Sender) -> Result<()> {
    post(client, "DELETE", "/invocations-*", Bytes::new(), false).await.map(drop)
}

async fn post(client: &mut Sender, method: &str, path: &str, body: Bytes, is_gzip: bool) -> Result<Value> {
    let mut request = Request::builder().method(method).uri(path).header("host", "opensearch");
    request = request.header("content-type", "application/json");
    if is_gzip {
        request = request.header("content-encoding", "gzip");
    }
    client.ready().await?;
    let answer = client.send_request(request.body(Full::from(body))?).await?;
    Ok(serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?)
}
