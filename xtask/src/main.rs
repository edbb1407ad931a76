//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! - `peers [--tributary PROGRAM]`: the published agents against a locally started Tributary; see [`peers`].
//! - `agents FILE`: the agents that `peers` installed against a running Tributary, which `tests/rig` starts.
//! - `soak [--minutes N] [--seed N]`: random faults for a while; see [`soak`].
//! - `template`: the templates' linters; see [`template`].
//! - `lambda [--arch arm64|x86_64]`: the functions as they are deployed; see [`lambda`].

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

mod failure;
mod http;
mod lambda;
mod peers;
mod process;
mod soak;
mod template;

use failure::Failure;
use lambda::Architecture;

const USAGE: &str = "\
usage: cargo xtask peers [--tributary PROGRAM] | agents FILE | soak [--minutes N] [--seed N] | template |
                   lambda [--arch arm64|x86_64]

  peers    installs the published IOpipe agents (JavaScript, Python, Java, Go) under target/peers, runs each through its
           scenarios against a locally started Tributary over https, and finds by query what each sent.
           Needs port 443 on 127.0.0.1. --tributary takes a built program instead of building one.
  agents   runs the installed agents against the Tributary on port 443 of which FILE tells (JSON: http, ca, program, token).
  soak     runs the functions' binaries on the peers of AWS under load for 20 minutes (--minutes), while one thing after
           another goes wrong as --seed (1) has it; in the end an audit finds nothing missing, doubled or differing.
  template installs sam, cfn-lint and checkov under target/peers and runs them on the templates.
  lambda   builds the functions' bootstraps with sam, prints the sizes of their zips, and has arm64's answer an
           invocation under qemu.
";

/// What the command line asks for.
#[derive(Debug, PartialEq)]
enum Request {
    Help,
    Peers { tributary: Option<PathBuf> },
    Agents { of: PathBuf },
    Soak { minutes: u64, seed: u64 },
    Template,
    Lambda { architectures: Vec<Architecture> },
}

fn parse(arguments: &[String]) -> Result<Request, Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["help" | "--help" | "-h"] => Ok(Request::Help),
        ["peers"] => Ok(Request::Peers { tributary: None }),
        ["peers", "--tributary", program] => Ok(Request::Peers { tributary: Some(PathBuf::from(program)) }),
        ["agents", of] => Ok(Request::Agents { of: PathBuf::from(of) }),
        ["soak", options @ ..] => soak(options),
        ["template"] => Ok(Request::Template),
        ["lambda"] => Ok(Request::Lambda { architectures: Architecture::ALL.to_vec() }),
        ["lambda", "--arch", name] => {
            let architecture = Architecture::named(name).ok_or_else(|| Failure::new(USAGE))?;
            Ok(Request::Lambda { architectures: vec![architecture] })
        }
        _ => Err(Failure::new(USAGE)),
    }
}

fn soak(options: &[&str]) -> Result<Request, Failure> {
    let (mut minutes, mut seed) = (soak::MINUTES, soak::SEED);
    for option in options.chunks(2) {
        let (place, value) = match option {
            ["--minutes", value] => (&mut minutes, value),
            ["--seed", value] => (&mut seed, value),
            _ => return Err(Failure::new(USAGE)),
        };
        *place = value.parse().map_err(|_| Failure::new(USAGE))?;
    }
    Ok(Request::Soak { minutes, seed })
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = parse(&arguments).and_then(|request| match request {
        Request::Help => failure::print(USAGE).map(|()| true),
        Request::Peers { tributary } => peers::run(tributary),
        Request::Agents { of } => peers::agents(&of),
        Request::Soak { minutes, seed } => soak::run(minutes, seed).map(|()| true),
        Request::Template => template::run().map(|()| true),
        Request::Lambda { architectures } => lambda::run(&architectures).map(|()| true),
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
        assert_eq!(parse(&words("template")).unwrap(), Request::Template);
        assert_eq!(parse(&words("agents up.json")).unwrap(), Request::Agents { of: PathBuf::from("up.json") });
        assert_eq!(parse(&words("soak")).unwrap(), Request::Soak { minutes: 20, seed: 1 });
        assert_eq!(parse(&words("soak --seed 7 --minutes 5")).unwrap(), Request::Soak { minutes: 5, seed: 7 });
        let both = vec![Architecture::X86_64, Architecture::Arm64];
        assert_eq!(parse(&words("lambda")).unwrap(), Request::Lambda { architectures: both });
        let one = vec![Architecture::Arm64];
        assert_eq!(parse(&words("lambda --arch arm64")).unwrap(), Request::Lambda { architectures: one });
    }

    #[test]
    fn an_unknown_command_shows_the_usage() {
        for line in [
            "",
            "peer",
            "peers --tributary",
            "peers extra",
            "lambda --arch",
            "lambda --arch 6502",
            "soak --seed",
            "soak --seed x",
        ] {
            assert!(parse(&words(line)).unwrap_err().to_string().starts_with("usage: "), "{line}");
        }
    }
}
