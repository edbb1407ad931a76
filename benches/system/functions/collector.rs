//! Invocations of the collector per second of its processor time: one report of 1 kB each, which becomes one record in one
//! PutRecords, to a Kinesis that answers after a millisecond.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tributary::local::{Local, Settings};
use tributary_rig::runtime_api::Function;

use super::{Bootstraps, null, round_trips};
use crate::Result;
use crate::process::cpu_seconds;

const KINESIS_DELAY: Duration = Duration::from_millis(1);

/// A collector, and a token that it knows.
pub(super) struct Collector {
    pub(super) function: Function,
    token: String,
    _data: TempDir,
}

impl Collector {
    pub(super) async fn deploy(bootstraps: &Bootstraps) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let local = Local::start(Settings::on(data.path())?).await?;
        let token = local.token().to_owned();
        local.stop().await;
        let kinesis = format!("http://{}", null::serve(KINESIS_DELAY, null::kinesis).await?);
        let directory = directory_file(data.path());
        let function = Function::new(
            &bootstraps.collector(),
            &[
                ("AWS_ENDPOINT_URL_KINESIS", &kinesis),
                ("TRIBUTARY_REGION", "eu-west-1"),
                ("TRIBUTARY_STREAM", "reports"),
                ("TRIBUTARY_OVERFLOW_BUCKET", "overflow"),
                ("TRIBUTARY_DATA_KEY", "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
                ("TRIBUTARY_JWKS", &directory),
            ],
        );
        Ok(Self { function, token, _data: data })
    }

    fn event(&self) -> Result<String> {
        let body = String::from_utf8(tributary::load::sample(1000, &self.token)?)?;
        Ok(event("/v0/event", &self.token, &body).to_string())
    }
}

/// Where a data folder has its directory.
fn directory_file(data: &Path) -> String {
    data.join("objects").join("directory.json").display().to_string()
}

/// As a load balancer makes it.
fn event(path: &str, token: &str, body: &str) -> Value {
    json!({
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/t/1"}},
        "httpMethod": "POST",
        "path": path,
        "queryStringParameters": {},
        "headers": {
            "accept": "*/*", "authorization": format!("Bearer {token}"), "content-length": body.len().to_string(),
            "content-type": "application/json", "host": "203.0.113.7", "user-agent": "iopipe-js-core",
            "x-amzn-trace-id": "Root=1-5c536348-3d683b8b04734faae651f476", "x-forwarded-for": "72.12.164.125",
            "x-forwarded-port": "443", "x-forwarded-proto": "https",
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

pub(super) async fn table(bootstraps: &Bootstraps, run: Duration) -> Result<()> {
    println!("| what | invocations | invocations/CPU-s | CPU µs each | ms each |");
    println!("|---|---|---|---|---|");
    let collector = Collector::deploy(bootstraps).await?;
    let event = collector.event()?;
    row("collector", &collector.function, &event, run).await?;
    let each =
        tokio::task::spawn_blocking(move || round_trips::cpu_seconds(run / 4).map_err(|error| error.to_string()));
    let each = each.await??;
    println!("| floor: three round trips over bare sockets | | {:.0} | {:.1} | |", 1.0 / each, each * 1e6);
    match bootstraps.probe() {
        Some(probe) => row("the runtime alone", &Function::new(&probe, &[]), &event, run).await,
        None => Ok(()),
    }
}

async fn row(name: &str, function: &Function, event: &str, run: Duration) -> Result<()> {
    for _ in 0..100 {
        check(function, event).await?;
    }
    let process = *function.idle().first().ok_or("no process")?;
    let (begun, cpu) = (Instant::now(), cpu_seconds(process)?);
    let mut invocations = 0.0;
    while begun.elapsed() < run {
        for _ in 0..100 {
            check(function, event).await?;
        }
        invocations += 100.0;
    }
    let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds(process)? - cpu);
    println!(
        "| {name} | {invocations:.0} | {:.0} | {:.1} | {:.2} |",
        invocations / cpu,
        cpu * 1e6 / invocations,
        elapsed * 1e3 / invocations
    );
    Ok(())
}

async fn check(function: &Function, event: &str) -> Result<()> {
    let answer = function.invoke(event.to_owned()).await.json();
    if answer.get("statusCode") == Some(&json!(200)) { Ok(()) } else { Err(answer.to_string().into()) }
}
