//! Processes of our own: started, asked what they used, ended.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::Result;

/// Ticks of a second in `/proc/PID/stat`; Linux has had 100 on every architecture since 2.6.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server in a process of its own; killed when dropped.
pub(crate) struct ServerProcess {
    child: Child,
    pub endpoint: String,
    pub token: String,
    _data: TempDir,
}

impl ServerProcess {
    /// Starts this very program as a server on `stream` (`durable` or `blackhole`) with `functions` (`collector` or `all`).
    pub(crate) fn start(stream: &str, functions: &str) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", stream, functions])
            .arg(data.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no pipe")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let (endpoint, token) = line.trim().split_once(' ').ok_or("the server did not start")?;
        Ok(Self { child, endpoint: endpoint.to_owned(), token: token.to_owned(), _data: data })
    }

    /// Processor time it has used.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(self.child.id())
    }

    /// Resident memory, MiB: all of it, and what is not pages of files.
    pub(crate) fn resident_mib(&self) -> Result<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
        };
        Ok((mib("VmRSS:").ok_or("no VmRSS")?, mib("RssAnon:").ok_or("no RssAnon")?))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time that a process has used, user and system, in seconds.
pub(crate) fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/PID/stat has no name")?;
    let ticks = |at: usize| fields.split_whitespace().nth(at).and_then(|ticks| ticks.parse::<f64>().ok());
    let (user, system) = (ticks(11).ok_or("no utime")?, ticks(12).ok_or("no stime")?);
    Ok((user + system) / TICKS_PER_SECOND)
}

/// Runs this very program with other arguments to its end and answers what it printed.
pub(crate) fn run(arguments: &[&str]) -> Result<String> {
    let output = Command::new(std::env::current_exe()?).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{arguments:?}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
