//! Stores that keep nothing and answer after a given time.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::Result;

/// Listens on any free port until the runtime ends; `answers` makes an answer of a request's path and body.
pub(crate) async fn serve(
    delay: Duration,
    answers: impl Fn(&str, &Bytes) -> Bytes + Send + Sync + 'static,
) -> Result<SocketAddr> {
    let answers = Arc::new(answers);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let _ = connection.set_nodelay(true); // without it answers are only later
            let answers = Arc::clone(&answers);
            let service = service_fn(move |request| answer(request, delay, Arc::clone(&answers)));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service),
            );
        }
    });
    Ok(address)
}

async fn answer(
    request: Request<Incoming>,
    delay: Duration,
    answers: Arc<impl Fn(&str, &Bytes) -> Bytes>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    tokio::time::sleep(delay).await;
    let mut response = Response::new(Full::new(answers(head.uri.path(), &body)));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/x-amz-json-1.1"));
    Ok(response)
}

/// PutRecords with one record.
pub(crate) fn kinesis(_path: &str, _body: &Bytes) -> Bytes {
    Bytes::from_static(
        br#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"49590338271490256608559692538361571095921575989136588898","ShardId":"shardId-000000000000"}]}"#,
    )
}
