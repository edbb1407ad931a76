//! The commands.

mod audit;
#[cfg(feature = "aws")]
mod aws;
mod dead_letter;
mod doctor;
mod functions;
mod key;
mod ledger;
mod load;
mod project;
mod query;
mod replay;
mod setting;
mod show;
mod token;
mod up;
mod watch;

use crate::arguments::{self, Arguments, Command};
use crate::clock;
use crate::failure::Failure;
use crate::folder::Folder;
use crate::output::Output;

/// Runs the command.
///
/// # Errors
/// What went wrong, for the person who ran it.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let folder = Folder::new(arguments.data);
    let output = Output::new();
    match arguments.command {
        Command::Up(arguments) => up::run(&folder, &output, arguments).await,
        Command::Token(command) => token::run(&folder.open(clock::now()).await?, &output, command).await,
        Command::Project(command) => project::run(&folder.open(clock::now()).await?, &output, command).await,
        Command::Key(command) => key::run(&folder.open(clock::now()).await?, &output, command).await,
        Command::Setting(command) => setting::run(&*folder.open(clock::now()).await?.objects, &output, command).await,
        #[cfg(feature = "aws")]
        Command::Aws(command) => aws::run(&output, command).await,
        Command::Query(arguments) => query::run(&folder, &output, arguments).await,
        Command::Show(arguments) => show::run(&folder, &output, arguments).await,
        Command::Functions(arguments) => functions::run(&folder, &output, arguments).await,
        Command::DeadLetter(command) => dead_letter::run(&folder, &output, command).await,
        Command::Replay(command) => replay::run(&folder, &output, command).await,
        Command::Audit(arguments) => audit::run(&folder, &output, arguments).await,
        Command::Ledger(command) => ledger::run(&folder.open(clock::now()).await?, &output, command).await,
        Command::Load { load: arguments, output: form, endpoint } => {
            load::run(&folder, &output, arguments, form, &endpoint).await
        }
        Command::Doctor => doctor::run(&folder, &output).await,
        Command::Completions { shell } => completions(&output, shell),
    }
}

fn completions(output: &Output, shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut arguments::command(), "tributary", &mut script);
    output.line(String::from_utf8_lossy(&script).trim_end())
}
