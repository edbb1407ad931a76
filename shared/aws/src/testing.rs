//! A scripted HTTP server: what it is asked it keeps, what it answers a test says. For what no peer can be made to show.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request that came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    /// The operation of a service that speaks JSON: what follows the dot of `x-amz-target`.
    pub(crate) fn operation(&self) -> &str {
        let target = self.headers.get("x-amz-target").map_or("", |target| target.to_str().unwrap());
        target.rsplit('.').next().unwrap_or_default()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Status, headers and body.
    Whole(u16, Vec<(&'static str, String)>, Bytes),
    /// 200, and a body of pieces whose length is not told.
    Chunked(Vec<Bytes>),
    /// The connection is closed without one.
    Dropped,
    /// None, for as long as the connection stays open.
    Never,
}

impl Answer {
    pub(crate) fn json(body: &serde_json::Value) -> Self {
        Self::Whole(200, Vec::new(), body.to_string().into())
    }

    /// A failure as the services that speak JSON write it.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = serde_json::json!({ "__type": code, "message": "CANARY" });
        Self::Whole(status, vec![("x-amzn-errortype", code.to_owned())], body.to_string().into())
    }

    fn into_response(self) -> Option<Response<BoxBody<Bytes, Infallible>>> {
        match self {
            Self::Whole(status, headers, body) => {
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                Some(response.body(Full::new(body).boxed()).unwrap())
            }
            Self::Chunked(pieces) => Some(Response::new(Pieces(pieces.into()).boxed())),
            Self::Dropped | Self::Never => None,
        }
    }
}

/// A body that does not tell its length.
struct Pieces(VecDeque<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

/// A server on a port of the kernel's choice; ends when it is dropped.
pub(crate) struct Scripted {
    pub endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    /// Answers each request with what `script` says of it and of how many came before.
    pub(crate) async fn start(script: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (script, kept) = (Arc::new(script), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, Arc::clone(&script), Arc::clone(&kept)));
            }
        });
        Self { endpoint, asked, task }
    }

    /// What came until now.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The process's configuration, but for this server.
    pub(crate) async fn config(&self) -> SdkConfig {
        config(&self.endpoint).await
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The process's configuration, with an endpoint and credentials of a test.
pub(crate) async fn config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::from_keys("AKIDTEST", "secret-of-a-test", None);
    let builder = crate::sdk::config("eu-west-1").await.into_builder();
    builder.endpoint_url(endpoint).credentials_provider(SharedCredentialsProvider::new(credentials)).build()
}

async fn serve<S>(socket: TcpStream, script: Arc<S>, kept: Arc<Mutex<Vec<Asked>>>)
where
    S: Fn(usize, &Asked) -> Answer + Send + Sync + 'static,
{
    let answer = move |request: Request<Incoming>| {
        let (script, kept) = (Arc::clone(&script), Arc::clone(&kept));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
            let target = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
            let asked = Asked { method: head.method, target, headers: head.headers, body };
            let before = {
                let mut kept = kept.lock().unwrap();
                kept.push(asked.clone());
                kept.len() - 1
            };
            let answer = script(before, &asked);
            if matches!(answer, Answer::Never) {
                std::future::pending::<()>().await;
            }
            // Without an answer hyper closes the connection.
            answer.into_response().ok_or_else(|| io::Error::other("dropped"))
        }
    };
    // A client that goes away is a test's own affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service_fn(answer)).await;
}
