//! The local HTTP server: HTTP/1.1 with and without TLS, every size, count and time bounded.
//!
//! It reads a request whole and hands it to an [`Answer`]; it never redirects and never compresses. What it answers of
//! itself is `application/problem+json`: 400 for what is not HTTP/1.1, 408 for a head or body that comes too slowly, 413,
//! 431, and 500 where an [`Answer`] panicked.

mod body;
mod connection;
mod progress;
mod respond;
mod server;
pub mod tls;
mod watched;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use tributary_model::limits;

pub use server::{Listener, Server};

/// What answers requests.
pub trait Answer: Send + Sync + 'static {
    /// Answers one request. A panic becomes a 500.
    fn answer(&self, request: Request<Bytes>) -> impl Future<Output = Response<Bytes>> + Send;
}

/// The server's limits; tests make the times short.
#[derive(Debug, Clone)]
pub struct Settings {
    /// [`limits::HEADER_BYTES_MAX`].
    pub header_bytes_max: usize,
    /// [`limits::HEADERS_MAX`].
    pub headers_max: usize,
    /// [`limits::BODY_BYTES_MAX`].
    pub body_bytes_max: usize,
    /// [`limits::CONNECTIONS_MAX`].
    pub connections_max: usize,
    /// [`limits::HEADER_READ_TIMEOUT`].
    pub header_timeout: Duration,
    /// [`limits::BODY_READ_TIMEOUT`].
    pub body_timeout: Duration,
    /// [`limits::CONNECTION_IDLE_TIMEOUT`].
    pub idle_timeout: Duration,
    /// [`limits::CONNECTION_IDLE_TIMEOUT_CROWDED`].
    pub idle_timeout_crowded: Duration,
    /// [`limits::ANSWER_WRITE_TIMEOUT`].
    pub write_timeout: Duration,
    /// [`limits::TLS_HANDSHAKE_TIMEOUT`].
    pub handshake_timeout: Duration,
    /// [`limits::LINGER_TIMEOUT`].
    pub linger_timeout: Duration,
    /// [`limits::SHUTDOWN_GRACE`].
    pub shutdown_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            header_bytes_max: limits::HEADER_BYTES_MAX,
            headers_max: limits::HEADERS_MAX,
            body_bytes_max: limits::BODY_BYTES_MAX,
            connections_max: limits::CONNECTIONS_MAX,
            header_timeout: limits::HEADER_READ_TIMEOUT,
            body_timeout: limits::BODY_READ_TIMEOUT,
            idle_timeout: limits::CONNECTION_IDLE_TIMEOUT,
            idle_timeout_crowded: limits::CONNECTION_IDLE_TIMEOUT_CROWDED,
            write_timeout: limits::ANSWER_WRITE_TIMEOUT,
            handshake_timeout: limits::TLS_HANDSHAKE_TIMEOUT,
            linger_timeout: limits::LINGER_TIMEOUT,
            shutdown_grace: limits::SHUTDOWN_GRACE,
        }
    }
}
