//! Where a function ran, as AWS names it.

use tributary_model::Region;
use tributary_model::invocation::AwsInfo;
use tributary_model::json::Value;
use tributary_model::limits::REMAINING_TIME_MAX;

use super::reading::{Reading, whole};

/// What the report's `aws` says.
pub(super) struct Origin {
    pub(super) function: String,
    pub(super) version: String,
    /// The region in the ARN.
    pub(super) region: Option<Region>,
    pub(super) memory_limit_mib: Option<f64>,
    pub(super) aws: AwsInfo,
}

pub(super) fn origin(reading: &mut Reading, aws: Option<Value<'_, '_>>) -> Origin {
    const KEYS: [&str; 9] = [
        "functionName",
        "functionVersion",
        "invokedFunctionArn",
        "logGroupName",
        "logStreamName",
        "memoryLimitInMB",
        "getRemainingTimeInMillis",
        "traceId",
        "awsRequestId", // names the report: read with it
    ];
    let unknown = |key: Value<'_, '_>, value: Value<'_, '_>| reading.keep_unknown("aws", key, value);
    let [name, version, arn, group, stream, limit, remaining, trace, ..] =
        aws.map_or([None; 9], |aws| aws.pick_or(KEYS, unknown));
    let arn = reading.text("aws.invokedFunctionArn", arn);
    let parsed = Arn::read(&arn);
    let name = reading.text("aws.functionName", name);
    Origin {
        function: if name.is_empty() { parsed.function.to_owned() } else { name },
        version: reading.text("aws.functionVersion", version),
        region: Region::new(parsed.region).ok(),
        memory_limit_mib: reading.amount("aws.memoryLimitInMB", limit).filter(|limit| *limit > 0.0),
        aws: AwsInfo {
            account_id: parsed.account.to_owned(),
            log_group: reading.text("aws.logGroupName", group),
            log_stream: reading.text("aws.logStreamName", stream),
            trace_id: trace_id(reading, trace),
            remaining_ms: remaining_ms(reading, remaining),
            arn,
        },
    }
}

/// The Java agent writes `unknown` if there is none.
fn trace_id(reading: &mut Reading, value: Option<Value<'_, '_>>) -> String {
    let text = reading.text("aws.traceId", value);
    if text == "unknown" { String::new() } else { text }
}

/// Without a deadline the Go agent sends one 292 years ago: that is none.
fn remaining_ms(reading: &mut Reading, value: Option<Value<'_, '_>>) -> Option<i64> {
    let ms = whole(reading.number("aws.getRemainingTimeInMillis", value)?);
    Some(ms).filter(|ms| u128::from(ms.unsigned_abs()) <= REMAINING_TIME_MAX.as_millis())
}

/// The parts of a function's ARN; empty where it has none.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arn<'a> {
    region: &'a str,
    account: &'a str,
    function: &'a str,
}

impl<'a> Arn<'a> {
    /// Reads `arn:<partition>:lambda:<region>:<account>:function:<name>[:<version or alias>]`. Under AWS SAM the region is
    /// `local` and the account `0`, which is no account.
    fn read(text: &'a str) -> Self {
        let mut parts = text.split(':');
        let mut next = || parts.next().unwrap_or_default();
        let (arn, partition, service, region, account, what, function) =
            (next(), next(), next(), next(), next(), next(), next());
        if arn != "arn" || !partition.starts_with("aws") || service != "lambda" || what != "function" {
            return Self::default();
        }
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        Self { region, account: if is_account { account } else { "" }, function }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_gives_region_account_and_name() {
        let arn = Arn::read("arn:aws-cn:lambda:cn-north-1:123456789012:function:checkout:live");
        assert_eq!(arn, Arn { region: "cn-north-1", account: "123456789012", function: "checkout" });
        let local = Arn::read("arn:aws:lambda:local:0:function:f");
        assert_eq!(local, Arn { region: "local", account: "", function: "f" });
        for text in
            ["", "arn", "arn:aws:sqs:eu-west-1:123456789012:q", "x:aws:lambda:eu-west-1:123456789012:function:f"]
        {
            assert_eq!(Arn::read(text), Arn::default(), "{text}");
        }
    }
}
