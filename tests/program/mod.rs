//! The program as a process of its own, in a data folder that goes with the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;
use tributary_embedded::ledger::SqliteLedger;
use tributary_model::ReportId;
use tributary_ports::Ledger;

/// Longest time in which something that must happen may take to happen; only a failing test waits for it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);
/// Between two questions.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// A data folder, and the program started on it again and again.
pub(crate) struct Program {
    data: TempDir,
}

/// A running `tributary up`; killed when it is dropped.
pub(crate) struct Up {
    child: Child,
    /// Its address, `http://127.0.0.1:PORT`.
    pub endpoint: String,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self { data: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// The program with its data folder; `arguments` begin with the command.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary-under-test"));
        command.arg("--data").arg(self.data()).args(arguments).env_clear().stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, which must be a success, and answers what it printed to stdout.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("the program starts");
        assert!(status.success(), "{arguments:?}: {status}\n{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("UTF-8")
    }

    /// How many receipts have no row in the ledger; none can have two, since the id is the row's key.
    pub(crate) fn missing_in_ledger(&self, receipts: &BTreeSet<String>) -> usize {
        let ids: Vec<ReportId> = receipts.iter().map(|id| id.parse().expect("an id")).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let rows = runtime.block_on(async {
            let ledger = SqliteLedger::open(&self.data().join("ledger")).expect("the ledger opens beside the program");
            ledger.invocations(&ids).await.expect("rows")
        });
        rows.iter().filter(|row| row.is_none()).count()
    }

    /// How often each id is found, over all pages.
    pub(crate) fn found(&self, up: &Up, token: &str) -> BTreeMap<String, usize> {
        let arguments =
            ["query", "", "--from", "8d", "--all", "--output", "json", "--endpoint", &up.endpoint, "--token", token];
        let answer: serde_json::Value = serde_json::from_str(&self.run(&arguments)).expect("JSON");
        let mut counts = BTreeMap::new();
        for item in answer["items"].as_array().expect("items") {
            *counts.entry(item["id"].as_str().expect("an id").to_owned()).or_insert(0) += 1;
        }
        counts
    }

    /// Starts everything on a port of the kernel's choice and waits until it listens.
    pub(crate) fn up(&self, more: &[&str]) -> Up {
        let mut arguments = vec!["up", "--http", "127.0.0.1:0"];
        arguments.extend(more);
        let mut child =
            self.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // `up` prints where it listens once it does; its end closes the pipe.
        let listening = lines.find_map(|line| line.expect("UTF-8").split_whitespace().find_map(address));
        let Some(endpoint) = listening else {
            let mut stderr = String::new();
            child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("UTF-8");
            panic!("`tributary up` ended before it listened: {stderr}");
        };
        drain(lines);
        drain(BufReader::new(child.stderr.take().expect("a pipe")).lines());
        Up { child, endpoint }
    }
}

impl Up {
    /// Ends it as a power cut would end its process: SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ran");
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(word: &str) -> Option<String> {
    let word = word.trim_end_matches(['/', ',', '.']);
    word.starts_with("http://127.0.0.1:").then(|| word.to_owned())
}

/// Reads a pipe to its end in the background, so that the program never waits for a reader.
fn drain(lines: impl Iterator<Item = std::io::Result<String>> + Send + 'static) {
    std::thread::spawn(move || lines.for_each(drop));
}

/// Asks again and again until `ask` answers; fails with `what` when patience ends.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::park_timeout(PAUSE);
    }
}

/// The complete lines that a file has by now; none if it is not there yet.
pub(crate) fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().map(str::to_owned).collect()
}
