//! Keys: what signs tokens, and what wraps the data keys that seal bytes ([`envelope`](crate::envelope)). A private key and
//! the key that wraps never leave the adapter.

use std::fmt;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::json;
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

impl PublicKey {
    /// The key of a point on P-256, uncompressed (SEC 1, 2.3.3); its id is its thumbprint (RFC 7638). None if `point` is not
    /// of that form.
    #[must_use]
    pub fn es256(point: &[u8], current: bool) -> Option<Self> {
        let (x, y) = point.strip_prefix(&[4])?.split_at_checked(COORDINATE_BYTES)?;
        (y.len() == COORDINATE_BYTES).then_some(())?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let kid = thumbprint(&x, &y);
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256", "kid": kid, "use": "sig"});
        Some(Self { kid, jwk, current })
    }
}

/// Bytes of each coordinate of a point on P-256.
const COORDINATE_BYTES: usize = 32;

/// RFC 7638: SHA-256 over the required members, in the order of their names, without a space.
fn thumbprint(x: &str, y: &str) -> String {
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
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
    /// `Invalid` if it was wrapped for another purpose or by another key store, or was changed; `Denied` where the store
    /// can't tell a stranger's key from one that it may not use; otherwise bad luck.
    async fn unwrap_key(&self, purpose: Purpose, wrapped: &[u8]) -> Result<DataKey, PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 7517, appendix A.1; its thumbprint was computed by hand with Python's `hashlib`.
    #[test]
    fn a_thumbprint_is_as_others_compute_it() {
        let x = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
        let y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url");
        let point = [vec![4], decode(x), decode(y)].concat();
        let key = PublicKey::es256(&point, true).expect("a key");
        assert_eq!(key.kid, "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
        assert_eq!((&key.jwk["x"], &key.jwk["y"]), (&json!(x), &json!(y)));
        for wrong in [&point[1..], &point[..64], &[point.clone(), vec![0]].concat(), &[]] {
            assert_eq!(PublicKey::es256(wrong, true), None);
        }
    }
}
