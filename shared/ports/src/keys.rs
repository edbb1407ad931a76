//! Keys: what signs tokens. A private key never leaves the adapter.

use async_trait::async_trait;

use crate::PortError;

/// A signature, and the key that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key's id, which goes into the token's header.
    pub kid: String,
    /// ES256: r and s, 32 bytes each (RFC 7518, 3.4).
    pub bytes: Vec<u8>,
}

/// A public key that verifies what [`Keys::sign`] signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The key's id.
    pub kid: String,
    /// The key as a JSON Web Key with `alg`, `kid` and `use`.
    pub jwk: serde_json::Value,
    /// Whether [`Keys::sign`] signs with it now.
    pub current: bool,
}

/// The key store. Tokens are signed with ES256.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Signs `message` with the key `kid`.
    ///
    /// # Errors
    /// `NotFound` if there is no such key; otherwise bad luck.
    async fn sign(&self, kid: &str, message: &[u8]) -> Result<Signature, PortError>;

    /// All public keys whose tokens may still be valid, the current one first.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError>;

    /// Makes a new key, which becomes the current one; the ones before go on to verify.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn rotate(&self) -> Result<PublicKey, PortError>;
}
