//! A bar on the terminal while reports are sent.

use std::convert::Infallible;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, interval};
use tributary_model::limits::LOAD_PROGRESS_INTERVAL;

use super::sender::Run;

/// Draws to stderr until it is dropped, if that is a terminal.
pub(super) async fn show(run: &Run) -> Infallible {
    if !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    let bar = Bar::new();
    let mut ticks = interval(LOAD_PROGRESS_INTERVAL);
    loop {
        ticks.tick().await;
        bar.draw(run);
    }
}

struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new(1000);
        let style = ProgressStyle::with_template("[{elapsed_precise}] {bar:40} {msg}");
        Self(style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style)))
    }

    fn draw(&self, run: &Run) {
        let tally = run.tally.borrow();
        self.0.set_message(format!("{} acknowledged, {} errors", tally.acknowledged(), tally.failed()));
        self.0.set_position(run.pace.permille(Instant::now()));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
