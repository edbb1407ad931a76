//! What happened, for whoever reads a seed that fails.

use std::time::Duration;

use tributary_model::ReportId;

/// Lines of a story that are shown: one screen.
const SHOWN: usize = 44;
/// Of these, from the beginning.
const SHOWN_FIRST: usize = 8;

/// The events of a world, kept only when they are to be told: a seed is run again for its story.
#[derive(Debug, Default)]
pub(crate) struct Story {
    told: bool,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    at: Duration,
    actor: &'static str,
    text: String,
    about: About,
}

/// Whom an event concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    /// The world: a kill, an outage, a pause.
    All,
    /// Nobody in particular: a call that fails and is made again.
    Nobody,
    /// These reports.
    Reports(Vec<ReportId>),
}

impl Story {
    pub(crate) fn new(told: bool) -> Self {
        Self { told, lines: Vec::new() }
    }

    pub(crate) fn add(&mut self, at: Duration, actor: &'static str, about: About, text: impl FnOnce() -> String) {
        if self.told {
            self.lines.push(Line { at, actor, text: text(), about });
        }
    }

    /// The events that concern all, and those of the report `id`; at most one screen of them.
    pub(crate) fn tell(&self, id: Option<ReportId>) -> String {
        let concerns = |line: &&Line| match (&line.about, id) {
            (About::All, _) => true,
            (About::Reports(ids), Some(id)) => ids.contains(&id),
            (About::Reports(_), None) | (About::Nobody, _) => false,
        };
        let lines: Vec<String> = self.lines.iter().filter(concerns).map(Line::render).collect();
        let left_out = lines.len().saturating_sub(SHOWN);
        let mut shown: Vec<String> = Vec::new();
        for (position, line) in lines.into_iter().enumerate() {
            if left_out > 0 && position == SHOWN_FIRST {
                shown.push(format!("{:>12} ({left_out} more events)", "..."));
            }
            if position < SHOWN_FIRST || position >= SHOWN_FIRST + left_out {
                shown.push(line);
            }
        }
        shown.join("\n")
    }
}

impl Line {
    fn render(&self) -> String {
        format!("{:>10.3} s  {:<10} {}", self.at.as_secs_f64(), self.actor, self.text)
    }
}
