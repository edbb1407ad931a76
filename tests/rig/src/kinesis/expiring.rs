//! Kinesis as kinesalite knows it: records expire at the retention, by a clock that a test sets (libfaketime). It has no
//! fan-out, and never tells how far a reader is behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aws_sdk_kinesis::Client;

use super::Kinesis;
use crate::process::{Process, free_port, peer};
use crate::sdk_config;

/// The file in the process's folder that its clock is read from, at every look.
const CLOCK: &str = "clock";

impl Kinesis {
    /// Starts one that forgets, and whose clock is so far behind.
    ///
    /// # Panics
    /// If it, or libfaketime, is not installed, or it does not start.
    pub async fn expiring(behind: Duration) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().expect("a temporary folder");
        set(folder.path(), behind);
        let mut command = Command::new("node");
        command.arg(peer("kinesis").join("node_modules/kinesalite/cli.js")).args(["--port", &port.to_string()]);
        for change in ["createStreamMs", "deleteStreamMs", "updateStreamMs"] {
            command.args([&format!("--{change}"), "50"]);
        }
        command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", folder.path().join(CLOCK));
        command.env("FAKETIME_NO_CACHE", "1").env("DONT_FAKE_MONOTONIC", "1");
        let mut process = Process::start_in("kinesalite", &mut command, folder);
        process.listens(port).await;
        let endpoint = format!("http://127.0.0.1:{port}");
        let client = Client::new(&sdk_config(&endpoint).await);
        process.until("it lists its streams", async || client.list_streams().send().await.ok()).await;
        Self { process, endpoint, client }
    }

    /// Sets the clock of one that forgets. It may only go forward.
    pub fn set_behind(&self, behind: Duration) {
        set(self.process.folder(), behind);
    }
}

fn set(folder: &Path, behind: Duration) {
    let next = folder.join("clock.next");
    #[expect(clippy::disallowed_methods, reason = "it is renamed to its place")]
    fs::write(&next, format!("-{}\n", behind.as_secs())).expect("a clock's file");
    fs::rename(next, folder.join(CLOCK)).expect("a clock");
}

/// The library that fakes the time, of Debian's package.
fn library() -> PathBuf {
    let places = fs::read_dir("/usr/lib").expect("the system's libraries");
    let library = |place: std::io::Result<fs::DirEntry>| Some(place.ok()?.path().join("faketime/libfaketime.so.1"));
    let found = places.filter_map(library).find(|path| path.exists());
    found.expect("libfaketime is not installed: `cargo xtask peers` says how")
}
