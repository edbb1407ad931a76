//! Running programs with a time limit, and waiting for conditions.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Context, Failure};

/// Time between two looks at a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Lines of a program's output that an error quotes.
const QUOTED_LINES: usize = 15;

/// Asks `look` until it has a value, at most for `limit`; `None` if it never had one. An error ends the wait at once.
pub(crate) fn poll<T>(
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<Option<T>, Failure> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = look()? {
            return Ok(Some(value));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        #[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition, under a deadline")]
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Starts `command` with its output going to the file `log`, which is emptied first.
pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Child, Failure> {
    let out = File::create(log).context(format_args!("creating {}", log.display()))?;
    let err = out.try_clone().context(format_args!("opening {}", log.display()))?;
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().context(format_args!("starting {program}"))
}

/// Runs `command` to its end with its output going to the file `log`. Fails if it ends with anything but success or runs
/// longer than `limit` (it is then killed); the error quotes the end of its output.
pub(crate) fn run(doing: &str, command: &mut Command, log: &Path, limit: Duration) -> Result<(), Failure> {
    let mut child = start(command, log)?;
    let ended = poll(limit, || child.try_wait().context(doing))?;
    let problem = match ended {
        Some(status) if status.success() => return Ok(()),
        Some(status) => status.to_string(),
        None => {
            // It may have ended in between; either way it is gone after this.
            let _ = child.kill();
            let _ = child.wait();
            format!("still running after {} s", limit.as_secs())
        }
    };
    Err(Failure::new(format!("{doing}: {problem}; the end of {}:\n{}", log.display(), tail(log))))
}

/// Runs `command` and returns what it wrote to stdout. Fails unless it ends with success; the error quotes its stderr.
pub(crate) fn output(doing: &str, command: &mut Command) -> Result<String, Failure> {
    let done = command.stdin(Stdio::null()).output().context(doing)?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(Failure::new(format!("{doing}: {}: {}", done.status, said.trim())));
    }
    String::from_utf8(done.stdout).context(doing)
}

/// The last lines of the file, indented; empty if it can't be read.
pub(crate) fn tail(log: &Path) -> String {
    let mut text = Vec::new();
    if File::open(log).and_then(|mut file| file.read_to_end(&mut text)).is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(QUOTED_LINES);
    lines.iter().skip(first).map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("xtask-process-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_failing_program_is_quoted() {
        let log = log("failing");
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo second >&2; exit 3"]);
        let failure = run("greeting", &mut command, &log, Duration::from_secs(10)).unwrap_err().to_string();
        std::fs::remove_file(&log).unwrap();
        assert!(failure.starts_with("greeting: exit status: 3"), "{failure}");
        assert!(failure.contains("    first\n    second\n"), "{failure}");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let log = log("endless");
        let mut command = Command::new("sleep");
        command.arg("60");
        let failure = run("waiting", &mut command, &log, Duration::ZERO).unwrap_err().to_string();
        std::fs::remove_file(&log).unwrap();
        assert!(failure.starts_with("waiting: still running after 0 s"), "{failure}");
    }

    #[test]
    fn poll_ends_with_the_first_value_and_at_the_limit() {
        let mut looks = 0;
        let found = poll(Duration::from_secs(10), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.unwrap(), Some(3));
        assert_eq!(poll(Duration::ZERO, || Ok(None::<()>)).unwrap(), None);
    }
}
