//! S3, KMS and Lambda's API as MiniStack knows them. Its event source mappings switch at once: the states between are for
//! a scripted server to show.

use std::process::Command;

use crate::process::{Process, free_port, peer};

/// A running MiniStack.
#[derive(Debug)]
pub struct Ministack {
    /// Where it listens, `http://127.0.0.1:PORT`, for every service.
    pub endpoint: String,
    /// Its process.
    pub process: Process,
}

impl Ministack {
    /// Starts it and waits until it takes connections.
    ///
    /// # Panics
    /// If it is not installed or does not start.
    pub async fn start() -> Self {
        let port = free_port();
        let mut command = Command::new(peer("mocks").join("venv/bin/ministack"));
        command.env("GATEWAY_PORT", port.to_string()).env("BIND_HOST", "127.0.0.1").env("LAMBDA_EXECUTOR", "local");
        command.env("MINISTACK_REGION", crate::REGION);
        let mut process = Process::start("ministack", &mut command);
        process.listens(port).await;
        Self { endpoint: format!("http://127.0.0.1:{port}"), process }
    }
}
