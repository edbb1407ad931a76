//! The `tributary` program, as the whole-system tests start it.

use std::process::ExitCode;

fn main() -> ExitCode {
    tributary::main()
}
