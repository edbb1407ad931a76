//! Reads a request whole, bounded in size and time.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tributary_model::problem::Problem;

use super::Settings;

/// Checks the head and reads the body.
///
/// # Errors
/// 431 for too many headers, 413 for a body beyond the limit (by its `Content-Length`, before anything of it is read, or
/// by what came), 408 if it does not arrive in time, 400 if it breaks off or is not framed as HTTP says.
pub(super) async fn read(request: Request<Incoming>, settings: &Settings) -> Result<Request<Bytes>, Problem> {
    check_headers(request.headers(), settings)?;
    let (head, body) = request.into_parts();
    check_size(body.size_hint().lower(), settings)?;
    let body = tokio::time::timeout(settings.body_timeout, collect(body, settings)).await.map_err(|_| {
        Problem::request_timeout(format!("the body did not arrive within {} ms", settings.body_timeout.as_millis()))
    })??;
    Ok(Request::from_parts(head, body))
}

fn check_headers(headers: &HeaderMap, settings: &Settings) -> Result<(), Problem> {
    if headers.len() <= settings.headers_max {
        return Ok(());
    }
    let detail = format!("the request has {} headers; the limit is {}", headers.len(), settings.headers_max);
    Err(Problem::header_fields_too_large(detail))
}

fn check_size(bytes: u64, settings: &Settings) -> Result<(), Problem> {
    if bytes <= settings.body_bytes_max as u64 {
        return Ok(());
    }
    let detail = format!("the body has {bytes} bytes or more; the limit is {}", settings.body_bytes_max);
    Err(Problem::content_too_large(detail))
}

/// Most bodies are one frame, which is handed on as it is.
async fn collect(mut body: Incoming, settings: &Settings) -> Result<Bytes, Problem> {
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    let Some(second) = next(&mut body).await? else { return Ok(first) };
    let mut whole = BytesMut::with_capacity(first.len() + second.len());
    whole.extend_from_slice(&first);
    let mut part = Some(second);
    while let Some(bytes) = part {
        check_size((whole.len() + bytes.len()) as u64, settings)?;
        whole.extend_from_slice(&bytes);
        part = next(&mut body).await?;
    }
    Ok(whole.freeze())
}

/// The next bytes; trailers are passed over.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Problem> {
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|_| Problem::bad_request("the body breaks off, or its chunks are not framed as HTTP/1.1 says"))?;
        if let Ok(bytes) = frame.into_data() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}
