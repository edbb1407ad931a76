//! Keys: what signs tokens, and what wraps the data keys that seal bytes ([`envelope`](crate::envelope)). A private key and
//! the key that wraps never leave the adapter.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use zeroize::Zeroizing;

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

/// What is sealed. A data key that was made for one purpose is unwrapped for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The bytes of dead letters.
    DeadLetter,
    /// Records that the stream refused.
    Overflow,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 2] = [Self::DeadLetter, Self::Overflow];

    /// As it stands in the encryption context, where anybody who may see it may read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetter => "dead-letter",
            Self::Overflow => "overflow",
        }
    }
}

/// Bytes of a data key: AES-256.
pub const DATA_KEY_BYTES: usize = 32;

/// A key that encrypts content, wiped when it is dropped.
#[derive(Clone)]
pub struct DataKey {
    /// The key.
    pub plaintext: Zeroizing<[u8; DATA_KEY_BYTES]>,
    /// The same as it may be stored: at most `WRAPPED_KEY_BYTES_MAX` bytes that the key store alone can unwrap.
    pub wrapped: Bytes,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("wrapped", &self.wrapped.len()).finish_non_exhaustive()
    }
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

    /// A data key for sealing. The same may be given out again, within the bounds that the adapter names.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn data_key(&self, purpose: Purpose) -> Result<DataKey, PortError>;

    /// The data key that was wrapped for this purpose.
    ///
    /// # Errors
    /// `Invalid` if it was wrapped for another purpose or by another key store, or was changed; otherwise bad luck.
    async fn unwrap_key(&self, purpose: Purpose, wrapped: &[u8]) -> Result<DataKey, PortError>;
}
