//! The Tributary that the agents report to: built, started, asked for a token, stopped.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::Value;

use super::needs::HTTPS_ADDRESS;
use super::{Places, client};
use crate::failure::{Context, Failure};
use crate::process;

/// Longest time until `up` says that it listens.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Longest time `up` may take to stop after SIGTERM before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Builds the release program and returns where it is, wherever cargo puts it. Cargo's own messages go to stderr.
///
/// # Errors
/// If it doesn't build.
pub(crate) fn build(places: &Places) -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--package", "tributary", "--bin", "tributary"]);
    command.args(["--message-format", "json-render-diagnostics"]).current_dir(&places.root);
    let done = command.stderr(std::process::Stdio::inherit()).output().context("starting cargo")?;
    if !done.status.success() {
        return Err(Failure::new(format!("cargo build --release --package tributary: {}", done.status)));
    }
    executable(&String::from_utf8_lossy(&done.stdout))
        .ok_or_else(|| Failure::new("cargo build --release --package tributary: it names no program"))
}

/// The last program that cargo's JSON messages name.
fn executable(messages: &str) -> Option<PathBuf> {
    let parsed = messages.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from)).next()
}

/// What agents and queries have to know of a Tributary that listens on port 443.
pub(crate) struct Address {
    program: PathBuf,
    /// `http://127.0.0.1:PORT`, for queries.
    pub(crate) http: String,
    /// The certificate authority that signed the https address's certificate.
    pub(crate) ca: PathBuf,
}

impl Address {
    /// What a JSON object says that has `http`, and `ca`'s path.
    fn read(program: PathBuf, said: &Value) -> Result<Self, Failure> {
        Ok(Self { program, http: text(said, "http")?, ca: PathBuf::from(text(said, "ca")?) })
    }

    /// Reads a file with such an object, which has the path of the program `tributary` and a token, too; answers the token
    /// beside the address.
    ///
    /// # Errors
    /// If it is not such a file.
    pub(crate) fn of_file(path: &Path) -> Result<(Self, String), Failure> {
        let text_of_it = std::fs::read(path).context(format_args!("reading {}", path.display()))?;
        let said: Value = serde_json::from_slice(&text_of_it).context(path.display())?;
        Ok((Self::read(PathBuf::from(text(&said, "program")?), &said)?, text(&said, "token")?))
    }

    /// A command of the program that belongs to it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // A client command must not find an address or token of the person who runs this.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TRIBUTARY_") {
                command.env_remove(name);
            }
        }
        command
    }
}

/// A running `tributary up`. Dropping it stops it.
pub(crate) struct Server {
    data: PathBuf,
    log: PathBuf,
    child: Child,
    /// Where it listens.
    pub(crate) address: Address,
}

impl Server {
    /// Starts `program` on an empty data folder and waits until it listens.
    ///
    /// # Errors
    /// If it ends, or does not listen in time; the error quotes the end of its output.
    pub(crate) fn start(program: &Path, places: &Places) -> Result<Self, Failure> {
        let (host, port) = HTTPS_ADDRESS;
        let data = places.run.join("data");
        let log = places.log("tributary");
        let mut up = Command::new(program);
        up.arg("up").arg("--data").arg(&data);
        up.args(["--http", "127.0.0.1:0", "--https", &format!("{host}:{port}")]);
        let child = process::start(&mut up, &log)?;
        let address = Address { program: program.to_path_buf(), http: String::new(), ca: PathBuf::new() };
        let mut server = Self { data, log, child, address };
        let said = process::poll(START_LIMIT, || server.listening())?;
        let said = said.ok_or_else(|| server.failure("tributary up does not listen in time"))?;
        server.address = Address::read(program.to_path_buf(), &said)?;
        Ok(server)
    }

    /// What `up.json` says once it is whole; an error if the program has ended or the file is another process's.
    fn listening(&mut self) -> Result<Option<Value>, Failure> {
        if let Some(status) = self.child.try_wait().context("waiting for tributary up")? {
            return Err(self.failure(&format!("tributary up ended ({status})")));
        }
        let said = std::fs::read(self.data.join("up.json")).ok();
        let said = said.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        match said.as_ref().and_then(|said| said.get("pid")).and_then(Value::as_u64) {
            Some(pid) if pid != u64::from(self.child.id()) => {
                Err(Failure::new(format!("up.json names process {pid}, but tributary up is {}", self.child.id())))
            }
            _ => Ok(said),
        }
    }

    fn failure(&self, problem: &str) -> Failure {
        Failure::new(format!("{problem}; the end of {}:\n{}", self.log.display(), process::tail(&self.log)))
    }

    /// A token that may send and search.
    pub(crate) fn token(&self) -> Result<String, Failure> {
        let mut issue = self.address.command();
        issue.args(["token", "issue", "--scope", client::SCOPES, "--data"]).arg(&self.data);
        let said = process::output("tributary token issue", &mut issue)?;
        let token = said.trim();
        if token.is_empty() || token.contains(char::is_whitespace) {
            return Err(Failure::new(format!("tributary token issue must print a token alone, but printed {said:?}")));
        }
        Ok(token.to_owned())
    }

    /// Asks it to stop, as an operator or a service manager does. The error says how it failed to stop by itself; it is
    /// gone in any case.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        self.end()
    }

    fn end(&mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("it had ended before ({status})"));
        }
        // The shell's own `kill` is on every system; the standard library can only send SIGKILL.
        let asked = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &self.child.id().to_string()]).status();
        let ended = process::poll(STOP_LIMIT, || self.child.try_wait().context("waiting for tributary up"));
        match (asked, ended) {
            (Ok(_), Ok(Some(status))) if status.success() => Ok(()),
            (Ok(_), Ok(Some(status))) => Err(format!("it ended with {status}")),
            (asked, ended) => {
                let killed = self.child.kill().and_then(|()| self.child.wait());
                Err(format!("not stopped within {} s: {asked:?} {ended:?} {killed:?}", STOP_LIMIT.as_secs()))
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Whoever wants to know how it stopped calls `stop`.
            let _ = self.end();
        }
    }
}

fn text(said: &Value, key: &str) -> Result<String, Failure> {
    let value = said.get(key).and_then(Value::as_str);
    value.map(str::to_owned).ok_or_else(|| Failure::new(format!("up.json has no text {key:?}: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_program_is_found_in_cargos_messages() {
        let messages = "not json\n{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":\"out/tributary\"}\n\
                        {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(executable(messages), Some(PathBuf::from("out/tributary")));
        assert_eq!(executable("{}"), None);
    }
}
