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
const DAY_HOURS: i32 = 24;

#[async_trait]
impl OperatedStream for KinesisStream {
    async fn reader(&self, name: &str) -> Result<Arc<dyn Reader>, PortError> {
        let stream = self.arn(READER).await?;
        let deadline = Instant::now() + limits::KINESIS_CONSUMER_TIMEOUT;
        loop {
            // Again in each round, since one that is being removed has to be gone first.
            self.register(&stream, name).await?;
            let status = match self.consumer(READER, &stream, name).await? {
                Some((consumer, ConsumerStatus::Active)) => {
                    return Ok(Arc::new(FanOut::new(self.client.clone(), consumer)));
                }
                Some((_, status)) => status.as_str().to_lowercase(),
                None => "gone".to_owned(),
            };
            if Instant::now() >= deadline {
                let detail = format!("the consumer is {status}");
                let error = PortError::new(PortErrorKind::Unavailable, READER, detail);
                return Err(error.retry_after(limits::KINESIS_CONSUMER_INTERVAL));
            }
            sleep(limits::KINESIS_CONSUMER_INTERVAL).await;
        }
    }

    async fn remove_reader(&self, name: &str) -> Result<(), PortError> {
        let stream = self.arn(REMOVE).await?;
        let request = self.client.deregister_stream_consumer().stream_arn(&stream).consumer_name(name);
        let Err(error) = request.send().await else { return Ok(()) };
        let error = port_error(REMOVE, error);
        match error.kind {
            PortErrorKind::NotFound => Ok(()),
            // It is being removed already, or it is still being made.
            PortErrorKind::Conflict => match self.consumer(REMOVE, &stream, name).await? {
                None | Some((_, ConsumerStatus::Deleting)) => Ok(()),
                Some(_) => Err(error.retry_after(limits::KINESIS_CONSUMER_INTERVAL)),
            },
            _ => Err(error),
        }
    }

    async fn retention(&self) -> Result<Duration, PortError> {
        let (_, hours) = self.summary(RETENTION).await?;
        Ok(HOUR * u32::try_from(hours).unwrap_or_default())
    }

    async fn set_retention(&self, retention: Duration) -> Result<(), PortError> {
        if retention > limits::STREAM_RETENTION_MAX {
            let max = limits::STREAM_RETENTION_MAX;
            let detail = format!("a stream keeps its records for at most {max:?}, not {retention:?}");
            return Err(PortError::new(PortErrorKind::Invalid, SET_RETENTION, detail));
        }
        let hours = retention.as_millis().div_ceil(HOUR.as_millis());
        let hours = i32::try_from(hours).unwrap_or(i32::MAX).max(DAY_HOURS);
        let (_, kept) = self.summary(SET_RETENTION).await?;
        let (name, arn) = (self.name.plain(), self.name.arn());
        match kept.cmp(&hours) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => {
                let request = self.client.increase_stream_retention_period().set_stream_name(name).set_stream_arn(arn);
                let answer = request.retention_period_hours(hours).send().await;
                answer.map(drop).map_err(|error| port_error(SET_RETENTION, error))
            }
            std::cmp::Ordering::Greater => {
                let request = self.client.decrease_stream_retention_period().set_stream_name(name).set_stream_arn(arn);
                let answer = request.retention_period_hours(hours).send().await;
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

    /// A consumer's ARN and what becomes of it; none if it is not there.
    async fn consumer(
        &self,
        operation: &'static str,
        stream: &str,
        name: &str,
    ) -> Result<Option<(String, ConsumerStatus)>, PortError> {
        let request = self.client.describe_stream_consumer().stream_arn(stream).consumer_name(name);
        match request.send().await.map_err(|error| port_error(operation, error)) {
            Err(error) if error.kind == PortErrorKind::NotFound => Ok(None),
            answer => Ok(answer?.consumer_description.map(|found| (found.consumer_arn, found.consumer_status))),
        }
    }

    async fn arn(&self, operation: &'static str) -> Result<String, PortError> {
        match &self.name {
            Name::Arn(arn) => Ok(arn.clone()),
            Name::Plain(_) => self.summary(operation).await.map(|(arn, _)| arn),
        }
    }

    /// The stream's ARN and its retention in hours.
    async fn summary(&self, operation: &'static str) -> Result<(String, i32), PortError> {
        let request = self.client.describe_stream_summary();
        let request = request.set_stream_name(self.name.plain()).set_stream_arn(self.name.arn());
        let answer = request.send().await.map_err(|error| port_error(operation, error))?;
        let summary = answer.stream_description_summary;
        let summary = summary.map(|summary| (summary.stream_arn, summary.retention_period_hours));
        summary.ok_or_else(|| PortError::new(PortErrorKind::Unavailable, operation, "an answer without a stream"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Answer, Asked, Scripted};

    const STREAM_ARN: &str = "arn:aws:kinesis:eu-west-1:123456789012:stream/reports";

    fn consumer(status: &str) -> Answer {
        Answer::json(&json!({ "ConsumerDescription": {
            "ConsumerName": "replay-1", "ConsumerARN": format!("{STREAM_ARN}/consumer/replay-1:1"),
            "ConsumerStatus": status, "ConsumerCreationTimestamp": 1_795_284_061, "StreamARN": STREAM_ARN,
        }}))
    }

    async fn stream(server: &Scripted) -> KinesisStream {
        KinesisStream::new(&server.config().await, STREAM_ARN)
    }

    fn operations(server: &Scripted) -> Vec<String> {
        server.asked().iter().map(|asked| asked.operation().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_reader_is_handed_out_once_it_is_active_though_it_was_there() {
        let server = Scripted::start(|before, asked| match (asked.operation(), before) {
            ("RegisterStreamConsumer", _) => Answer::error(400, "ResourceInUseException"),
            (_, 1) => consumer("CREATING"),
            _ => consumer("ACTIVE"),
        })
        .await;
        stream(&server).await.reader("replay-1").await.unwrap();
        assert_eq!(operations(&server), ["RegisterStreamConsumer", "DescribeStreamConsumer"].repeat(2));
    }

    #[tokio::test]
    async fn a_reader_beyond_the_limit_is_throttled() {
        let server = Scripted::start(|_, _| Answer::error(400, "LimitExceededException")).await;
        let error = stream(&server).await.reader("replay-1").await.err().unwrap();
        assert_eq!(error.kind, PortErrorKind::Throttled);
    }

    #[tokio::test]
    async fn a_reader_on_its_way_out_is_removed_and_one_on_its_way_in_is_not() {
        for (status, expected) in [("DELETING", None), ("CREATING", Some(PortErrorKind::Conflict))] {
            let server = Scripted::start(move |_, asked| match asked.operation() {
                "DeregisterStreamConsumer" => Answer::error(400, "ResourceInUseException"),
                _ => consumer(status),
            })
            .await;
            let removed = stream(&server).await.remove_reader("replay-1").await;
            assert_eq!(removed.err().map(|error| error.kind), expected, "{status}");
        }
    }

    #[tokio::test]
    async fn a_reader_that_is_not_there_is_removed_already() {
        let server = Scripted::start(|_, _| Answer::error(400, "ResourceNotFoundException")).await;
        stream(&server).await.remove_reader("replay-1").await.unwrap();
        let server = Scripted::start(|_, _| Answer::error(403, "AccessDeniedException")).await;
        let error = stream(&server).await.remove_reader("replay-1").await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Denied);
    }

    fn summary(asked: &Asked) -> Answer {
        match asked.operation() {
            "DescribeStreamSummary" => Answer::json(&json!({ "StreamDescriptionSummary": {
                "StreamName": "reports", "StreamARN": STREAM_ARN, "StreamStatus": "ACTIVE",
                "RetentionPeriodHours": 168, "StreamCreationTimestamp": 1_795_284_061, "EnhancedMonitoring": [],
                "OpenShardCount": 1,
            }})),
            _ => Answer::json(&json!({})),
        }
    }

    #[tokio::test]
    async fn a_retention_is_raised_lowered_or_left_in_whole_hours() {
        let server = Scripted::start(|_, asked| summary(asked)).await;
        let stream = stream(&server).await;
        assert_eq!(stream.retention().await.unwrap(), limits::STREAM_RETENTION);
        let cases = [
            (limits::STREAM_RETENTION, None),
            (limits::STREAM_RETENTION_MAX, Some(("IncreaseStreamRetentionPeriod", 8760))),
            (limits::STREAM_RETENTION + Duration::from_millis(1), Some(("IncreaseStreamRetentionPeriod", 169))),
            (Duration::from_secs(60), Some(("DecreaseStreamRetentionPeriod", 24))),
        ];
        for (retention, expected) in cases {
            let before = server.asked().len();
            stream.set_retention(retention).await.unwrap();
            let asked = server.asked();
            let change = asked.get(before + 1).map(|asked| (asked.operation().to_owned(), asked.json()));
            let expected = expected.map(|(operation, hours)| {
                (operation.to_owned(), json!({ "StreamARN": STREAM_ARN, "RetentionPeriodHours": hours }))
            });
            assert_eq!(change, expected, "{retention:?}");
        }
        let too_long = stream.set_retention(limits::STREAM_RETENTION_MAX + HOUR).await.unwrap_err();
        assert_eq!(too_long.kind, PortErrorKind::Invalid);
        let bodies: Vec<Value> = server.asked().iter().map(Asked::json).collect();
        assert!(bodies.iter().all(|body| body["StreamARN"] == STREAM_ARN), "{bodies:?}");
    }
}
