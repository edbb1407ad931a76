//! A problem on a connection that hyper does not, or no longer, serve.

use bytes::Bytes;
use tributary_model::problem::{self, Problem};

/// The problem as the last answer on its connection.
pub(super) fn to_wire(problem: &Problem) -> Bytes {
    let body = problem.to_json();
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        problem.status,
        problem.title,
        problem::CONTENT_TYPE,
        body.len()
    );
    [head.into_bytes(), body].concat().into()
}
