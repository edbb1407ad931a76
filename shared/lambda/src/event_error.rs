//! An event that is not what the function is invoked with.

use lambda_runtime::Diagnostic;

/// Why an event can't be read. It quotes nothing of the event, which may hold tokens and reports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {expected}: {problem}")]
pub struct EventError {
    /// What the function takes, `a Kinesis event`.
    pub expected: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl EventError {
    pub(crate) fn new(expected: &'static str, problem: impl Into<String>) -> Self {
        Self { expected, problem: problem.into() }
    }

    /// JSON that is none, or of another shape. serde's own text would quote a value of the wrong type.
    pub(crate) fn json(expected: &'static str, error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Data => "a field is missing or of another type",
            _ => "it is not JSON",
        };
        Self::new(expected, format!("{what}, line {} column {}", error.line(), error.column()))
    }
}

impl From<EventError> for Diagnostic {
    fn from(error: EventError) -> Self {
        Self { error_type: "Tributary.MalformedEvent".to_owned(), error_message: error.to_string() }
    }
}
