//! `tributary load`.

use crate::arguments::{EndpointArguments, Form, OutputArguments};
use crate::client;
use crate::failure::{Context, Failure};
use crate::folder::{Folder, SavedToken};
use crate::load::{self, LoadArguments, Options};
use crate::output::Output;

pub(super) async fn run(
    folder: &Folder,
    output: &Output,
    arguments: LoadArguments,
    form: OutputArguments,
    endpoint: &EndpointArguments,
) -> Result<(), Failure> {
    let token = client::token(folder, SavedToken::Local, endpoint)?;
    let options = Options { endpoint: client::endpoint(folder, endpoint), token, arguments };
    let summary = tokio::task::spawn_blocking(|| load::run(options)).await.context("load")?.context("load")?;
    match form.output {
        Form::Table => output.line(&summary)?,
        Form::Json => output.json(&summary)?,
    }
    summary.problem().map_or(Ok(()), |problem| Err(Failure::new(problem)))
}
