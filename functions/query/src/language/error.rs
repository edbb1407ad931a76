//! What is wrong with a query, and where.

use std::fmt;

/// Characters of the query shown on each side of the column.
const SHOWN_CHARS: usize = 48;

/// A fault at a byte of the query.
#[derive(Debug)]
pub(super) struct Wrong {
    at: usize,
    message: String,
}

impl Wrong {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// What is wrong with a query, and where. `Display` is one sentence that begins with the column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    column: usize,
    message: String,
    shown: String,
    shown_column: usize,
}

impl QueryError {
    pub(super) fn new(text: &str, wrong: Wrong) -> Self {
        let column = text.char_indices().take_while(|(at, _)| *at < wrong.at).count() + 1;
        let skipped = column.saturating_sub(SHOWN_CHARS + 1);
        let shown = text.chars().skip(skipped).take(2 * SHOWN_CHARS);
        let shown = shown.map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        Self { column, message: wrong.message, shown, shown_column: column - skipped }
    }

    /// Where it is wrong, counted in characters from 1. One behind the last where something is missing at the end.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }

    /// What was expected there.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Two lines for a terminal: the query (the part around the column, if it is long), and below it a caret and the
    /// message. Control characters of the query are shown as blanks.
    #[must_use]
    pub fn with_caret(&self) -> String {
        format!("{}\n{:>width$} {}", self.shown, '^', self.message, width = self.shown_column)
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.message)
    }
}

impl std::error::Error for QueryError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_not_bytes() {
        let error = QueryError::new("é日 x", Wrong::new("é日 ".len(), "no x here"));
        assert_eq!(error.to_string(), "column 4: no x here");
        assert_eq!(error.with_caret(), "é日 x\n   ^ no x here");
    }

    #[test]
    fn a_long_query_is_shown_around_the_column_only() {
        let text = format!("{}!{}", "a".repeat(1000), "b".repeat(1000));
        let error = QueryError::new(&text, Wrong::new(1000, "no ! here"));
        let (query, caret) =
            error.with_caret().split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("two lines");
        assert_eq!(query.len(), 2 * SHOWN_CHARS);
        assert_eq!(query.find('!'), caret.find('^'));
        assert_eq!(error.column(), 1001);
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let error = QueryError::new("a\u{1b}[31m\nb", Wrong::new(0, "x"));
        assert_eq!(error.with_caret(), "a [31m b\n^ x");
    }
}
