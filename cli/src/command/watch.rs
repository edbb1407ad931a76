//! A replay's progress: a bar for each shard while it runs, a table of what became of its records.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;
use tributary_model::limits::REPLAY_WATCH_INTERVAL;

use crate::arguments::Form;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Output, TableRow, cell};

/// Outcomes in the order in which they are shown, with their headings.
const OUTCOMES: [(&str, &str); 5] = [
    ("applied", "applied"),
    ("already_there", "already there"),
    ("superseded", "superseded"),
    ("expired", "expired"),
    ("dead_lettered", "dead-lettered"),
];

/// A replay's path. Ids consist of lower-case letters, digits and `.`; anything else is none, and must not change the path.
pub(super) fn path(id: &str) -> String {
    let in_id = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
    format!("/v1/replays/{}", id.chars().map(|letter| if in_id(letter) { letter } else { '_' }).collect::<String>())
}

/// Asks until the replay is over, and draws its shards to stderr if that is a terminal. Answers the last progress.
///
/// # Errors
/// If it can't be asked.
pub(super) async fn until_over(client: &Client, progress: &Value) -> Result<Value, Failure> {
    let mut progress = progress.clone();
    let path = path(&cell(&progress, "/id"));
    let bars = std::io::stderr().is_terminal().then(|| Bars::new(&progress));
    loop {
        if let Some(bars) = &bars {
            bars.draw(&progress);
        }
        if matches!(cell(&progress, "/state").as_str(), "finished" | "incomplete" | "cancelled") {
            return Ok(progress);
        }
        tokio::time::sleep(REPLAY_WATCH_INTERVAL).await;
        progress = client.get(&path, &[]).await?;
    }
}

/// Prints a progress.
///
/// # Errors
/// If stdout is closed.
pub(super) fn show(output: &Output, progress: &Value, form: Form) -> Result<(), Failure> {
    if form == Form::Json {
        return output.json(progress);
    }
    let done = progress.get("done").and_then(Value::as_f64).unwrap_or_default() * 100.0;
    let [id, mode, state, from, to] = ["/id", "/mode", "/state", "/from", "/to"].map(|name| cell(progress, name));
    output.line(format_args!("{} {mode} {state}, {done:.0} %: {from} to {to}", output.bold(&id)))?;
    let [read, skipped, bytes] = ["/counts/read", "/counts/skipped", "/counts/bytes"].map(|name| cell(progress, name));
    output.line(format_args!("read {read} records ({bytes} bytes), skipped {skipped}"))?;
    let targets = progress.get("targets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let row = |target: &Value| {
        let target = target.as_str().unwrap_or_default();
        let counts = OUTCOMES.map(|(name, _)| cell(progress, &format!("/counts/{target}/{name}")));
        TableRow::new(std::iter::once(target.to_owned()).chain(counts).collect())
    };
    let header: Vec<&str> = std::iter::once("store").chain(OUTCOMES.map(|(_, heading)| heading)).collect();
    output.table(&header, targets.iter().map(row).collect())?;
    if progress.get("overflow").and_then(Value::as_u64).is_some_and(|waiting| waiting > 0) {
        output.line(format_args!("{} reports wait in the overflow", cell(progress, "/overflow")))?;
    }
    for shard in shards(progress).filter(|shard| shard.pointer("/gap/from").is_some()) {
        let [shard, from, to] = ["/shard", "/gap/from", "/gap/to"].map(|name| cell(shard, name));
        output.line(format_args!("{shard}: what arrived from {from} to {to} may have expired before it was read"))?;
    }
    for shard in shards(progress).filter(|shard| !cell(shard, "/error").is_empty()) {
        output.line(format_args!("{}: {}", cell(shard, "/shard"), cell(shard, "/error")))?;
    }
    Ok(())
}

/// A replay that is over is no success if it came too late for some of its range.
///
/// # Errors
/// If a shard has a gap.
pub(super) fn verdict(progress: &Value) -> Result<(), Failure> {
    let gaps = shards(progress).filter(|shard| shard.pointer("/gap/from").is_some()).count();
    if gaps == 0 {
        return Ok(());
    }
    Err(Failure::new(format!("{gaps} shards were read too late for all of the range"))
        .hint("what the stream has let expire can only come back from a store's back-up, or from its sender"))
}

fn shards(progress: &Value) -> impl Iterator<Item = &Value> {
    progress.get("shards").and_then(Value::as_array).into_iter().flatten()
}

/// A bar for each shard.
struct Bars {
    bars: Vec<ProgressBar>,
    all: MultiProgress,
}

impl Bars {
    fn new(progress: &Value) -> Self {
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{prefix:>16} {bar:30} {msg}");
        let bar = |shard: &Value| {
            let bar = all.add(ProgressBar::new(1000).with_prefix(cell(shard, "/shard")));
            style.as_ref().map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style.clone()))
        };
        let bars = shards(progress).map(bar).collect();
        Self { bars, all }
    }

    fn draw(&self, progress: &Value) {
        let rest = progress.get("remaining_ms").and_then(Value::as_u64).map(Duration::from_millis);
        let rest = rest.map(|rest| format!(", {} s left", rest.as_secs())).unwrap_or_default();
        for (bar, shard) in self.bars.iter().zip(shards(progress)) {
            let done = shard.get("done").and_then(Value::as_f64).unwrap_or_default();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is from 0 to 1")]
            bar.set_position((done * 1000.0) as u64);
            let finished = shard.get("finished").and_then(Value::as_bool).unwrap_or_default();
            let [read, lag, error] = ["/counts/read", "/lag_ms", "/error"].map(|name| cell(shard, name));
            bar.set_message(match (finished, error.is_empty()) {
                (true, _) => format!("{read} records, done"),
                (false, true) => format!("{read} records, {lag} ms behind{rest}"),
                (false, false) => format!("{read} records; {error}"),
            });
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.bars.iter().for_each(ProgressBar::finish);
        let _ = self.all.clear(); // the table that follows says the same
    }
}
