//! HTTPS for agents on this machine: a certificate authority of the data folder's own, and a leaf that it signs at every
//! start. Agents are told to trust `ca.pem`; its key stays in `keys/`, so that they go on trusting after a restart.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};
use tributary_model::limits::{CA_CERTIFICATE_DAYS, LEAF_CERTIFICATE_DAYS};
use tributary_model::{Region, TimestampMs};

use crate::files;

/// What can go wrong with the certificates.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of theirs.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A key or certificate.
    #[error("{0}: {1}; remove the file to get a new certificate authority, which agents must then be told to trust")]
    Key(PathBuf, rcgen::Error),
    /// Making the leaf.
    #[error("the server's certificate: {0}")]
    Leaf(#[from] rcgen::Error),
    /// The TLS library refuses it.
    #[error("the server's certificate: {0}")]
    Tls(#[from] rustls::Error),
}

/// The certificate authority of a data folder.
pub struct Authority {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    path: PathBuf,
}

impl Authority {
    /// Opens the authority, or makes one at the first start: `<folder>/ca.pem`, and `<folder>/keys/ca.key` with mode 0600.
    ///
    /// # Errors
    /// If a file can't be read or written, or holds no key.
    pub fn open(folder: &Path, now: TimestampMs) -> Result<Self, TlsError> {
        let (path, key_path) = (folder.join("ca.pem"), folder.join("keys").join("ca.key"));
        let key = match read(&key_path)? {
            Some(pem) => KeyPair::from_pem(&pem).map_err(|error| TlsError::Key(key_path, error))?,
            None => new_key(&key_path)?,
        };
        let certificate = match read(&path)?.and_then(|pem| from_pem(&pem)) {
            Some(certificate) => certificate,
            None => new_certificate(&path, &key, now)?,
        };
        Ok(Self { certificate, key, path })
    }

    /// The file that agents are told to trust.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A server's settings with a new leaf for `names` (host names and IP addresses).
    ///
    /// # Errors
    /// If a name can't stand in a certificate.
    pub fn server_config(&self, names: &[String], now: TimestampMs) -> Result<Arc<ServerConfig>, TlsError> {
        let key = KeyPair::generate()?;
        let params = ca_params(now);
        let leaf = leaf_params(names, now)?.signed_by(&key, &Issuer::from_params(&params, &self.key))?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The names that a leaf is made for: this machine as itself, the address that is listened on, and the collectors that
/// the published agents ask by themselves.
#[must_use]
pub fn names(bound: IpAddr, more: &[String]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1", "metrics-api.iopipe.com"].map(str::to_owned).into();
    names.extend(Region::OF_AGENTS.map(|region| format!("metrics-api.{region}.iopipe.com")));
    if !bound.is_unspecified() {
        names.push(bound.to_string());
    }
    names.extend_from_slice(more);
    names.sort();
    names.dedup();
    names
}

fn read(path: &Path) -> Result<Option<String>, TlsError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TlsError::File { path: path.to_owned(), error }),
    }
}

fn from_pem(pem: &str) -> Option<CertificateDer<'static>> {
    rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).ok()
}

fn new_key(path: &Path) -> Result<KeyPair, TlsError> {
    let key = KeyPair::generate()?;
    files::write_secret(path, key.serialize_pem().as_bytes())
        .map_err(|error| TlsError::File { path: path.to_owned(), error })?;
    Ok(key)
}

fn new_certificate(path: &Path, key: &KeyPair, now: TimestampMs) -> Result<CertificateDer<'static>, TlsError> {
    let certificate = ca_params(now).self_signed(key)?;
    files::write(path, certificate.pem().as_bytes())
        .map_err(|error| TlsError::File { path: path.to_owned(), error })?;
    Ok(certificate.der().clone())
}

fn ca_params(now: TimestampMs) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject("Tributary local certificate authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(now, CA_CERTIFICATE_DAYS);
    params
}

fn leaf_params(names: &[String], now: TimestampMs) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = subject("Tributary local server");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = validity(now, LEAF_CERTIFICATE_DAYS);
    Ok(params)
}

fn subject(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Tributary");
    name.push(DnType::CommonName, common_name);
    name
}

/// From a day ago, since clocks differ.
fn validity(now: TimestampMs, days: u32) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::from_unix_timestamp(now.0 / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    (now - Duration::DAY, now + Duration::days(i64::from(days)))
}
