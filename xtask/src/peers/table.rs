//! What is shown in the end.

use std::fmt::Write as _;

/// How one scenario came out.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Everything was found as expected.
    Ok,
    /// What differed, each as one text.
    Failed(Vec<String>),
    /// The agent has no such feature, and why that is so.
    Absent(&'static str),
}

impl Verdict {
    /// Ok, or failed with the error's text.
    pub(crate) fn of(result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Self::Ok,
            Err(problem) => Self::Failed(vec![problem]),
        }
    }

    /// Whether the run as a whole fails by it.
    pub(crate) fn failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// Which agent.
    pub(crate) agent: &'static str,
    /// Which scenario.
    pub(crate) scenario: &'static str,
    /// How it came out.
    pub(crate) verdict: Verdict,
}

/// The table, what differed under each failed row, and the closing line `N passed, M failed`. A scenario for which an
/// agent has no feature counts as neither.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut text = format!("\n{:<18} {:<18} {}\n", "agent", "scenario", "result");
    let (mut passed, mut failed) = (0, 0);
    for row in rows {
        let (result, differences): (String, &[String]) = match &row.verdict {
            Verdict::Ok => {
                passed += 1;
                ("ok".to_owned(), &[])
            }
            Verdict::Failed(differences) => {
                failed += 1;
                ("FAILED".to_owned(), differences)
            }
            Verdict::Absent(reason) => (format!("none: {reason}"), &[]),
        };
        // Writing to a String can't fail.
        let _ = writeln!(text, "{:<18} {:<18} {result}", row.agent, row.scenario);
        for difference in differences {
            let _ = writeln!(text, "    {}", difference.trim_end().replace('\n', "\n    "));
        }
    }
    let _ = writeln!(text, "\n{passed} passed, {failed} failed");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_ends_with_the_closing_line_alone() {
        let row = |scenario, verdict| Row { agent: "Go 0.1.1", scenario, verdict };
        let rows = [
            row("warm", Verdict::Ok),
            row("labels", Verdict::Failed(vec!["labels: wanted [], found [\"vip\"]".to_owned()])),
            row("HTTP trace", Verdict::Absent("it traces nothing")),
        ];
        let text = render(&rows);
        assert!(text.contains("Go 0.1.1           warm               ok\n"), "{text}");
        assert!(text.contains("labels             FAILED\n    labels: wanted [], found [\"vip\"]\n"), "{text}");
        assert!(text.contains("HTTP trace         none: it traces nothing\n"), "{text}");
        assert_eq!(text.lines().last(), Some("1 passed, 1 failed"));
    }
}
