//! What the machine needs.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use crate::failure::Failure;

/// The address the agents are sent to. The JavaScript agent always speaks to port 443.
pub(crate) const HTTPS_ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 443);

/// A program that must be there.
struct Need {
    /// What to install, for a person.
    what: &'static str,
    /// The command that shows it is there.
    command: &'static [&'static str],
    /// The lowest version that will do, found as the first number in what the command writes.
    version_min: Option<u32>,
}

const NEEDS: &[Need] = &[
    Need { what: "node 20 or later", command: &["node", "--version"], version_min: Some(20) },
    Need { what: "npm", command: &["npm", "--version"], version_min: None },
    Need { what: "python3.11", command: &["python3.11", "--version"], version_min: None },
    Need {
        what: "python3.11's venv and pip (ensurepip)",
        command: &["python3.11", "-c", "import ensurepip, venv"],
        version_min: None,
    },
    Need { what: "a JDK of 17 or later (java)", command: &["java", "--version"], version_min: Some(17) },
    Need { what: "a JDK of 17 or later (javac)", command: &["javac", "--version"], version_min: Some(17) },
    Need { what: "a JDK of 17 or later (keytool)", command: &["keytool", "-help"], version_min: None },
    Need { what: "maven (mvn)", command: &["mvn", "--version"], version_min: None },
    Need { what: "go 1.21 or later", command: &["go", "version"], version_min: None },
    Need {
        what: "libfaketime (apt-get install libfaketime)",
        command: &["sh", "-c", "ls /usr/lib/*/faketime/libfaketime.so.1"],
        version_min: None,
    },
];

/// What a Python environment needs.
const PYTHON: [&str; 2] = ["python3.11", "python3.11's venv and pip (ensurepip)"];

/// What building functions needs besides.
const CARGO_LAMBDA: &[Need] = &[Need { what: "rustup", command: &["rustup", "--version"], version_min: None }];

/// What running arm64's needs.
const ARM64: &[Need] = &[
    Need {
        what: "qemu-aarch64 (apt-get install qemu-user)",
        command: &["qemu-aarch64", "--version"],
        version_min: None,
    },
    Need {
        what: "arm64's libraries in /usr/aarch64-linux-gnu (apt-get install libc6-arm64-cross)",
        command: &["test", "-e", "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1"],
        version_min: None,
    },
];

/// Fails in one line unless Python environments can be made.
pub(crate) fn python(command: &str) -> Result<(), Failure> {
    refuse(command, NEEDS.iter().filter(|need| PYTHON.contains(&need.what)))
}

/// Fails in one line unless the peers can be installed and started.
pub(crate) fn peers(command: &str) -> Result<(), Failure> {
    refuse(command, NEEDS.iter())
}

/// Fails in one line unless functions can be built, and arm64's run.
pub(crate) fn lambda(command: &str, runs_arm64: bool) -> Result<(), Failure> {
    let python = NEEDS.iter().filter(|need| PYTHON.contains(&need.what));
    let arm64 = ARM64.iter().filter(|_| runs_arm64);
    refuse(command, python.chain(CARGO_LAMBDA).chain(arm64))
}

fn refuse<'a>(command: &str, needs: impl Iterator<Item = &'a Need>) -> Result<(), Failure> {
    let lacking: Vec<String> = needs.filter_map(missing).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("{command} can't run, this machine lacks: {}", lacking.join("; "))))
}

/// All that this machine lacks for the agents, each with what was found instead or the way out; empty if it lacks nothing.
pub(crate) fn lacking() -> Vec<String> {
    NEEDS.iter().filter_map(missing).chain(port_problem()).collect()
}

fn missing(need: &Need) -> Option<String> {
    let (program, arguments) = need.command.split_first()?;
    let Ok(done) = Command::new(program).args(arguments).output() else {
        return Some(need.what.to_owned());
    };
    let said = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        return Some(format!("{} ({} answered {})", need.what, need.command.join(" "), done.status));
    }
    let found = first_number(&said);
    let enough = need.version_min.is_none_or(|least| found.is_some_and(|found| found >= least));
    (!enough).then(|| format!("{} (found {})", need.what, said.lines().next().unwrap_or_default()))
}

/// The first number in a text: the major version in `v20.19.5` and `openjdk 17.0.15 2025-04-15`.
fn first_number(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty())?.parse().ok()
}

fn port_problem() -> Option<String> {
    let (host, port) = HTTPS_ADDRESS;
    let problem = TcpListener::bind(HTTPS_ADDRESS).err()?;
    let way_out = match problem.kind() {
        ErrorKind::PermissionDenied => {
            "not allowed; run as root or first `sudo sysctl net.ipv4.ip_unprivileged_port_start=443`".to_owned()
        }
        ErrorKind::AddrInUse => "in use; stop what listens there".to_owned(),
        _ => problem.to_string(),
    };
    Some(format!("port {port} on {host} ({way_out})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        assert_eq!(first_number("v20.19.5\n"), Some(20));
        assert_eq!(first_number("openjdk 17.0.15 2025-04-15"), Some(17));
        assert_eq!(first_number("no version"), None);
    }

    #[test]
    fn what_is_missing_or_too_old_is_named() {
        let absent = Need { what: "a unicorn", command: &["no-such-program-anywhere"], version_min: None };
        assert_eq!(missing(&absent).as_deref(), Some("a unicorn"));
        let old = Need { what: "echo 3 or later", command: &["echo", "v2.9"], version_min: Some(3) };
        assert_eq!(missing(&old).as_deref(), Some("echo 3 or later (found v2.9)"));
        let there = Need { what: "echo 2 or later", command: &["echo", "v2.9"], version_min: Some(2) };
        assert_eq!(missing(&there), None);
    }
}
