//! Alarms and logs: nothing fails in silence.

use serde_json::json;

use crate::settings::functions;
use crate::template::{Resource, Template};
use crate::{In, Project, finds, holds};

fn problems(project: &Project) -> Vec<String> {
    let mut problems = Vec::new();
    for (template, function) in functions(project) {
        let mut metrics = vec!["Errors", "Throttles"];
        if function.name.starts_with("Worker") {
            metrics.push("IteratorAge");
        }
        for metric in metrics {
            if !watched(template, "AWS/Lambda", metric, function.name) {
                problems.push(format!("{}: no alarm watches its {metric}", function.name));
            }
        }
        problems.extend(logs(template, function));
    }
    for (namespace, metric, resource) in [
        ("AWS/Kinesis", "PutRecords.ThrottledRecords", "Stream"),
        ("AWS/S3", "PutRequests", "OverflowBucket"),
        ("AWS/S3", "PutRequests", "FailedBatchesBucket"),
    ] {
        if !watched(&project.region, namespace, metric, resource) {
            problems.push(format!("{resource}: no alarm watches its {metric}"));
        }
    }
    for metric in ["consumers_out", "retention_raised", "failed", "unreadable"] {
        if !watched(&project.region, "Tributary", metric, "AWS::Region") {
            problems.push(format!("Custodian: no alarm watches its {metric}"));
        }
    }
    let counted = |name: &str| {
        project.region.resource(name).is_some_and(|it| *it.property("/MetricsConfigurations/0/Id") == "all")
    };
    let uncounted = ["OverflowBucket", "FailedBatchesBucket"].into_iter().filter(|name| !counted(name));
    problems.extend(uncounted.map(|name| format!("{name}: S3 does not count its requests, so no alarm can")));
    problems
}

/// Whether an alarm that tells somebody has this metric of this resource.
fn watched(template: &Template, namespace: &str, metric: &str, resource: &str) -> bool {
    template.of_kind("AWS::CloudWatch::Alarm").any(|alarm| {
        *alarm.property("/Namespace") == namespace
            && *alarm.property("/MetricName") == metric
            && *alarm.property("/Dimensions/0/Value/Ref") == resource
            && *alarm.property("/AlarmActions") == json!([{"Ref": "Alarms"}])
    })
}

/// A function writes to a group of its own, which forgets.
fn logs(template: &Template, function: Resource<'_>) -> Vec<String> {
    let group = function.property("/LoggingConfig/LogGroup/Ref").as_str().and_then(|name| template.resource(name));
    match group {
        None => vec![format!("{}: Lambda would make it a log group without end and without encryption", function.name)],
        Some(group) if group.property("/RetentionInDays/Ref").is_null() => vec![format!("{}: never ends", group.name)],
        Some(_) => vec![],
    }
}

/// L24: a consumer that is behind among them.
#[test]
fn every_failure_raises_an_alarm() {
    holds(problems);
}

#[test]
fn a_silent_failure_is_found() {
    finds(
        problems,
        &[
            (In::Region, "/OverflowBucket/Properties/MetricsConfigurations", json!(null)),
            (In::Region, "/WorkerLedger/Properties/LoggingConfig", json!(null)),
            (In::Region, "/CollectorLogs/Properties/RetentionInDays", json!(null)),
        ],
    );
    for alarm in ["WorkerSearchLagAlarm", "OverflowAlarm", "OutageAlarm", "FailedBatchesAlarm"] {
        let mut project = Project::read();
        crate::change(
            &mut project.region.document["Resources"],
            &format!("/{alarm}/Properties/AlarmActions"),
            json!([]),
        );
        assert_eq!(problems(&project).len(), 1, "{alarm}");
    }
}
