//! The fields of the language, by the names that an invocation has as JSON, and short ones.

use tributary_model::limits::QUOTED_CHARS_MAX;
use tributary_ports::search::{BoolField, NumberField, TextField};

/// What a field holds, and so which values it takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    Text(TextField),
    Bool(BoolField),
    Number(NumberField, Measure),
    /// Percent or MiB, by the value's unit.
    Memory,
    /// The error's name, or whether there is one.
    Error,
    /// A custom metric of this name.
    Metric(String),
}

/// What a number measures: which units it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Milliseconds.
    Time,
    /// MiB.
    Size,
    /// Percent.
    Share,
    /// A plain number.
    Count,
}

/// Each field's name, its short names, and what it holds.
const FIELDS: &[(&str, &[&str], Field)] = &[
    ("id", &[], Field::Text(TextField::Id)),
    ("function", &[], Field::Text(TextField::Function)),
    ("version", &[], Field::Text(TextField::Version)),
    ("region", &[], Field::Text(TextField::Region)),
    ("request_id", &["request"], Field::Text(TextField::RequestId)),
    ("process_id", &["process"], Field::Text(TextField::ProcessId)),
    ("duration", &["duration_ms"], Field::Number(NumberField::DurationMs, Measure::Time)),
    ("coldstart", &[], Field::Bool(BoolField::Coldstart)),
    ("timeout", &[], Field::Bool(BoolField::Timeout)),
    ("error", &[], Field::Error),
    ("error.name", &[], Field::Text(TextField::ErrorName)),
    ("error.fingerprint", &["fingerprint"], Field::Text(TextField::ErrorFingerprint)),
    ("label", &["labels"], Field::Text(TextField::Label)),
    ("memory", &[], Field::Memory),
    ("memory.used_mib", &[], Field::Number(NumberField::MemoryUsedMib, Measure::Size)),
    ("memory.used_percent", &[], Field::Number(NumberField::MemoryUsedPercent, Measure::Share)),
    ("agent.runtime", &["agent", "runtime"], Field::Text(TextField::AgentRuntime)),
    ("agent.version", &[], Field::Text(TextField::AgentVersion)),
    ("event_source", &["event"], Field::Text(TextField::EventSource)),
    ("step_function", &["step_function.id"], Field::Text(TextField::StepFunction)),
    ("aws.account_id", &["aws_account"], Field::Text(TextField::AwsAccount)),
    ("aws.trace_id", &["trace_id", "trace"], Field::Text(TextField::TraceId)),
    ("token", &[], Field::Text(TextField::Token)),
    ("signed", &[], Field::Bool(BoolField::Signed)),
    ("removed", &[], Field::Bool(BoolField::Removed)),
];

/// Names that people try, and what to do instead.
const INSTEAD: &[(&[&str], &str)] = &[
    (
        &["timestamp", "timestamp_end", "received_at", "time", "date", "from", "to", "since", "until"],
        "the time range is not part of the query; it is given as from and to",
    ),
    (&["project", "account"], "a search sees its token's project only"),
    (
        &["message", "error.message", "error.stack", "stack"],
        "an error's message is searched by its words, without a field: \"connection refused\"",
    ),
    (&["metric", "metrics"], "a metric is named behind a dot: metric.cart_total:>100"),
];

/// The field of this name, `metric.` aside.
pub(super) fn field(name: &str) -> Result<Field, String> {
    let known = FIELDS.iter().find(|(field, short, _)| *field == name || short.contains(&name));
    known.map(|(_, _, field)| field.clone()).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> String {
    if let Some((_, instead)) = INSTEAD.iter().find(|(names, _)| names.contains(&name)) {
        return (*instead).to_owned();
    }
    let advice = match nearest(name) {
        Some(near) => format!("did you mean {near}?"),
        None => "quote the text to search for its words.".to_owned(),
    };
    let known: Vec<&str> = FIELDS.iter().map(|(field, _, _)| *field).collect();
    let shown: String = name.chars().take(QUOTED_CHARS_MAX).collect();
    format!("there is no field {shown:?}; {advice} Fields are {} and metric.NAME", known.join(", "))
}

/// The known name that differs in the fewest keystrokes, if it is few: one, or a third of the letters.
fn nearest(name: &str) -> Option<&'static str> {
    let letters = name.chars().count();
    let names = FIELDS.iter().flat_map(|(field, short, _)| std::iter::once(field).chain(short.iter()));
    let near = names.map(|known| (strsim::damerau_levenshtein(name, known), *known));
    // A name far longer than any field's is not compared: the comparison takes the product of both lengths.
    let near = near.filter(|(distance, _)| *distance <= (letters / 3).max(1));
    if letters > QUOTED_CHARS_MAX { None } else { near.min().map(|(_, known)| known) }
}

/// Whether a word begins with the name of a field and goes on with an operator: `duration>500ms` lacks its colon.
pub(super) fn lacks_colon(word: &str) -> Option<(&str, &str)> {
    let (name, rest) = word.split_at_checked(word.find(['<', '>', '='])?)?;
    let named = name.starts_with("metric.") || field(name).is_ok();
    named.then(|| (name, rest.trim_start_matches('=')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_answered_with_the_nearest_name() {
        for (typo, near) in [
            ("functon", "function"),
            ("fucntion", "function"),
            ("requestid", "request_id"),
            ("cold_start", "coldstart"),
            ("lable", "label"),
            ("error.nam", "error.name"),
            ("durations", "duration"),
        ] {
            assert_eq!(nearest(typo), Some(near), "{typo}");
        }
        assert_eq!(nearest("https"), None);
        assert_eq!(nearest(&"x".repeat(4000)), None);
    }

    #[test]
    fn an_unknown_field_lists_the_known_ones() {
        let message = field("colour").expect_err("no field");
        assert!(message.starts_with("there is no field \"colour\"; quote the text"), "{message}");
        assert!(message.contains("id, function, version, region, request_id"), "{message}");
        assert!(message.ends_with("and metric.NAME"), "{message}");
    }

    #[test]
    fn names_are_given_to_one_field_only() {
        let mut names: Vec<&str> =
            FIELDS.iter().flat_map(|(field, short, _)| std::iter::once(field).chain(short.iter())).copied().collect();
        names.extend(INSTEAD.iter().flat_map(|(names, _)| names.iter().copied()));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_missing_colon_is_noticed() {
        assert_eq!(lacks_colon("duration>500ms"), Some(("duration", ">500ms")));
        assert_eq!(lacks_colon("function=checkout"), Some(("function", "checkout")));
        assert_eq!(lacks_colon("a>b"), None);
        assert_eq!(lacks_colon("duration"), None);
    }
}
