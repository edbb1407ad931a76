//! Fan-out consumers registered and removed, and the stream's retention.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kinesis::types::ConsumerStatus;
use tokio::time::{Instant, sleep};
use tributary_model::limits;
use tributary_ports::stream::{OperatedStream, Reader};
use tributary_ports::{PortError, PortErrorKind};

use super::fanout::FanOut;
use super::{KinesisStream, Name};
use crate::error::port_error;

const READER: &str = "stream.reader";
const REMOVE: &str = "stream.remove_reader";
const RETENTION: &str = "stream.retention";
const SET_RETENTION: &str = "stream.set_retention";
const HOUR: Duration = Duration::from_secs(60 * 60);
/// The least that Kinesis keeps.
const DAY_HOURS: u64 = 24;

#[async_trait]
impl OperatedStream for KinesisStream {
    async fn reader(&self, name: &str) -> Result<Arc<dyn Reader>, PortError> {
        let stream = self.arn(READER).await?;
        self.register(&stream, name).await?;
        let deadline = Instant::now() + limits::KINESIS_CONSUMER_TIMEOUT;
        loop {
            let (consumer, status) = self.consumer(&stream, name).await?;
            if status == ConsumerStatus::Active {
                return Ok(Arc::new(FanOut::new(self.client.clone(), consumer)));
            }
            // One that is still being deleted is gone when it can be registered again.
            if status == ConsumerStatus::Deleting || Instant::now() >= deadline {
                let detail = format!("the consumer is {}", status.as_str().to_lowercase());
                let error = PortError::new(PortErrorKind::Unavailable, READER, detail);
                return Err(error.retry_after(limits::KINESIS_SUBSCRIBE_INTERVAL));
            }
            sleep(limits::KINESIS_CONSUMER_INTERVAL).await;
        }
    }

    async fn remove_reader(&self, name: &str) -> Result<(), PortError> {
        let stream = self.arn(REMOVE).await?;
        let request = self.client.deregister_stream_consumer().stream_arn(stream).consumer_name(name);
        match request.send().await.map_err(|error| port_error(REMOVE, error)) {
            Err(error) if error.kind != PortErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn retention(&self) -> Result<Duration, PortError> {
        let (_, hours) = self.summary(RETENTION).await?;
        Ok(HOUR * hours)
    }

    async fn set_retention(&self, retention: Duration) -> Result<(), PortError> {
        if retention > limits::STREAM_RETENTION_MAX {
            let (days, max) =
                (retention.as_secs() / (DAY_HOURS * 3600), limits::STREAM_RETENTION_MAX.as_secs() / 86400);
            let detail = format!("a stream keeps its records for at most {max} days, not {days}");
            return Err(PortError::new(PortErrorKind::Invalid, SET_RETENTION, detail));
        }
        let hours = retention.as_secs().div_ceil(HOUR.as_secs()).max(DAY_HOURS);
        let wanted = i32::try_from(hours).unwrap_or(i32::MAX);
        let (_, kept) = self.summary(SET_RETENTION).await?;
        let (name, arn) = (self.name.plain(), self.name.arn());
        match u64::from(kept).cmp(&hours) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => {
                let request = self.client.increase_stream_retention_period().set_stream_name(name).set_stream_arn(arn);
                let answer = request.retention_period_hours(wanted).send().await;
                answer.map(drop).map_err(|error| port_error(SET_RETENTION, error))
            }
            std::cmp::Ordering::Greater => {
                let request = self.client.decrease_stream_retention_period().set_stream_name(name).set_stream_arn(arn);
                let answer = request.retention_period_hours(wanted).send().await;
                answer.map(drop).map_err(|error| port_error(SET_RETENTION, error))
            }
        }
    }
}

impl KinesisStream {
    /// Registers a consumer; one of that name that is there already is the one.
    async fn register(&self, stream: &str, name: &str) -> Result<(), PortError> {
        let request = self.client.register_stream_consumer().stream_arn(stream).consumer_name(name);
        match request.send().await.map_err(|error| port_error(READER, error)) {
            Err(error) if error.kind != PortErrorKind::Conflict => Err(error),
            _ => Ok(()),
        }
    }

    /// A consumer's ARN and what becomes of it.
    async fn consumer(&self, stream: &str, name: &str) -> Result<(String, ConsumerStatus), PortError> {
        let request = self.client.describe_stream_consumer().stream_arn(stream).consumer_name(name);
        let answer = request.send().await.map_err(|error| port_error(READER, error))?;
        let described = answer.consumer_description.map(|consumer| (consumer.consumer_arn, consumer.consumer_status));
        described.ok_or_else(|| PortError::new(PortErrorKind::Unavailable, READER, "an answer without a consumer"))
    }

    async fn arn(&self, operation: &'static str) -> Result<String, PortError> {
        match &self.name {
            Name::Arn(arn) => Ok(arn.clone()),
            Name::Plain(_) => self.summary(operation).await.map(|(arn, _)| arn),
        }
    }

    /// The stream's ARN and its retention in hours.
    async fn summary(&self, operation: &'static str) -> Result<(String, u32), PortError> {
        let request = self.client.describe_stream_summary();
        let request = request.set_stream_name(self.name.plain()).set_stream_arn(self.name.arn());
        let answer = request.send().await.map_err(|error| port_error(operation, error))?;
        let summary = answer
            .stream_description_summary
            .map(|summary| (summary.stream_arn, u32::try_from(summary.retention_period_hours).unwrap_or_default()));
        summary.ok_or_else(|| PortError::new(PortErrorKind::Unavailable, operation, "an answer without a stream"))
    }
}
