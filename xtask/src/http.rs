//! One GET over plain HTTP/1.1 on loopback, for asking the local Tributary as an engineer's own program would.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Context, Failure};

/// Longest wait for any part of an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer that is read, bytes.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// GETs `path` (with its query string) from `address` (`http://host:port`) with the bearer token and returns the JSON that
/// a 200 carries. Fails on any other status, quoting the body.
pub(crate) fn get(address: &str, path: &str, token: &str) -> Result<Value, Failure> {
    let doing = format!("GET {address}{path}");
    let authority = address
        .strip_prefix("http://")
        .map(|rest| rest.trim_end_matches('/'))
        .ok_or_else(|| Failure::new(format!("{doing}: not an http address")))?;
    let mut stream = TcpStream::connect(authority).context(&doing)?;
    stream.set_read_timeout(Some(TIMEOUT)).context(&doing)?;
    stream.set_write_timeout(Some(TIMEOUT)).context(&doing)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).context(&doing)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).context(&doing)?;
    let (status, body) = split(&answer).context(&doing)?;
    if status != 200 {
        return Err(Failure::new(format!("{doing}: {status}: {}", String::from_utf8_lossy(&body))));
    }
    serde_json::from_slice(&body).context(&doing)
}

/// Status and body of a whole answer, whose body ends by Content-Length, by its last chunk or with the connection.
fn split(answer: &[u8]) -> Result<(u16, Vec<u8>), Failure> {
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or_else(|| Failure::new("the answer ends within its headers"))?;
    let (head, rest) = answer.split_at(end);
    let body = rest.get(4..).unwrap_or_default();
    let head = std::str::from_utf8(head).context("the answer's headers")?.to_ascii_lowercase();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| Failure::new("the answer has no status"))?;
    let header = |name: &str| {
        head.lines().find_map(|line| line.split_once(':').filter(|(key, _)| *key == name).map(|(_, v)| v.trim()))
    };
    if header("transfer-encoding") == Some("chunked") {
        return Ok((status, unchunk(body)?));
    }
    if let Some(length) = header("content-length") {
        let length: usize = length.parse().context("the answer's Content-Length")?;
        let body = body.get(..length).ok_or_else(|| Failure::new("the answer's body is cut short"))?;
        return Ok((status, body.to_vec()));
    }
    Ok((status, body.to_vec()))
}

fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>, Failure> {
    let cut = || Failure::new("a chunk of the answer is cut short");
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").ok_or_else(cut)?;
        let (size, after) = rest.split_at(end);
        let size = String::from_utf8_lossy(size);
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).context("a chunk's size")?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(after.get(2..2 + size).ok_or_else(cut)?);
        rest = after.get(2 + size + 2..).ok_or_else(cut)?;
    }
}

/// `text` as a value within a query string: everything but unreserved characters (RFC 3986) as %XX.
pub(crate) fn escape(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_both_framings_are_read() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}ignored";
        assert_eq!(split(plain).unwrap(), (200, b"{}".to_vec()));
        let chunked =
            b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        assert_eq!(split(chunked).unwrap(), (404, b"abcde".to_vec()));
        let open = b"HTTP/1.1 200 OK\r\n\r\nall of it";
        assert_eq!(split(open).unwrap(), (200, b"all of it".to_vec()));
    }

    #[test]
    fn cut_answers_are_errors() {
        for answer in [
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            "nonsense\r\n\r\n",
        ] {
            assert!(split(answer.as_bytes()).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn a_query_is_escaped() {
        assert_eq!(escape("label:\"größe\" a&b"), "label%3A%22gr%C3%B6%C3%9Fe%22%20a%26b");
    }
}
