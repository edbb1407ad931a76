//! S5: an https endpoint is verified, by the certificates of the system or of `SSL_CERT_FILE`; a plain one needs none.
//! Endpoint, credentials and certificates come from a process's environment, so each case is a process of its own: this
//! program, started again.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test, and it reads what it sets itself"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tributary_aws::{sdk, stream::KinesisStream};
use tributary_ports::Stream as _;

/// Set for the processes that make the call.
const CALLS: &str = "TRIBUTARY_TEST_CALLS";

#[tokio::main]
async fn main() {
    if std::env::var_os(CALLS).is_some() {
        let stream = KinesisStream::new(&sdk::config("eu-west-1").await, "reports");
        let answer = stream.shards().await;
        println!("{}", answer.map_or_else(|error| error.kind.as_str(), |_| "answered"));
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let [(trusted, server), (other, _)] =
        ["trusted.pem", "other.pem"].map(|name| certificate(&folder.path().join(name)));
    let nowhere = folder.path().join("nowhere.pem");
    let tls = serve(Some(TlsAcceptor::from(Arc::new(server)))).await;
    let plain = serve(None).await;
    for (endpoint, certificates, expected) in [
        (format!("https://localhost:{tls}"), &trusted, "answered"),
        (format!("https://localhost:{tls}"), &other, "unavailable"),
        (format!("https://127.0.0.1:{tls}"), &trusted, "unavailable"),
        (format!("http://localhost:{plain}"), &nowhere, "answered"),
    ] {
        let found = call(&endpoint, certificates).await;
        assert_eq!(found, expected, "{endpoint} with {}", certificates.display());
    }
    println!("4 endpoints are verified as they should be");
}

/// Makes a certificate for `localhost`, written to `path`, and a server's settings with it.
fn certificate(path: &Path) -> (std::path::PathBuf, ServerConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(path, made.cert.pem()).expect("a file");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let server = server.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key.into());
    (path.to_owned(), server.expect("a server's settings"))
}

/// What a process of its own says of a call.
async fn call(endpoint: &str, certificates: &Path) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env_clear().env(CALLS, "1").env("AWS_ENDPOINT_URL_KINESIS", endpoint).env("SSL_CERT_FILE", certificates);
    command.env("AWS_ACCESS_KEY_ID", "AKIDTEST").env("AWS_SECRET_ACCESS_KEY", "a-secret-of-a-test");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("a process");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Answers every request with an empty list of shards; its port.
async fn serve(tls: Option<TlsAcceptor>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let Some(tls) = tls else { return answer(socket).await };
                // A client that does not trust the certificate goes away.
                if let Ok(socket) = tls.accept(socket).await {
                    answer(socket).await;
                }
            });
        }
    });
    port
}

async fn answer(socket: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(async |_: Request<Incoming>| {
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(b"{\"Shards\":[]}"))))
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}
