//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! - `peers [--tributary PROGRAM]`: the published agents against a locally started Tributary; see [`peers`].

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

mod failure;
mod http;
mod peers;
mod process;

use failure::Failure;

const USAGE: &str = "\
usage: cargo xtask peers [--tributary PROGRAM]

  peers    installs the published IOpipe agents (JavaScript, Python, Java, Go) under target/peers, runs each through its
           scenarios against a locally started Tributary over https, and finds by query what each sent.
           Needs port 443 on 127.0.0.1. --tributary takes a built program instead of building one.
";

/// What the command line asks for.
#[derive(Debug, PartialEq)]
enum Request {
    Help,
    Peers { tributary: Option<PathBuf> },
}

fn parse(arguments: &[String]) -> Result<Request, Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["help" | "--help" | "-h"] => Ok(Request::Help),
        ["peers"] => Ok(Request::Peers { tributary: None }),
        ["peers", "--tributary", program] => Ok(Request::Peers { tributary: Some(PathBuf::from(program)) }),
        _ => Err(Failure::new(USAGE)),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = parse(&arguments).and_then(|request| match request {
        Request::Help => failure::print(USAGE).map(|()| true),
        Request::Peers { tributary } => peers::run(tributary),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            // With stderr gone there is nobody left to tell.
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_command_line_is_read() {
        assert_eq!(parse(&words("peers")).unwrap(), Request::Peers { tributary: None });
        let given = parse(&words("peers --tributary bin/tributary")).unwrap();
        assert_eq!(given, Request::Peers { tributary: Some(PathBuf::from("bin/tributary")) });
        assert_eq!(parse(&words("--help")).unwrap(), Request::Help);
    }

    #[test]
    fn an_unknown_command_shows_the_usage() {
        for line in ["", "peer", "peers --tributary", "peers extra"] {
            assert!(parse(&words(line)).unwrap_err().to_string().starts_with("usage: "), "{line}");
        }
    }
}
