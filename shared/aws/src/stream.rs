//! The stream on Kinesis.
//!
//! # Limits of Kinesis that are kept here
//!
//! A PutRecords has at most 500 records and 5 MiB, a record 1 MiB. It may fail entry by entry though its answer is a
//! success: exactly the failed entries are sent again, after a random pause that grows, until all are stored or the time
//! is over. A shard gives all ordinary readers together 5 reads and 2 MB a second: reads of this process wait for their
//! turn. An iterator dies after 5 minutes: a new one begins where the reader's position says, never at the end.

mod append;
mod fanout;
mod operated;
mod read;
mod shards;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use tributary_model::limits;
use tributary_ports::PortError;
use tributary_ports::stream::{Entry, Page, Position, SequenceNumber, Shard, ShardId, Stream};

use crate::sdk::SdkConfig;
use read::Readers;

/// One Kinesis stream.
#[derive(Debug)]
pub struct KinesisStream {
    client: Client,
    /// Without the SDK's own retries and times: an append has a budget of its own.
    appender: Client,
    name: Name,
    append_timeout: Duration,
    readers: Readers,
}

/// How a request names its stream.
#[derive(Debug, Clone)]
enum Name {
    Plain(String),
    Arn(String),
}

impl Name {
    fn plain(&self) -> Option<String> {
        match self {
            Self::Plain(name) => Some(name.clone()),
            Self::Arn(_) => None,
        }
    }

    fn arn(&self) -> Option<String> {
        match self {
            Self::Plain(_) => None,
            Self::Arn(arn) => Some(arn.clone()),
        }
    }
}

impl KinesisStream {
    /// The stream of this name or ARN. Nothing is sent.
    #[must_use]
    pub fn new(config: &SdkConfig, stream: &str) -> Self {
        let appender = aws_sdk_kinesis::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled());
        let stream = stream.to_owned();
        Self {
            client: Client::new(config),
            appender: Client::from_conf(appender.build()),
            name: if stream.starts_with("arn:") { Name::Arn(stream) } else { Name::Plain(stream) },
            append_timeout: limits::KINESIS_APPEND_TIMEOUT,
            readers: Readers::default(),
        }
    }

    /// The same with another time for one PutRecords of small records, its retries included.
    #[must_use]
    pub const fn with_append_timeout(mut self, timeout: Duration) -> Self {
        self.append_timeout = timeout;
        self
    }
}

#[async_trait]
impl Stream for KinesisStream {
    async fn append(&self, entries: Vec<Entry>) -> Result<Vec<SequenceNumber>, PortError> {
        self.append_all(entries).await
    }

    async fn shards(&self) -> Result<Vec<Shard>, PortError> {
        self.list_shards().await
    }

    async fn read(&self, shard: &ShardId, from: &Position, records_max: usize) -> Result<Page, PortError> {
        self.read_page(shard, from, records_max).await
    }
}
