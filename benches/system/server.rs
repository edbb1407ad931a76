//! The server process.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tributary::local::{Local, Settings};
use tributary_config::FunctionName;
use tributary_ports::stream::{Entry, Page, Position, SequenceNumber, Shard, ShardId};
use tributary_ports::{PortError, PortErrorKind, Stream};

use crate::Result;

/// Prints address and token, and serves until its input ends.
pub(crate) fn serve(stream: &str, functions: &str, data: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut settings = Settings::on(Path::new(data))?;
    if stream == "blackhole" {
        settings.stream = Some(Arc::new(Blackhole));
    }
    if functions == "collector" {
        settings.config.only = [FunctionName::Collector].into();
    }
    let local = runtime.block_on(Local::start(settings))?;
    println!("{} {}", local.up().http, local.token());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    runtime.block_on(local.stop());
    Ok(())
}

/// Takes everything and keeps nothing.
struct Blackhole;

#[async_trait]
impl Stream for Blackhole {
    async fn append(&self, entries: Vec<Entry>) -> Result<Vec<SequenceNumber>, PortError> {
        Ok(entries.iter().map(|_| SequenceNumber("1".into())).collect())
    }

    async fn shards(&self) -> Result<Vec<Shard>, PortError> {
        Ok(Vec::new())
    }

    async fn read(&self, _shard: &ShardId, _from: &Position, _records_max: usize) -> Result<Page, PortError> {
        Err(PortError::new(PortErrorKind::NotFound, "stream.read", "a blackhole keeps nothing"))
    }
}
