//! KMS as moto knows it: it checks every bit of what it encrypted, and its context. (MiniStack takes a changed ciphertext;
//! moto in its turn decrypts with a disabled key and signs no digest.)

use std::process::Command;

use crate::process::{Process, free_port, peer};

/// A running moto server.
#[derive(Debug)]
pub struct Moto {
    /// Where it listens, `http://127.0.0.1:PORT`, for every service.
    pub endpoint: String,
    /// Its process.
    pub process: Process,
}

impl Moto {
    /// Starts it and waits until it takes connections.
    ///
    /// # Panics
    /// If it is not installed or does not start.
    pub async fn start() -> Self {
        let port = free_port();
        let mut command = Command::new(peer("mocks").join("venv/bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let mut process = Process::start("moto", &mut command);
        process.listens(port).await;
        Self { endpoint: format!("http://127.0.0.1:{port}"), process }
    }
}
