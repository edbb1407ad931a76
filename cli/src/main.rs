//! The tributary program.

use std::process::ExitCode;

fn main() -> ExitCode {
    tributary::main()
}
