//! What a mapping writes to its S3 on-failure destination when it has made all its attempts: Lambda's invocation record, with
//! the event that it gave up in it.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_ports::stream::Batch;

use super::read;
use crate::FunctionError;

const EXPECTED: &str = "an on-failure destination's record of a Kinesis batch";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InvocationRecord<'a> {
    #[serde(borrow)]
    request_context: RequestContext<'a>,
    #[serde(borrow)]
    response_context: Option<ResponseContext<'a>>,
    /// The event: as text, or as the object that it is. Lambda's documentation shows `"<Whole Event>"` and leaves it open.
    #[serde(borrow)]
    payload: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    #[serde(borrow)]
    condition: Cow<'a, str>,
    approximate_invoke_count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext<'a> {
    /// `Unhandled`, whatever it was; none if the function answered that records of the batch failed.
    #[serde(borrow)]
    function_error: Option<Cow<'a, str>>,
}

/// Reads such an object: the batch, and after what it was given up.
///
/// # Errors
/// If it is none, or its event can't be read whole.
pub fn read_given_up(object: &[u8]) -> Result<(Batch, String), FunctionError> {
    let record: InvocationRecord<'_> =
        serde_json::from_slice(object).map_err(|error| FunctionError::json(EXPECTED, &error))?;
    let payload = record.payload.get();
    let batch = if payload.starts_with('"') {
        let event: String = serde_json::from_str(payload).map_err(|error| FunctionError::json(EXPECTED, &error))?;
        read(&event)?
    } else {
        read(payload)?
    };
    let RequestContext { condition, approximate_invoke_count } = record.request_context;
    let mut why = format!("its consumer gave it up: {condition}");
    if let Some(count) = approximate_invoke_count {
        let _ = write!(why, " after {count} invocations");
    }
    if let Some(error) = record.response_context.and_then(|context| context.function_error) {
        let _ = write!(why, ", the last one ended {error}");
    }
    Ok((batch, why))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// As Lambda's developer guide shows it ("Retain discarded batch records for a Kinesis Data Streams event source").
    fn object(payload: &Value) -> Vec<u8> {
        json!({
            "requestContext": {
                "requestId": "c9b8fa9f-5a7f-4a4b-af9c-0c604cde93a5",
                "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:worker",
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 1001,
            },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "version": "1.0",
            "timestamp": "2019-11-14T00:38:06.021Z",
            "KinesisBatchInfo": { "shardId": "shardId-000000000006", "batchSize": 2 },
            "payload": payload,
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn the_batch_is_the_event_as_text_or_as_an_object() {
        let event = include_str!("../../../../testdata/lambda/kinesis.json");
        let wanted = read(event).unwrap();
        for payload in [json!(event), serde_json::from_str(event).unwrap()] {
            let (batch, why) = read_given_up(&object(&payload)).unwrap();
            assert_eq!(batch, wanted);
            let told = "RetryAttemptsExhausted after 1001 invocations, the last one ended Unhandled";
            assert_eq!(why, format!("its consumer gave it up: {told}"));
        }
        let answered = json!({"requestContext": {"condition": "RetryAttemptsExhausted"}, "payload": event});
        let (_, why) = read_given_up(answered.to_string().as_bytes()).unwrap();
        assert_eq!(why, "its consumer gave it up: RetryAttemptsExhausted");
    }

    #[test]
    fn another_object_is_refused_and_not_quoted() {
        for (bad, why) in [
            (b"secret".to_vec(), "it is not JSON"),
            (b"\xff".to_vec(), "it is not JSON"),
            (json!({"requestContext": {"condition": "secret"}}).to_string().into_bytes(), "a field is missing"),
            (object(&json!("secret")), "it is not JSON"),
            (object(&json!({"Records": []})), "it has no records"),
            (object(&json!(7)), "of another type"),
        ] {
            let refusal = read_given_up(&bad).unwrap_err().to_string();
            assert!(refusal.contains(why) && !refusal.contains("secret"), "{refusal}");
        }
    }
}
