//! Peers as child processes: found where `cargo xtask peers` installs them, logged into a folder of their own, waited for
//! until they answer, killed when dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Longest time in which something that must happen may take to happen; only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes of a log's end that a failure quotes.
const LOG_END_BYTES: usize = 4000;

/// Where `cargo xtask peers` installed a peer, `target/peers/<name>`.
///
/// # Panics
/// In one line, if it is not installed.
#[must_use]
pub fn peer(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers").join(name);
    assert!(folder.join("installed").exists(), "the peer {name} is not installed: run `cargo xtask peers` first");
    folder
}

/// A port of 127.0.0.1 that nobody listens on, chosen by the kernel. For a peer that can't be told to choose itself.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound address").port()
}

/// Asks again and again until `ask` answers.
///
/// # Panics
/// With `what`, when patience ends.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// A child process with a folder of its own, both gone when it is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    folder: TempDir,
}

impl Process {
    /// Starts `command` in a process group and a folder of its own, with nothing on its stdin and all its output in a log.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command) -> Self {
        Self::start_in(name, command, tempfile::tempdir().expect("a temporary folder"))
    }

    /// The same, in a folder that holds what it works on.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn start_in(name: &str, command: &mut Command, folder: TempDir) -> Self {
        let log = File::options().create(true).append(true).open(folder.path().join("log")).expect("a log");
        let error_log = log.try_clone().expect("a second handle of the log");
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(error_log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), child, folder }
    }

    /// The folder that it runs in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stdout and stderr.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap_or_default()).into_owned()
    }

    /// Waits until it takes connections on this port of 127.0.0.1.
    ///
    /// # Panics
    /// With the end of its log, if it ends first or patience does.
    pub async fn listens(&mut self, port: u16) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.until("it takes connections", async || TcpStream::connect(address).await.ok().map(drop)).await;
    }

    /// Asks again and again until `ask` answers.
    ///
    /// # Panics
    /// With the end of its log, if it ends first or patience does.
    pub async fn until<T>(&mut self, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                panic!("{} ended with {status} before {what}:\n{}", self.name, self.log_end());
            }
            assert!(Instant::now() < deadline, "{}: not within {PATIENCE:?}: {what}:\n{}", self.name, self.log_end());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends a signal to it and to all its children.
    pub fn signal(&self, signal: Signal) {
        // A group that is gone has nothing left to signal.
        let _ = i32::try_from(self.child.id()).map(|id| Pid::from_raw(id).map(|id| kill_process_group(id, signal)));
    }

    /// Ends it as a power cut would, and answers its folder for another to go on with.
    #[must_use]
    pub fn kill(mut self) -> TempDir {
        self.end();
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a temporary folder"))
    }

    fn end(&mut self) {
        // Once it was waited for, its id may be another's.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }

    /// The end of what it wrote to stdout and stderr.
    #[must_use]
    pub fn log_end(&self) -> String {
        let log = self.log();
        let start = log.char_indices().rev().nth(LOG_END_BYTES).map_or(0, |(start, _)| start);
        log[start..].to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_logged_waited_for_and_killed_with_its_children() {
        let script = "sleep 1000 & echo $! > child; echo ready; wait";
        let mut process = Process::start("a script", Command::new("sh").args(["-c", script]));
        let child = process.folder().join("child");
        let log = process.folder().join("log");
        process.until("it is ready", async || fs::read_to_string(&log).ok().filter(|log| log == "ready\n")).await;
        let child = fs::read_to_string(child).unwrap();
        let folder = process.kill();
        let status = Path::new("/proc").join(child.trim()).join("stat");
        // Whoever adopts the child removes it from the table; until then it is a zombie.
        until("the child is gone", async || {
            let gone = fs::read_to_string(&status).map_or(true, |stat| stat.contains(") Z "));
            gone.then_some(())
        })
        .await;
        assert_eq!(fs::read_to_string(folder.path().join("log")).unwrap(), "ready\n");
    }

    #[tokio::test]
    #[should_panic(expected = "ended with exit status: 3 before it takes connections:\nwhy\n")]
    async fn one_that_ends_too_soon_says_why() {
        let mut process = Process::start("a script", Command::new("sh").args(["-c", "echo why; exit 3"]));
        process.listens(free_port()).await;
    }
}
