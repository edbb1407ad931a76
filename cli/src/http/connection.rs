//! One connection from its first byte to its last.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::Instant;
use tributary_access::problem_response;
use tributary_model::limits;
use tributary_model::problem::Problem;

use super::progress::{Crowd, Phase, Progress};
use super::watched::Watched;
use super::{Answer, Settings, body, respond};

/// What a server's connections share.
pub(super) struct Shared<A> {
    pub(super) answer: A,
    pub(super) settings: Settings,
    pub(super) crowd: Crowd,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All that was to be said is said; or the peer is gone.
    Done,
    /// A request's head came too slowly.
    SlowHead,
    /// Nothing came for too long, or the peer did not take its answer.
    Silent,
}

/// Serves a connection until it ends, or until `stopping` and the request under way is answered.
pub(super) async fn serve<S, A>(stream: S, shared: Arc<Shared<A>>, stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Answer,
{
    let progress = Arc::new(Progress::new());
    let requests = Arc::new(Requests { shared: Arc::clone(&shared), progress: Arc::clone(&progress) });
    let service = service_fn(move |request| answer(Arc::clone(&requests), request));
    let mut connection = http1::Builder::new()
        .max_header_size(shared.settings.header_bytes_max)
        .max_buf_size(limits::READ_BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(Watched::new(stream, Arc::clone(&progress))), service);
    let _open = stopping.clone(); // the server's stop waits until all of these are gone
    let end = drive(&mut connection, &progress, &shared, stopping).await;
    let mut stream = connection.into_parts().io.into_inner().into_inner();
    match end {
        End::Done if progress.is_read_closed() => {}
        End::Done => linger(&mut stream, &shared.settings).await,
        End::SlowHead => refuse_slow_head(&mut stream, &shared.settings).await,
        End::Silent => {}
    }
}

type Connection<S, F> = http1::Connection<TokioIo<Watched<S>>, F>;

/// Polls the connection, and a timer beside it. The timer is set again only when it fires or when a deadline comes
/// nearer, so that a request costs none.
async fn drive<S, A, F, B>(
    connection: &mut Connection<S, F>,
    progress: &Progress,
    shared: &Shared<A>,
    mut stopping: watch::Receiver<bool>,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: HttpService<Incoming, ResBody = B> + Unpin,
    F::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let deadline = || progress.deadline(&shared.settings, &shared.crowd);
    let recheck = shared.settings.idle_timeout_crowded;
    let mut timer = pin!(tokio::time::sleep(recheck.min(shared.settings.idle_timeout)));
    let mut stop = pin!(async move { stopping.wait_for(|stopping| *stopping).await.is_ok() });
    let mut stop_seen = false;
    poll_fn(|cx| {
        if !stop_seen && stop.as_mut().poll(cx).is_ready() {
            stop_seen = true;
            Pin::new(&mut *connection).graceful_shutdown();
        }
        if Pin::new(&mut *connection).poll(cx).is_ready() {
            return Poll::Ready(End::Done);
        }
        if progress.phase() == Phase::Head && deadline().is_some_and(|deadline| deadline < timer.deadline()) {
            timer.as_mut().reset(deadline().unwrap_or_else(Instant::now));
        }
        while timer.as_mut().poll(cx).is_ready() {
            match deadline() {
                Some(deadline) if deadline <= Instant::now() => return Poll::Ready(ended(progress)),
                Some(deadline) => timer.as_mut().reset(deadline.min(Instant::now() + recheck)),
                None => timer.as_mut().reset(Instant::now() + recheck),
            }
        }
        Poll::Pending
    })
    .await
}

fn ended(progress: &Progress) -> End {
    if progress.phase() == Phase::Head { End::SlowHead } else { End::Silent }
}

struct Requests<A> {
    shared: Arc<Shared<A>>,
    progress: Arc<Progress>,
}

async fn answer<A: Answer>(
    requests: Arc<Requests<A>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    requests.progress.enter_busy();
    let response = match body::read(request, &requests.shared.settings).await {
        Ok(request) => guarded(requests.shared.answer.answer(request)).await,
        Err(problem) => last_answer(&problem),
    };
    requests.progress.enter(Phase::Answering);
    Ok(response.map(Full::new))
}

/// An answer after which the connection can't go on, since the request was not read to its end.
fn last_answer(problem: &Problem) -> Response<Bytes> {
    let mut response = problem_response(problem);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A panic in one request's answer must not take the connection's other requests with it.
async fn guarded(answering: impl Future<Output = Response<Bytes>>) -> Response<Bytes> {
    let mut answering = pin!(answering);
    poll_fn(|cx: &mut Context<'_>| match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(_panic) => {
            Poll::Ready(problem_response(&Problem::internal_error("the request met a bug; the log says where")))
        }
    })
    .await
}

async fn refuse_slow_head<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, settings: &Settings) {
    let problem = Problem::request_timeout(format!(
        "the request's head did not arrive within {} ms",
        settings.header_timeout.as_millis()
    ));
    let written = tokio::time::timeout(settings.linger_timeout, stream.write_all(&respond::to_wire(&problem))).await;
    if matches!(written, Ok(Ok(()))) {
        linger(stream, settings).await;
    }
}

/// Ends our side and reads what the peer still sends, for a while: if bytes stayed unread, the system would reset the
/// connection, and the peer might lose the answer.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, settings: &Settings) {
    let closing = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut rest = stream.take(limits::LINGER_BYTES_MAX as u64);
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await; // whatever comes, the connection ends here
    };
    let _ = tokio::time::timeout(settings.linger_timeout, closing).await; // likewise
}
