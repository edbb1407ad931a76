//! Where reports go.

use std::net::SocketAddr;

use http::Uri;
use tributary_model::limits::TOKEN_BYTES_MAX;

use super::LoadError;

/// A collector's address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    host: String,
    port: u16,
    path: String,
}

impl Endpoint {
    /// Reads `http://HOST[:PORT][/PATH]`.
    ///
    /// # Errors
    /// If it is no such URL.
    pub(super) fn parse(url: &str) -> Result<Self, LoadError> {
        let refused = |problem| LoadError::Endpoint { url: url.to_owned(), problem };
        let uri: Uri = url.parse().map_err(|_| refused("is not a URL; it has the form http://HOST:PORT"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(refused("is https; load speaks plain http, to measure the collector, not TLS"));
            }
            _ => return Err(refused("does not begin with http://")),
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| refused("names no host"))?;
        let path = format!("{}/v0/event", uri.path().trim_end_matches('/'));
        Ok(Self { host: host.to_owned(), port: uri.port_u16().unwrap_or(80), path })
    }

    /// The addresses that the host's name stands for.
    ///
    /// # Errors
    /// If it stands for none.
    pub(super) async fn resolve(&self) -> Result<Vec<SocketAddr>, LoadError> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let unknown = |source| LoadError::UnknownHost { host: host.to_owned(), source };
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, self.port)).await.map_err(unknown)?.collect();
        if addresses.is_empty() { Err(unknown(std::io::ErrorKind::NotFound.into())) } else { Ok(addresses) }
    }

    /// The head of every request, up to `Content-Length`.
    ///
    /// # Errors
    /// If the token can't stand in a header.
    pub(super) fn head(&self, token: &str) -> Result<String, LoadError> {
        let Self { host, port, path } = self;
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(LoadError::Token);
        }
        Ok(format!(
            "POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_and_a_path_may_be_given() {
        for (url, host, port, path) in [
            ("http://localhost", "localhost", 80, "/v0/event"),
            ("http://127.0.0.1:8080/", "127.0.0.1", 8080, "/v0/event"),
            ("http://[::1]:8080/base/", "[::1]", 8080, "/base/v0/event"),
        ] {
            let wanted = Endpoint { host: host.to_owned(), port, path: path.to_owned() };
            assert_eq!(Endpoint::parse(url).expect(url), wanted);
        }
    }

    #[test]
    fn what_is_no_endpoint_says_so() {
        for (url, problem) in [
            ("", "\"\" is not a URL; it has the form http://HOST:PORT"),
            ("localhost:8080", "\"localhost:8080\" does not begin with http://"),
            ("https://x", "\"https://x\" is https; load speaks plain http, to measure the collector, not TLS"),
        ] {
            assert_eq!(Endpoint::parse(url).expect_err(url).to_string(), format!("the endpoint {problem}"));
        }
    }

    #[test]
    fn a_token_that_would_break_the_head_is_refused_and_not_shown() {
        let endpoint = Endpoint::parse("http://x").expect("a URL");
        for token in ["", "a b", "a\r\nX: y", "ü"] {
            let error = endpoint.head(token).expect_err(token).to_string();
            assert!(token.is_empty() || !error.contains(token), "{error}");
        }
    }
}
