//! What triggered the function, and the step function's execution it belongs to.

use tributary_model::invocation::{Metric, StepFunction};

use super::reading::whole;

/// How the names of the event-info plugin's metrics begin.
pub(super) const EVENT_INFO: &str = "@iopipe/event-info.";

/// The event types that the agents know, as their labels write them.
const SOURCES: [&str; 11] =
    ["alb", "alexa-skill", "api-gateway", "cloud-front", "firehose", "kinesis", "s3", "scheduled", "ses", "sns", "sqs"];

/// What triggered the function, as a slug: from the event-info plugin's metric, else the Python agent's `eventType`, else
/// a label. The Python agent notes an API Gateway's status for any event whose answer looks like one: that says nothing.
pub(super) fn event_source(event_type: &str, metrics: &[Metric], labels: &[String]) -> Option<String> {
    let metric = text_metric(metrics, "eventType").map(slug);
    let field = || event_type.strip_prefix("aws-").or(Some(event_type)).map(slug);
    let label = || labels.iter().find_map(|label| label_source(label)).map(ToOwned::to_owned);
    let known = |source: &String| !source.is_empty();
    metric.filter(known).or_else(|| field().filter(known)).or_else(label)
}

/// The event type in an automatic label: `@iopipe/aws-<slug>`, of the Java agent `@iopipe/<slug>`.
pub(super) fn label_source(label: &str) -> Option<&str> {
    let slug = label.strip_prefix("@iopipe/")?;
    let slug = slug.strip_prefix("aws-").unwrap_or(slug);
    SOURCES.contains(&slug).then_some(slug)
}

/// `api-gateway` of `apiGateway`. Types that we don't know yet are written in the same way.
fn slug(event_type: &str) -> String {
    let mut out = String::with_capacity(event_type.len() + 2);
    for (at, character) in event_type.chars().enumerate() {
        if character.is_ascii_uppercase() && at > 0 {
            out.push('-');
        }
        out.push(character.to_ascii_lowercase());
    }
    out
}

/// The step that the Python agent carried from one function's result to the next one's event.
pub(super) fn step_function(metrics: &[Metric]) -> Option<StepFunction> {
    let id = text_metric(metrics, "stepFunction.id").filter(|id| !id.is_empty())?;
    let step = event_info(metrics, "stepFunction.step").and_then(|metric| metric.n);
    Some(StepFunction { id: id.to_owned(), step: step.and_then(|step| u32::try_from(whole(step)).ok()) })
}

fn text_metric<'m>(metrics: &'m [Metric], path: &str) -> Option<&'m str> {
    event_info(metrics, path)?.s.as_deref()
}

fn event_info<'m>(metrics: &'m [Metric], path: &str) -> Option<&'m Metric> {
    metrics.iter().rev().find(|metric| metric.name.strip_prefix(EVENT_INFO) == Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(path: &str, n: Option<f64>, s: Option<&str>) -> Metric {
        Metric { name: format!("{EVENT_INFO}{path}"), n, s: s.map(ToOwned::to_owned) }
    }

    #[test]
    fn the_source_comes_from_the_metric_then_the_field_then_a_label() {
        let gateway = [metric("eventType", None, Some("apiGateway"))];
        let labels = ["vip".to_owned(), "@iopipe/aws-sls-integration-lambda".to_owned(), "@iopipe/sqs".to_owned()];
        assert_eq!(event_source("aws-s3", &gateway, &labels).as_deref(), Some("api-gateway"));
        assert_eq!(event_source("aws-s3", &[], &labels).as_deref(), Some("s3"));
        assert_eq!(event_source("", &[], &labels).as_deref(), Some("sqs"));
        assert_eq!(event_source("", &[], &labels[..2]), None);
        let status = [metric("apiGateway.response.statusCode", Some(200.0), None)];
        assert_eq!(event_source("", &status, &[]), None);
    }

    #[test]
    fn every_event_type_of_the_agents_has_its_slug() {
        let types = [
            "alb",
            "alexaSkill",
            "apiGateway",
            "cloudFront",
            "firehose",
            "kinesis",
            "s3",
            "scheduled",
            "ses",
            "sns",
            "sqs",
        ];
        assert_eq!(types.map(slug).as_slice(), SOURCES);
        assert_eq!(slug("dynamoDb"), "dynamo-db");
    }

    #[test]
    fn a_step_has_an_id_and_perhaps_a_number() {
        let metrics = [metric("stepFunction.id", None, Some("dc97")), metric("stepFunction.step", Some(2.0), None)];
        assert_eq!(step_function(&metrics), Some(StepFunction { id: "dc97".to_owned(), step: Some(2) }));
        assert_eq!(step_function(&metrics[..1]), Some(StepFunction { id: "dc97".to_owned(), step: None }));
        assert_eq!(step_function(&metrics[1..]), None);
    }
}
