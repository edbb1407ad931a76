//! What is wrong with the settings.

use std::fmt;

/// What is wrong with one variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem} (for example {variable}={example})")]
pub struct Problem {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with its value, and the value as far as it is shown.
    pub problem: String,
    /// A value that it may have.
    pub example: &'static str,
}

/// Everything that is wrong with the settings; at least one problem. Printed one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
