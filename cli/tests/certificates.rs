//! The data folder's certificate authority: what it signs verifies, on every name, after a restart, and nowhere else.

#![expect(clippy::expect_used, reason = "a test's own words for what went wrong")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tributary::http::tls::{Authority, names};
use tributary::http::{Answer, Listener, Server, Settings};
use tributary_model::TimestampMs;

struct Hello;

impl Answer for Hello {
    async fn answer(&self, _request: Request<Bytes>) -> Response<Bytes> {
        Response::new(Bytes::from_static(b"hello"))
    }
}

#[expect(clippy::disallowed_methods, reason = "a verifier compares certificates with the real clock")]
fn now() -> TimestampMs {
    TimestampMs::from_system(std::time::SystemTime::now())
}

fn start(folder: &Path) -> (Server, SocketAddr) {
    let authority = Authority::open(folder, now()).expect("an authority");
    let names = names(IpAddr::V4(Ipv4Addr::LOCALHOST), &["collector.test".to_owned()]);
    let config = authority.server_config(&names, now()).expect("a leaf");
    let listener = Listener::bind("127.0.0.1:0".parse().expect("an address"), Some(config)).expect("a free port");
    let address = listener.address();
    (Server::start(vec![listener], 1, Settings::default(), Hello).expect("a thread"), address)
}

fn trusting(ca: &Path, version: &'static SupportedProtocolVersion) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).expect("a certificate")).expect("a trust anchor");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn ask(address: SocketAddr, name: &str, connector: TlsConnector) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let mut stream = connector.connect(ServerName::try_from(name.to_owned()).expect("a name"), stream).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn every_name_verifies_with_both_versions_of_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, address) = start(folder.path());
    for name in ["localhost", "127.0.0.1", "::1", "metrics-api.eu-west-1.iopipe.com", "collector.test"] {
        for version in [&TLS12, &TLS13] {
            let answer = ask(address, name, trusting(&folder.path().join("ca.pem"), version)).await.expect(name);
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello"), "{answer}");
        }
    }
    let refused = ask(address, "example.com", trusting(&folder.path().join("ca.pem"), &TLS13)).await;
    assert!(refused.expect_err("another name").to_string().contains("certificate"));
}

#[tokio::test]
async fn a_restart_keeps_the_authority_and_another_folder_has_another() {
    let (folder, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let ca = folder.path().join("ca.pem");
    drop(start(folder.path()));
    let before = std::fs::read(&ca).expect("a file");
    let (_server, address) = start(folder.path());
    assert_eq!(std::fs::read(&ca).expect("a file"), before);
    ask(address, "localhost", trusting(&ca, &TLS13)).await.expect("still trusted");

    Authority::open(other.path(), now()).expect("an authority");
    let stranger = ask(address, "localhost", trusting(&other.path().join("ca.pem"), &TLS13)).await;
    assert!(stranger.expect_err("not trusted").to_string().contains("certificate"));
}

#[test]
fn the_authority_s_key_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    Authority::open(folder.path(), now()).expect("an authority");
    let key = std::fs::metadata(folder.path().join("keys/ca.key")).expect("a key");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    std::fs::remove_file(folder.path().join("ca.pem")).expect("removed");
    Authority::open(folder.path(), now()).expect("the certificate is made again with the same key");
}
