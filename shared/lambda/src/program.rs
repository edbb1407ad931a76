//! The process around a function: what its `main` runs.

use std::io::{self, Write};
use std::panic;
use std::process::ExitCode;

use lambda_runtime::Diagnostic;
use lambda_runtime_api_client::body::Body;
use lambda_runtime_api_client::{PooledClient, build_request};
use serde_json::json;
use tokio::runtime;

/// Why a function can't begin (its settings, mostly: all problems of them), or can't go on.
pub type Error = lambda_runtime::Error;

/// Runs `init`, then what it answers: the loop over invocations. One thread does it all, since Lambda gives one invocation
/// at a time. A failed `init` is said to Lambda, which shows it to whoever invokes, and in the log.
pub fn run<S>(init: impl Future<Output = Result<S, Error>>) -> ExitCode
where
    S: Future<Output = Result<(), Error>>,
{
    // A panic's own text may quote a report.
    panic::set_hook(Box::new(|panicked| {
        say("panic", &panicked.location().map(ToString::to_string).unwrap_or_default())
    }));
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed("runtime", &error.to_string()),
    };
    runtime.block_on(async {
        match init.await {
            Ok(serve) => match serve.await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed("runtime", &error.to_string()),
            },
            Err(error) => {
                let error = error.to_string();
                // The log line first: Lambda may end the process as soon as it is told.
                let code = failed("init", &error);
                if let Err(unsent) = report(&error).await {
                    say("init", &format!("Lambda was not told: {unsent}"));
                }
                code
            }
        }
    })
}

fn failed(event: &str, error: &str) -> ExitCode {
    say(event, error);
    ExitCode::FAILURE
}

/// A log line of the process itself: there may be no telemetry yet.
fn say(event: &str, error: &str) {
    let line = json!({ "level": "error", "event": format!("lambda.{event}"), "error": error });
    let _ = writeln!(io::stderr(), "{line}"); // nobody is left to be told
}

/// Tells Lambda why the function can't begin.
async fn report(error: &str) -> Result<(), Error> {
    let diagnostic = Diagnostic { error_type: "Tributary.Settings".to_owned(), error_message: error.to_owned() };
    let request = build_request()
        .method("POST")
        .uri("/2018-06-01/runtime/init/error")
        .header("lambda-runtime-function-error-type", "Tributary.Settings")
        .body(Body::from(serde_json::to_vec(&diagnostic)?))?;
    PooledClient::builder().build().call(request).await?;
    Ok(())
}
