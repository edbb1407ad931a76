//! What stands before an HTTP function on AWS: takes real requests, makes the events of them that a load balancer or a
//! Function URL makes, and real responses of the answers. An answer that AWS would not take is a 502.

mod event;
mod response;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::runtime_api::{Answer, Function};

/// Which front it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An Application Load Balancer.
    Alb,
    /// The same with `lambda.multi_value_headers.enabled`.
    AlbMultiValue,
    /// A Function URL.
    FunctionUrl,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Alb, Self::AlbMultiValue, Self::FunctionUrl];

    /// Bytes of body that it takes.
    const fn body_bytes_max(self) -> usize {
        match self {
            Self::Alb | Self::AlbMultiValue => 1024 * 1024,
            Self::FunctionUrl => 6 * 1024 * 1024,
        }
    }
}

/// A running front. Dropped, it takes no further connection.
pub struct Front {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Front {
    /// Listens on any free port of 127.0.0.1.
    ///
    /// # Panics
    /// If there is none.
    pub async fn start(function: Arc<Function>, form: Form) -> Self {
        Self::listen(function, form, 0, None).await
    }

    /// Listens on a port of 127.0.0.1 for HTTPS, as load balancers do.
    ///
    /// # Panics
    /// If the port is taken, or not to be had by who runs this.
    pub async fn start_tls(function: Arc<Function>, form: Form, port: u16, tls: Arc<ServerConfig>) -> Self {
        Self::listen(function, form, port, Some(TlsAcceptor::from(tls))).await
    }

    async fn listen(function: Arc<Function>, form: Form, port: u16, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.unwrap_or_else(|error| panic!("port {port}: {error}"));
        let address = listener.local_addr().expect("a bound address");
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (function, tls) = (Arc::clone(&function), tls.clone());
                tokio::spawn(async move {
                    let Some(tls) = tls else { return serve(connection, function, form).await };
                    // A sender that does not trust the front goes away.
                    if let Ok(connection) = tls.accept(connection).await {
                        serve(connection, function, form).await;
                    }
                });
            }
        });
        Self { address, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(connection: impl AsyncRead + AsyncWrite + Unpin, function: Arc<Function>, form: Form) {
    let service = service_fn(move |request| forward(request, Arc::clone(&function), form));
    // A sender that goes away is not a failure of the front.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
}

async fn forward(
    request: Request<Incoming>,
    function: Arc<Function>,
    form: Form,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Ok(failed(StatusCode::BAD_REQUEST));
    };
    if body.len() > form.body_bytes_max() {
        return Ok(failed(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let event = event::of(form, &head, &body);
    Ok(match function.invoke(event.to_string()).await {
        Answer::Response(answer) => response::of(form, &answer).unwrap_or_else(|| failed(StatusCode::BAD_GATEWAY)),
        Answer::Error(_) => failed(StatusCode::BAD_GATEWAY),
    })
}

fn failed(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}
