use serde_json::{Value, json};

use super::*;

fn record(shard: &str, number: &str, data: &str) -> Value {
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0", "partitionKey": "key", "sequenceNumber": number, "data": data,
            "approximateArrivalTimestamp": 1_545_084_650.987_f64,
        },
        "eventSource": "aws:kinesis", "eventVersion": "1.0", "eventID": format!("{shard}:{number}"),
        "eventName": "aws:kinesis:record", "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
        "awsRegion": "us-east-2", "eventSourceARN": "arn:aws:kinesis:us-east-2:123456789012:stream/reports",
    })
}

fn refusal(event: &Value) -> String {
    read(&event.to_string()).unwrap_err().to_string()
}

#[test]
fn an_event_is_a_batch_of_its_shard() {
    let event = include_str!("../../../../testdata/lambda/kinesis.json");
    let batch = read(event).unwrap();
    assert_eq!(&*batch.shard.0, "shardId-000000000006");
    let [first, second] = batch.records.as_slice() else { panic!("{batch:?}") };
    assert_eq!(&*first.sequence_number.0, "49590338271490256608559692538361571095921575989136588898");
    assert_eq!((&*first.partition_key, &first.data[..]), ("1", b"Hello, this is a test.".as_slice()));
    assert_eq!(first.arrived_at, TimestampMs(1_545_084_650_987));
    assert_eq!(second.arrived_at, TimestampMs(1_545_084_711_166));
}

#[test]
fn a_batch_that_can_not_be_read_to_its_end_is_not_read_at_all() {
    let good = record("shardId-0", "1", "aGk=");
    for (bad, why) in [
        (json!({"Records": []}), "it has no records"),
        (json!({"Records": [good, record("shardId-1", "2", "aGk=")]}), "of more than one shard"),
        (json!({"Records": [good, record("shardId-0", "2", "secret!")]}), "data is not base64"),
        (json!({"Records": [good, record("shardId-0", "secret", "aGk=")]}), "sequenceNumber is no number"),
        (json!({"Records": [record("", "2", "aGk=")]}), "names no shard"),
        (json!({"Records": [{"secret": 1}]}), "a field is missing"),
        (json!({"Records": vec![good.clone(); 10_001]}), "10001 records; the limit is 10000"),
        (json!({"requestContext": {"elb": {}}}), "a field is missing"),
        (json!(["secret"]), "of another type"),
    ] {
        let refusal = refusal(&bad);
        assert!(refusal.starts_with("not a Kinesis event: ") && refusal.contains(why), "{refusal}");
        assert!(!refusal.contains("secret"), "{refusal}");
    }
    let mut elsewhere = record("shardId-0", "2", "aGk=");
    elsewhere["eventSourceARN"] = "arn:aws:kinesis:us-east-2:123456789012:stream/other".into();
    assert!(refusal(&json!({"Records": [good, elsewhere]})).contains("more than one shard"));
}

#[test]
fn the_answer_always_has_its_list() {
    let text = |numbers: &[&str]| {
        let numbers: Vec<_> = numbers.iter().map(|number| SequenceNumber((*number).into())).collect();
        serde_json::to_string(&BatchAnswer::from(numbers)).unwrap()
    };
    assert_eq!(text(&[]), r#"{"batchItemFailures":[]}"#);
    assert_eq!(text(&["7", "9"]), r#"{"batchItemFailures":[{"itemIdentifier":"7"},{"itemIdentifier":"9"}]}"#);
}
