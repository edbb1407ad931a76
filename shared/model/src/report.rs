//! A report: what an agent sends about one invocation, as it was sent.
//!
//! Reading is lenient: every field may be missing, of another type, or unknown. A report has to be an object with a
//! `processId`, an `aws.awsRequestId` and a `timestamp`, because these name it; whatever else is wrong is normalize's to
//! set right. The report stays a view of its bytes; nothing is copied.

use std::borrow::Cow;

use crate::id::{ProjectId, ReportId};
use crate::json::{Document, Type, Value};
use crate::limits::{PROCESS_ID_BYTES_MAX, REQUEST_ID_BYTES_MAX};
use crate::rejection::{Reason, Rejection};
use crate::time::TimestampMs;

/// A report as it was sent, and the three fields that name it.
#[derive(Debug)]
pub struct Report<'a> {
    document: Document<'a>,
    process_id: Cow<'a, str>,
    request_id: Cow<'a, str>,
    timestamp: TimestampMs,
}

impl<'a> Report<'a> {
    /// Reads a report.
    ///
    /// # Errors
    /// `Malformed` and `TooLarge` as [`Document::parse`]; `MissingField` or `InvalidField` if it is no object or if
    /// `processId`, `aws.awsRequestId` or `timestamp` is missing, of the wrong type, empty or too long.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Rejection> {
        let document = Document::parse(bytes)?;
        let root = document.root();
        if root.type_of() != Type::Object {
            let detail = format!("a report is a JSON object, not {}", root.type_of().name());
            return Err(Rejection::new(Reason::InvalidField, detail));
        }
        let [process_id, aws, timestamp] = root.pick(["processId", "aws", "timestamp"]);
        let request_id = aws.and_then(|aws| aws.get("awsRequestId"));
        let process_id = name("processId", process_id, PROCESS_ID_BYTES_MAX)?;
        let request_id = name("aws.awsRequestId", request_id, REQUEST_ID_BYTES_MAX)?;
        let timestamp = self::timestamp(timestamp)?;
        Ok(Self { document, process_id, request_id, timestamp })
    }

    /// The whole report as JSON.
    #[must_use]
    pub fn root(&self) -> Value<'_, 'a> {
        self.document.root()
    }

    /// The report's text and where every value stands in it.
    #[must_use]
    pub const fn document(&self) -> &Document<'a> {
        &self.document
    }

    /// `processId`: one per process, that is, one per warm container. A number is taken in its shortest decimal form.
    #[must_use]
    pub fn process_id(&self) -> &str {
        &self.process_id
    }

    /// `aws.awsRequestId`; not unique, since a retry by Lambda uses it again.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// When the invocation began, by the function's clock.
    #[must_use]
    pub const fn timestamp(&self) -> TimestampMs {
        self.timestamp
    }

    /// The token that the agent put into the body (`client_id`), if it is a text.
    #[must_use]
    pub fn client_id(&self) -> Option<Cow<'a, str>> {
        self.root().get("client_id").and_then(Value::as_str)
    }

    /// The report's id within a project.
    #[must_use]
    pub fn id(&self, project: &ProjectId) -> ReportId {
        ReportId::derive(project, &self.process_id, &self.request_id, self.timestamp)
    }
}

fn name<'a>(field: &str, value: Option<Value<'_, 'a>>, bytes_max: usize) -> Result<Cow<'a, str>, Rejection> {
    let missing = || Rejection::new(Reason::MissingField, format!("{field} is missing; it names the report"));
    let value = value.filter(|value| !value.is_null()).ok_or_else(missing)?;
    let text = match value.type_of() {
        Type::String => value.as_str(),
        Type::Number => value.as_f64().map(|number| Cow::Owned(shortest_decimal(number))),
        _ => None,
    };
    let wrong = || {
        Rejection::new(
            Reason::InvalidField,
            format!("{field} is {}; a string or a number is needed", value.type_of().name()),
        )
    };
    let text = text.ok_or_else(wrong)?;
    if text.is_empty() || text.len() > bytes_max {
        let detail = format!("{field} has {} bytes; it must have 1 to {bytes_max}", text.len());
        return Err(Rejection::new(Reason::InvalidField, detail));
    }
    Ok(text)
}

/// A number as the shortest decimal that reads back as the same double: `4711`, not `4711.0` or `4.711e3`.
fn shortest_decimal(number: f64) -> String {
    number.to_string()
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
fn timestamp(value: Option<Value<'_, '_>>) -> Result<TimestampMs, Rejection> {
    const RANGE_MS: f64 = 8.64e15; // as ECMAScript: 275,760 years around 1970
    let missing = || Rejection::new(Reason::MissingField, "timestamp is missing; it says when the invocation began");
    let value = value.filter(|value| !value.is_null()).ok_or_else(missing)?;
    let number = match value.type_of() {
        Type::Number => value.as_f64(),
        Type::String => value.as_str().and_then(|text| text.trim().parse().ok()),
        _ => None,
    };
    let number = number.filter(|number: &f64| number.abs() <= RANGE_MS);
    let wrong = || Rejection::new(Reason::InvalidField, "timestamp is not a number of milliseconds since 1970");
    Ok(TimestampMs(number.ok_or_else(wrong)?.trunc() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_names_are_read_in_all_the_forms_that_agents_send() {
        let text = br#"{"processId":4711,"timestamp":"1795284061873","aws":{"awsRequestId":"local|x"},"more":[NaN]}"#;
        let report = Report::parse(text).expect("a report");
        assert_eq!(
            (report.process_id(), report.request_id(), report.timestamp().0),
            ("4711", "local|x", 1_795_284_061_873)
        );
        assert_eq!(report.client_id(), None);
    }

    #[test]
    fn what_is_no_report_says_which_field() {
        for (text, detail) in [
            ("[]", "a report is a JSON object, not an array"),
            ("{}", "processId is missing; it names the report"),
            (r#"{"processId":""}"#, "processId has 0 bytes; it must have 1 to 256"),
            (r#"{"processId":true}"#, "processId is a boolean; a string or a number is needed"),
            (r#"{"processId":"p","aws":{"awsRequestId":null}}"#, "aws.awsRequestId is missing; it names the report"),
            (
                r#"{"processId":"p","aws":{"awsRequestId":"r"}}"#,
                "timestamp is missing; it says when the invocation began",
            ),
            (
                r#"{"processId":"p","aws":{"awsRequestId":"r"},"timestamp":1e99}"#,
                "timestamp is not a number of milliseconds since 1970",
            ),
        ] {
            assert_eq!(Report::parse(text.as_bytes()).expect_err(text).detail, detail);
        }
    }
}
