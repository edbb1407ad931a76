//! The tributary program: everything in one process, and the client commands.

mod arguments;
mod captures;
mod client;
mod clock;
mod command;
pub mod failure;
mod files;
mod folder;
pub mod http;
pub mod load;
pub mod local;
mod output;

use std::io::Write;
use std::process::ExitCode;

/// Runs the program with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match arguments::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error),
    };
    let ended = runtime.block_on(command::run(arguments));
    runtime.shutdown_background();
    ended.map_or_else(|failure| complain(&failure), |()| ExitCode::SUCCESS)
}

fn complain(error: &dyn std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {error}"); // there is nowhere else to say it
    ExitCode::FAILURE
}
