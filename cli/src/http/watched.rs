//! A connection's bytes, watched: its [`Progress`] follows what is read and written, and the answers that hyper gives of
//! its own accord (400, 414, 431, without a body) become problems like all others.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tributary_model::limits::{HEADER_BYTES_MAX, HEADERS_MAX};
use tributary_model::problem::Problem;

use super::progress::{Phase, Progress};
use super::respond;

pub(super) struct Watched<S> {
    stream: S,
    progress: Arc<Progress>,
    /// What is written in the place of hyper's own answer.
    instead: Option<Bytes>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self { stream, progress, instead: None }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() == before {
            self.progress.close_read();
        } else if self.progress.phase() == Phase::Idle {
            self.progress.enter(Phase::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() && matches!(this.progress.phase(), Phase::Idle | Phase::Head) {
            this.instead = instead_of(bytes);
        }
        let Some(instead) = &mut this.instead else {
            let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
            if this.progress.phase() == Phase::Answering {
                this.progress.enter(Phase::Answering);
            }
            return Poll::Ready(Ok(written));
        };
        while instead.has_remaining() {
            let written = ready!(Pin::new(&mut this.stream).poll_write(cx, instead))?;
            instead.advance(written);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.progress.phase() == Phase::Answering {
            self.progress.enter(Phase::Idle);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What to say in the place of an answer that hyper gives before any request reached the service.
fn instead_of(bytes: &[u8]) -> Option<Bytes> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ")?.first_chunk::<3>()?;
    let problem = match status {
        b"431" => Problem::header_fields_too_large(format!(
            "the request line and the headers have more than {HEADER_BYTES_MAX} bytes or {HEADERS_MAX} fields"
        )),
        b"414" => Problem::header_fields_too_large(format!(
            "the request line has more than {HEADER_BYTES_MAX} bytes, the limit of the whole head"
        )),
        b"400" => Problem::bad_request("the request's head is not HTTP/1.1"),
        _ => return None,
    };
    Some(respond::to_wire(&problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hypers_own_answers_get_a_body() {
        for (bytes, status) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], "HTTP/1.1 400 Bad Request\r\n"),
            (b"HTTP/1.1 431 Request Header Fields Too Large\r\n", "HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        ] {
            let instead = instead_of(bytes).expect("another answer");
            assert!(instead.starts_with(status.as_bytes()), "{instead:?}");
            assert!(instead.ends_with(b"}"), "{instead:?}");
        }
        assert_eq!(instead_of(b"HTTP/1.1 100 Continue\r\n\r\n"), None);
        assert_eq!(instead_of(b"HT"), None);
    }
}
