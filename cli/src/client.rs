//! Asking a Tributary over HTTP, with a token.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tributary_model::limits::{CLIENT_ANSWER_BYTES_MAX, CLIENT_TIMEOUT};

use crate::arguments::EndpointArguments;
use crate::failure::{Context, Failure};
use crate::folder::{Folder, SavedToken};

/// Where nothing else is said.
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:8080";

/// The address that the arguments name; else that of the folder's `up`; else the default.
pub(crate) fn endpoint(folder: &Folder, arguments: &EndpointArguments) -> String {
    let of_folder = || folder.up_file().map(|up| up.http);
    arguments.endpoint.clone().or_else(of_folder).unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned())
}

/// An address, and how to speak to it.
struct Endpoint {
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

/// One who asks.
pub(crate) struct Client {
    endpoint: Endpoint,
    token: String,
}

impl Endpoint {
    /// Reads the address of [`endpoint`].
    ///
    /// # Errors
    /// If it is no address, or a certificate can't be read.
    fn find(folder: &Folder, arguments: &EndpointArguments) -> Result<Self, Failure> {
        let text = endpoint(folder, arguments);
        let wrong =
            || Failure::new(format!("{text} is no address; it has the form http://HOST:PORT or https://HOST:PORT"));
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => Some(connector(&arguments.ca.clone().unwrap_or_else(|| folder.path("ca.pem")))?),
            _ => return Err(wrong()),
        };
        let host = uri.host().ok_or_else(wrong)?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        Ok(Self { host, port, tls })
    }

    /// The address as a `Host` header has it.
    #[must_use]
    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Connects.
    ///
    /// # Errors
    /// If nobody listens there, or the certificate is not to be trusted.
    async fn connect(&self) -> Result<Box<dyn Connection>, Failure> {
        let refused = |error: std::io::Error| {
            Failure::new(format!("{}: {error}", self.authority()))
                .hint("is `tributary up` running there? see --endpoint")
        };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(refused)?;
        stream.set_nodelay(true).context("connection")?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.host.clone()).context("host name")?;
        let stream = tls.connect(name, stream).await;
        stream.map(|stream| Box::new(stream) as Box<dyn Connection>).map_err(|error| {
            Failure::new(format!("{}: {error}", self.authority())).hint("--ca FILE names the authority to trust")
        })
    }
}

/// A connection, with or without TLS.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

fn connector(ca: &PathBuf) -> Result<TlsConnector, Failure> {
    let read = |error: rustls::pki_types::pem::Error| {
        Failure::new(format!("{}: {error}", ca.display())).hint("--ca FILE names the authority to trust")
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(read)? {
        roots.add(certificate.map_err(read)?).context(ca.display())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().context("TLS")?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

/// The token that the arguments name; else that of the folder.
///
/// # Errors
/// If there is none, or it can't stand in a header.
pub(crate) fn token(folder: &Folder, saved: SavedToken, arguments: &EndpointArguments) -> Result<String, Failure> {
    let token = match &arguments.token {
        Some(token) => Some(token.trim().to_owned()),
        None => folder.saved_token(saved)?,
    };
    let none = || {
        Failure::new(format!("there is no token: {} has none", folder.root().display()))
            .hint("give one with --token or TRIBUTARY_TOKEN; `tributary token issue --scope read` makes one")
    };
    token.filter(|token| !token.is_empty()).ok_or_else(none)
}

impl Client {
    /// A client as the arguments say; without a token in them, with the folder's `saved` one.
    ///
    /// # Errors
    /// As [`Endpoint::find`] and [`token`].
    pub(crate) fn new(folder: &Folder, saved: SavedToken, arguments: &EndpointArguments) -> Result<Self, Failure> {
        Ok(Self { endpoint: Endpoint::find(folder, arguments)?, token: token(folder, saved, arguments)? })
    }

    /// What `GET path?parameters` answers.
    ///
    /// # Errors
    /// If nobody answers in time, or the answer is a problem, which the message repeats.
    pub(crate) async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, Failure> {
        self.send(Method::GET, &target(path, parameters), Bytes::new()).await
    }

    /// What `POST path` with this body answers.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.post_with(path, &[], body).await
    }

    /// What `POST path?parameters` with this body answers.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn post_with(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        body: &Value,
    ) -> Result<Value, Failure> {
        self.send(Method::POST, &target(path, parameters), body.to_string().into()).await
    }

    /// What `DELETE path?parameters` answers.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn delete(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, Failure> {
        self.send(Method::DELETE, &target(path, parameters), Bytes::new()).await
    }

    /// The items of all pages of a list.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn all(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Vec<Value>, Failure> {
        let mut items: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut asked = parameters.to_vec();
            asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &asked).await?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }

    async fn send(&self, method: Method, target: &str, body: Bytes) -> Result<Value, Failure> {
        let asked = tokio::time::timeout(CLIENT_TIMEOUT, self.ask(method, target, body)).await;
        let late = |_| Failure::new(format!("no answer within {} s", CLIENT_TIMEOUT.as_secs()));
        let (status, body) = asked.map_err(late)??;
        let answer: Value = serde_json::from_slice(&body)
            .map_err(|_| Failure::new(format!("{} answers {status}, and no JSON", self.endpoint.authority())))?;
        if status.is_success() { Ok(answer) } else { Err(problem(status, &answer)) }
    }

    async fn ask(&self, method: Method, target: &str, body: Bytes) -> Result<(StatusCode, Bytes), Failure> {
        let stream = self.endpoint.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("connection")?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.endpoint.authority())
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|_| Failure::new("the token has characters that can't stand in a header"))?;
        let response = sender.send_request(request).await.context("request")?;
        let status = response.status();
        let body = Limited::new(response.into_body(), CLIENT_ANSWER_BYTES_MAX).collect().await;
        drop(driver);
        Ok((status, body.context("answer")?.to_bytes()))
    }
}

/// A problem (RFC 9457) for people.
fn problem(status: StatusCode, answer: &Value) -> Failure {
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let failure = Failure::new(format!("{} {}: {}", status.as_u16(), text("title"), text("detail")));
    match status {
        StatusCode::UNAUTHORIZED => failure.hint("`tributary token issue --scope read` makes a token; see --token"),
        StatusCode::FORBIDDEN => failure.hint("`tributary token issue --scope ...` makes a token that allows it"),
        _ => failure,
    }
}

fn target(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut target = path.to_owned();
    for (number, (name, value)) in parameters.iter().enumerate() {
        target.push(if number == 0 { '?' } else { '&' });
        target.push_str(name);
        target.push('=');
        escape(value, &mut target);
    }
    target
}

/// Percent-encodes everything but the unreserved characters (RFC 3986, 2.3).
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(endpoint: &str) -> EndpointArguments {
        EndpointArguments { endpoint: Some(endpoint.to_owned()), token: None, ca: None }
    }

    #[test]
    fn addresses_are_read_and_others_refused() {
        let folder = Folder::new("/nowhere");
        for (text, authority) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://[::1]:1234/", "[::1]:1234"),
            ("http://collector", "collector:80"),
        ] {
            assert_eq!(Endpoint::find(&folder, &named(text)).expect(text).authority(), authority);
        }
        for text in ["127.0.0.1:8080", "ftp://a", "", "http://"] {
            assert!(Endpoint::find(&folder, &named(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn parameters_are_escaped() {
        let target = target("/v1/invocations", &[("query", "a:\"b c\"&d"), ("limit", "5")]);
        assert_eq!(target, "/v1/invocations?query=a%3A%22b%20c%22%26d&limit=5");
    }

    #[test]
    fn a_problem_reads_as_a_sentence() {
        let answer =
            serde_json::json!({"status": 400, "title": "Bad Request", "detail": "column 3: a value is missing"});
        let failure = problem(StatusCode::BAD_REQUEST, &answer);
        assert_eq!(failure.to_string(), "400 Bad Request: column 3: a value is missing");
    }
}
