//! The least that a collector of this kind has to do, without HTTP and stream: one thread, the same bytes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tributary::local::{Local, Settings};
use tributary_access::{Authority, DirectoryCache};
use tributary_embedded::objects::FileObjects;
use tributary_model::directory::{OBJECT_KEY, Scope};
use tributary_model::{Kind, Region, Report};
use tributary_pipeline::admit::without_token;
use tributary_pipeline::pack::{Arrival, pack};

use crate::Result;

/// Rounds between two looks at the clock.
const ROUNDS: u32 = 256;

pub(crate) fn table(run: Duration) -> Result<()> {
    println!("| report bytes | token µs | + read µs | + id, token removed, packed µs | reports/CPU-s |");
    println!("|---|---|---|---|---|");
    let data = tempfile::tempdir()?;
    let (authority, token) = authority(data.path())?;
    for bytes in [1000, 20_000] {
        let body = Bytes::from(tributary::load::sample(bytes, &token)?);
        row(&authority, &token, &body, run.min(Duration::from_secs(2)))?;
    }
    Ok(())
}

fn row(authority: &Authority, token: &str, body: &Bytes, run: Duration) -> Result<()> {
    let now = Report::parse(body)?.timestamp();
    let region = Region::new("local")?;
    let verify = || authority.verify_held(black_box(token), Scope::Ingest, now);
    let token_us = time(run, || {
        black_box(verify()?);
        Ok(())
    })?;
    let read_us = time(run, || {
        black_box(verify()?);
        black_box(Report::parse(black_box(body))?);
        Ok(())
    })?;
    let all_us = time(run, || {
        let caller = verify()?;
        let report = Report::parse(black_box(body))?;
        let id = report.id(&caller.project);
        let bytes = without_token(body, &report, Some(token), &caller.token);
        let arrival = Arrival {
            retention: caller.retention_on(id.day),
            project: caller.project.clone(),
            account: caller.account.clone(),
            region: region.clone(),
            token: caller.token,
            received_at: now,
        };
        black_box(pack(&arrival, id, Kind::Report, &bytes)?.encode());
        Ok(())
    })?;
    println!("| {} | {token_us:.2} | {read_us:.2} | {all_us:.2} | {:.0} |", body.len(), 1e6 / all_us);
    Ok(())
}

/// Microseconds of one call, over `run`.
fn time(run: Duration, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let begun = Instant::now();
    let mut calls = 0.0;
    while begun.elapsed() < run {
        for _ in 0..ROUNDS {
            call()?;
        }
        calls += f64::from(ROUNDS);
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / calls)
}

/// The authority of a fresh data folder and a token of it.
fn authority(data: &std::path::Path) -> Result<(Authority, String)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let local = Local::start(Settings::on(data)?).await?;
        let token = local.token().to_owned();
        local.stop().await;
        let objects = FileObjects::open(&data.join("objects"))?;
        let directories = DirectoryCache::new(objects, OBJECT_KEY);
        #[expect(clippy::disallowed_methods, reason = "the one reading of a clock")]
        let now = tributary_model::TimestampMs::from_system(std::time::SystemTime::now());
        directories.refresh(now).await?;
        Ok((Authority::new(Arc::clone(&directories)), token))
    })
}
