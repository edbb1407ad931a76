//! Labels: the agent's, and the automatic ones that some agents leave out.

use tributary_model::json::{Type, Value};
use tributary_model::limits::{LABEL_BYTES_MAX, LABELS_MAX};

use super::event::label_source;
use super::reading::Reading;

/// The labels as they came, without empty ones, those of the Java agent's event types written as the others write them.
pub(super) fn labels(reading: &mut Reading, labels: Option<Value<'_, '_>>) -> Vec<String> {
    let items = reading.items("labels", labels, LABELS_MAX);
    let mut read = Vec::with_capacity(items.size_hint().0 + 1);
    read.extend(items.filter_map(|(at, item)| label(reading, at, item)));
    read
}

fn label(reading: &mut Reading, at: usize, item: Value<'_, '_>) -> Option<String> {
    if item.type_of() == Type::String && item.raw().len() == 2 {
        reading.remove(format_args!("labels[{at}]"), "is empty");
        return None;
    }
    let label = reading.name(format_args!("labels[{at}]"), Some(item), LABEL_BYTES_MAX);
    match label_source(&label) {
        Some(source) => Some(source_label(source)),
        None => Some(label).filter(|label| !label.is_empty()),
    }
}

/// What the automatic labels say.
pub(super) struct Facts<'a> {
    pub(super) coldstart: bool,
    pub(super) error: bool,
    pub(super) timeout: bool,
    pub(super) custom_metrics: bool,
    pub(super) event_source: Option<&'a str>,
}

/// Adds the automatic labels that are true and missing: Go 0.1.1 and Java 1.3.0 send none, and Python and Go leave out
/// `@iopipe/error` on a timeout. Then sorts all, each once.
pub(super) fn complete(labels: &mut Vec<String>, facts: &Facts<'_>) {
    let automatic = [
        (COLDSTART, facts.coldstart),
        (ERROR, facts.error),
        (TIMEOUT, facts.timeout),
        ("@iopipe/metrics", facts.custom_metrics),
    ];
    labels.extend(automatic.into_iter().filter(|(_, is_true)| *is_true).map(|(label, _)| label.to_owned()));
    labels.extend(facts.event_source.map(source_label));
    labels.sort_unstable();
    labels.dedup();
}

pub(super) const COLDSTART: &str = "@iopipe/coldstart";
pub(super) const TIMEOUT: &str = "@iopipe/timeout";
const ERROR: &str = "@iopipe/error";

fn source_label(source: &str) -> String {
    format!("@iopipe/aws-{source}")
}

#[cfg(test)]
mod tests {
    use tributary_model::json::Document;

    use super::*;

    #[test]
    fn labels_are_sorted_unique_and_completed() {
        let document =
            Document::parse(br#"["vip","","@iopipe/sqs",7,"vip","@iopipe/coldstart",null,["x"]]"#).expect("JSON");
        let mut reading = Reading::default();
        let mut labels = labels(&mut reading, Some(document.root()));
        let facts =
            Facts { coldstart: true, error: true, timeout: false, custom_metrics: false, event_source: Some("sqs") };
        complete(&mut labels, &facts);
        assert_eq!(labels, ["7", "@iopipe/aws-sqs", "@iopipe/coldstart", "@iopipe/error", "vip"]);
        let removed: Vec<String> = reading.removed.iter().map(|r| format!("{} {}", r.field, r.reason)).collect();
        assert_eq!(removed, ["labels[1] is empty", "labels[7] is an array; a text is needed"]);
    }

    #[test]
    fn a_long_label_is_removed_not_cut() {
        let text = format!("[\"{}\"]", "x".repeat(LABEL_BYTES_MAX + 1));
        let document = Document::parse(text.as_bytes()).expect("JSON");
        let mut reading = Reading::default();
        assert!(labels(&mut reading, Some(document.root())).is_empty());
        assert_eq!(reading.removed[0].reason, "has 513 bytes; the limit is 512");
    }
}
