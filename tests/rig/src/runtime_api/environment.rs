//! One process of a function.

use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::process::{Child, Command};

use super::server::Server;
use super::{Answer, FunctionError};
use crate::process::PATIENCE;

/// A process and the Runtime API that it asks. Dropped, it is killed.
pub(super) struct Environment {
    child: Child,
    server: Server,
    started: Instant,
}

impl Environment {
    /// Starts one that writes its stdout and stderr to the end of `log`: to a file, not through a pipe, so that what a
    /// process wrote before it answered can be read as soon as the answer is there.
    pub(super) async fn start(binary: &Path, variables: &[(String, String)], log: &File) -> Self {
        let handle = || Stdio::from(log.try_clone().expect("another handle of the log"));
        let server = Server::start().await;
        let started = Instant::now();
        let child = Command::new(binary)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", server.address().to_string().as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "tributary"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_REGION", "eu-west-1"),
                ("AWS_ACCESS_KEY_ID", "key"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ])
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(handle())
            .stderr(handle())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));
        Self { child, server, started }
    }

    pub(super) fn if_alive(mut self) -> Option<Self> {
        self.child.try_wait().expect("a child of ours").is_none().then_some(self)
    }

    pub(super) fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for the first `next` and answers how long after the start it came.
    pub(super) async fn ready(&mut self) -> Duration {
        tokio::select! {
            at = self.server.first_next() => at - self.started,
            status = self.child.wait() => panic!("it ended with {status:?} instead: {:?}", self.server.init_error()),
        }
    }

    /// Invokes it. As on Lambda, `timeout` runs from when the process is ready, not from its start.
    pub(super) async fn invoke(&mut self, event: Bytes, killed: bool, timeout: Duration) -> Answer {
        tokio::select! {
            _ = self.server.first_next() => {}
            status = self.child.wait() => return self.ended(status.expect("a child of ours")),
            () = tokio::time::sleep(PATIENCE) => panic!("it neither asks for an invocation nor ends"),
        }
        let mut invocation = self.server.offer(event, timeout);
        if killed {
            tokio::select! {
                () = self.server.taken() => {}
                _ = self.child.wait() => {}
            }
            self.end().await;
            return Answer::Error(FunctionError::new("Runtime.OutOfMemory", "signal: killed"));
        }
        tokio::select! {
            biased;
            answer = &mut invocation => answer.expect("the server lives as long as this"),
            status = self.child.wait() => self.ended(status.expect("a child of ours")),
            () = tokio::time::sleep(timeout) => {
                self.end().await;
                let message = format!("Task timed out after {:.2} seconds", timeout.as_secs_f64());
                Answer::Error(FunctionError::new("Sandbox.Timedout", message))
            }
        }
    }

    fn ended(&self, status: ExitStatus) -> Answer {
        let exit = || FunctionError::new("Runtime.ExitError", status.to_string());
        Answer::Error(self.server.init_error().unwrap_or_else(exit))
    }

    async fn end(&mut self) {
        let _ = self.child.kill().await; // it may have ended by itself
    }
}
