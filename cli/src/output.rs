//! Everything that is printed to stdout passes through here. Colour only on a terminal, tables as wide as it is.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Row, Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;

/// How wide a table may be on a terminal that does not say how wide it is.
const WIDTH: u16 = 100;

/// stdout.
pub(crate) struct Output {
    colour: bool,
    width: Option<u16>,
}

impl Output {
    /// stdout as it is: a terminal, or not. `NO_COLOR` (<https://no-color.org>) is respected.
    #[must_use]
    pub(crate) fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let width = terminal.then(|| terminal_size::terminal_size().map_or(WIDTH, |(width, _)| width.0));
        Self { colour, width }
    }

    /// Prints text and a line end.
    ///
    /// # Errors
    /// If stdout is closed.
    pub(crate) fn line(&self, text: impl std::fmt::Display) -> Result<(), Failure> {
        self.write(&format!("{text}\n"))
    }

    /// Prints JSON, indented.
    ///
    /// # Errors
    /// If stdout is closed.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(error.to_string()))?;
        self.line(text)
    }

    /// Prints a table, cut to the terminal's width. A row that is marked is shown in red.
    ///
    /// # Errors
    /// If stdout is closed.
    pub(crate) fn table(&self, header: &[&str], rows: Vec<TableRow>) -> Result<(), Failure> {
        let marked: Vec<bool> = rows.iter().map(|row| row.marked).collect();
        let text = layout(header, rows, self.width);
        let style = |line: usize| match line.checked_sub(1).map(|row| marked.get(row).copied().unwrap_or_default()) {
            None => Style::new().bold(),
            Some(true) => AnsiColor::Red.on_default(),
            Some(false) => Style::new(),
        };
        for (number, line) in text.lines().enumerate() {
            self.line(self.styled(line.trim_end(), style(number)))?;
        }
        Ok(())
    }

    /// Prints names and values below a title.
    ///
    /// # Errors
    /// If stdout is closed.
    pub(crate) fn section(&self, title: &str, fields: &[(&str, String)]) -> Result<(), Failure> {
        let fields: Vec<_> = fields.iter().filter(|(_, value)| !value.is_empty()).collect();
        if fields.is_empty() {
            return Ok(());
        }
        self.line(self.styled(title, Style::new().bold()))?;
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in fields {
            let value = value.trim_end().replace('\n', &format!("\n  {:width$}  ", ""));
            self.line(format_args!("  {name:width$}  {value}"))?;
        }
        Ok(())
    }

    /// The text in bold, on a terminal.
    #[must_use]
    pub(crate) fn bold(&self, text: &str) -> String {
        self.styled(text, Style::new().bold())
    }

    fn styled(&self, text: &str, style: Style) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        written.map_err(|error| Failure::new(format!("stdout: {error}")))
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

/// A row of a table.
pub(crate) struct TableRow {
    cells: Vec<String>,
    marked: bool,
}

impl TableRow {
    /// A row of these cells.
    #[must_use]
    pub(crate) fn new(cells: Vec<String>) -> Self {
        Self { cells, marked: false }
    }

    /// The row, to be seen if `marked`.
    #[must_use]
    pub(crate) const fn mark(mut self, marked: bool) -> Self {
        self.marked = marked;
        self
    }
}

fn layout(header: &[&str], rows: Vec<TableRow>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().map(|title| title.to_uppercase()));
    match width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    for row in rows {
        let mut cells = Row::from(row.cells.iter().map(|cell| one_line(cell)));
        cells.max_height(1);
        table.add_row(cells);
    }
    table.to_string()
}

/// What others sent must not move the cursor or hide text of ours.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A JSON value as a cell: texts as they are, nothing for null.
#[must_use]
pub(crate) fn cell(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().map(|item| cell(item, "")).collect::<Vec<_>>().join(" "),
        Some(other) => other.to_string(),
    }
}

/// Milliseconds for people: `0.31 ms`, `12.5 ms`, `3.21 s`.
#[must_use]
pub(crate) fn milliseconds(value: Option<&Value>) -> String {
    match value.and_then(Value::as_f64) {
        None => String::new(),
        Some(ms) if ms < 10.0 => format!("{ms:.2} ms"),
        Some(ms) if ms < 1000.0 => format!("{ms:.1} ms"),
        Some(ms) => format!("{:.2} s", ms / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<TableRow> {
        vec![TableRow::new(vec!["checkout".to_owned(), "a message\nthat goes on \u{1b}[2Jand on".to_owned()])]
    }

    #[test]
    fn a_table_keeps_a_row_to_a_line_of_the_terminal() {
        let text = layout(&["function", "error"], rows(), Some(30));
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
        assert!(text.contains("FUNCTION") && text.contains("checkout"), "{text}");
    }

    #[test]
    fn without_a_terminal_nothing_is_cut_and_control_characters_are_blanks() {
        let text = layout(&["function", "error"], rows(), None);
        assert!(text.contains("a message that goes on  [2Jand on"), "{text}");
    }

    #[test]
    fn durations_have_three_digits_or_so() {
        for (ms, text) in [(0.314, "0.31 ms"), (12.51, "12.5 ms"), (3210.0, "3.21 s")] {
            assert_eq!(milliseconds(Some(&Value::from(ms))), text);
        }
        assert_eq!(milliseconds(None), "");
    }
}
