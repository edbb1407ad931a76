//! Why an invocation has no answer.

use lambda_runtime::Diagnostic;

/// A function error. It quotes nothing of the event, which may hold tokens and reports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// The event is not what the function is invoked with.
    #[error("not {expected}: {problem}")]
    Event {
        /// What the function takes, `a Kinesis event`.
        expected: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Our own code panicked, and the process goes on. What the panic says may quote a report, so its place alone is logged.
    #[error("the function panicked; its log names the place")]
    Panicked,
}

impl FunctionError {
    pub(crate) fn event(expected: &'static str, problem: impl Into<String>) -> Self {
        Self::Event { expected, problem: problem.into() }
    }

    /// JSON that is none, or of another shape. serde's own text would quote a value of the wrong type.
    pub(crate) fn json(expected: &'static str, error: &serde_json::Error) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Data => "a field is missing or of another type",
            _ => "it is not JSON",
        };
        Self::event(expected, format!("{what}, line {} column {}", error.line(), error.column()))
    }
}

impl From<FunctionError> for Diagnostic {
    fn from(error: FunctionError) -> Self {
        let error_type = match error {
            FunctionError::Event { .. } => "Tributary.MalformedEvent",
            FunctionError::Panicked => "Tributary.Panic",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
