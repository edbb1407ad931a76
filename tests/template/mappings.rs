//! The event source mappings: what makes a record that kills its worker leave, and an outage of days lose nothing.

use serde_json::json;
use tributary_model::store_settings::Batches;
use tributary_model::{StoreSettings, Target, limits};

use crate::{In, Project, finds, holds};

/// Attempts that outlast five of the custodian's looks, one a minute, at 0.4 s an attempt.
const ATTEMPTS_MIN: u64 = 750;
/// Attempts of a minute each (the worker's timeout) that are over in a day: well before the fourth day, on which the
/// stream's retention would have to be raised.
const ATTEMPTS_MAX: u64 = 1440;

fn problems(project: &Project) -> Vec<String> {
    let mappings: Vec<_> = project.region.of_kind("AWS::Lambda::EventSourceMapping").collect();
    let mut problems = Vec::new();
    let workers: Vec<_> =
        mappings.iter().filter_map(|mapping| mapping.property("/FunctionName/Ref").as_str()).collect();
    if workers != ["WorkerLedger", "WorkerSearch"] {
        problems
            .push(format!("each worker needs one mapping, WorkerLedgerMapping and WorkerSearchMapping: {workers:?}"));
    }
    for mapping in mappings {
        let mut expect = |pointer: &str, expected: serde_json::Value| {
            let found = mapping.property(pointer);
            if *found != expected {
                problems.push(format!("{}: {pointer} must be {expected}, not {found}", mapping.name));
            }
        };
        expect("/EventSourceArn", json!({"Fn::GetAtt": "Stream.Arn"}));
        expect("/StartingPosition", json!("TRIM_HORIZON"));
        expect("/FunctionResponseTypes", json!(["ReportBatchItemFailures"]));
        expect("/BisectBatchOnFunctionError", json!(true));
        expect("/MaximumRecordAgeInSeconds", json!(-1));
        expect("/DestinationConfig/OnFailure/Destination", json!({"Fn::GetAtt": "FailedBatchesBucket.Arn"}));
        let consumer = if mapping.name == "WorkerSearchMapping" { Target::Search } else { Target::Ledger };
        let Batches { records, concurrency } = StoreSettings::default().batches(consumer);
        expect("/BatchSize", json!(records));
        expect("/ParallelizationFactor", json!(concurrency));
        expect("/MaximumBatchingWindowInSeconds", json!({"Ref": "BatchWindowSeconds"}));
        let attempts = mapping.property("/MaximumRetryAttempts").as_u64();
        if !attempts.is_some_and(|attempts| (ATTEMPTS_MIN..=ATTEMPTS_MAX).contains(&attempts)) {
            problems.push(format!("{}: {attempts:?} attempts", mapping.name));
        }
    }
    problems.extend(ranges(project));
    problems
}

/// The parameters have the ranges of the local program's settings.
fn ranges(project: &Project) -> Vec<String> {
    let parameters = &project.region.document["Parameters"];
    let window_max = limits::BATCH_WINDOW_MAX.as_secs();
    let expected = [("BatchWindowSeconds", "MaxValue", window_max)];
    let wrong = expected.iter().filter(|(name, key, value)| parameters[name][key] != *value);
    wrong.map(|(name, key, value)| format!("{name}: {key} must be {value}, as in limits.rs")).collect()
}

/// L24: attempts end long before the records do; and L5: the age of a record alone gives none up.
#[test]
fn mappings_are_as_the_promise_needs_them() {
    holds(problems);
}

#[test]
fn a_mapping_that_loses_or_blocks_is_found() {
    let of = |key: &str, value| {
        let pointer: &'static str = format!("/WorkerSearchMapping/Properties/{key}").leak();
        (In::Region, pointer, value)
    };
    finds(
        problems,
        &[
            of("StartingPosition", json!("LATEST")),
            of("FunctionResponseTypes", json!(null)),
            of("BisectBatchOnFunctionError", json!(false)),
            of("MaximumRecordAgeInSeconds", json!(86_400)),
            of("MaximumRetryAttempts", json!(-1)),
            of("MaximumRetryAttempts", json!(500)),
            of("MaximumRetryAttempts", json!(10_000)),
            of("DestinationConfig", json!(null)),
            of("ParallelizationFactor", json!(1)),
            of("BatchSize", json!(1)),
            of("FunctionName", json!({"Ref": "WorkerLedger"})),
        ],
    );
}
