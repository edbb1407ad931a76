//! A partial batch response by Lambda's rules.

use serde_json::Value;
use tributary_ports::stream::StreamRecord;

/// Which records come again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failures {
    None,
    /// All from this position on.
    From(usize),
    All,
}

/// An empty or null answer, and an empty, null or missing list, is total success. An item without an identifier, with an
/// empty or null one, or with one that no record has, is total failure.
pub(super) fn failures(body: &[u8], records: &[StreamRecord]) -> Failures {
    let answer: Value = match serde_json::from_slice(body) {
        _ if body.is_empty() => Value::Null,
        Ok(answer) => answer,
        Err(_) => return Failures::All,
    };
    let items = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Failures::None,
        Some(Value::Array(items)) => items,
        Some(_) => return Failures::All,
    };
    let position = |item: &Value| {
        let number = item.get("itemIdentifier")?.as_str()?;
        records.iter().position(|record| &*record.sequence_number.0 == number)
    };
    let lowest = items.iter().map(position).try_fold(records.len(), |lowest, at| at.map(|at| at.min(lowest)));
    match lowest {
        None => Failures::All,
        Some(lowest) if lowest == records.len() => Failures::None,
        Some(lowest) => Failures::From(lowest),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tributary_model::TimestampMs;
    use tributary_ports::stream::SequenceNumber;

    use super::*;

    #[test]
    fn answers_are_read_as_lambda_reads_them() {
        let record = |number: &str| StreamRecord {
            sequence_number: SequenceNumber(number.into()),
            partition_key: "k".into(),
            arrived_at: TimestampMs(0),
            data: Bytes::new(),
        };
        let records = ["7", "8", "9"].map(record);
        for (answer, wanted) in [
            ("", Failures::None),
            ("null", Failures::None),
            ("{}", Failures::None),
            (r#"{"batchItemFailures":[]}"#, Failures::None),
            (r#"{"batchItemFailures":null}"#, Failures::None),
            (r#"{"batchItemFailures":[{"itemIdentifier":"9"},{"itemIdentifier":"8"}]}"#, Failures::From(1)),
            (r#"{"batchItemFailures":[{"itemIdentifier":"9"},{"itemIdentifier":""}]}"#, Failures::All),
            (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, Failures::All),
            (r#"{"batchItemFailures":[{"itemIdentifer":"9"}]}"#, Failures::All),
            (r#"{"batchItemFailures":[{"itemIdentifier":"10"}]}"#, Failures::All),
            (r#"{"batchItemFailures":"9"}"#, Failures::All),
            ("not JSON", Failures::All),
        ] {
            assert_eq!(failures(answer.as_bytes(), &records), wanted, "{answer}");
        }
    }
}
