//! One ES256 key pair.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use tributary_ports::keys::{PublicKey, Signature};
use tributary_ports::{PortError, PortErrorKind};

/// Bytes of each coordinate of a point on P-256.
const COORDINATE_BYTES: usize = 32;

/// A key pair and its id, the thumbprint of its public key (RFC 7638).
pub(super) struct Pair {
    pub(super) kid: String,
    x: String,
    y: String,
    pkcs8: Vec<u8>,
    signing: EcdsaKeyPair,
}

impl Pair {
    pub(super) fn generate(operation: &'static str) -> Result<Self, PortError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let pair = document.ok().and_then(|document| Self::from_pkcs8(document.as_ref().to_vec()));
        pair.ok_or_else(|| PortError::new(PortErrorKind::Unavailable, operation, "a key could not be made"))
    }

    pub(super) fn from_base64(pkcs8: &str) -> Option<Self> {
        Self::from_pkcs8(STANDARD.decode(pkcs8).ok()?)
    }

    fn from_pkcs8(pkcs8: Vec<u8>) -> Option<Self> {
        let signing = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).ok()?;
        // The uncompressed form: 4, then x and y (SEC 1, 2.3.3).
        let (_, point) = signing.public_key().as_ref().split_first()?;
        let (x, y) = point.split_at_checked(COORDINATE_BYTES)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        Some(Self { kid: thumbprint(&x, &y), x, y, pkcs8, signing })
    }

    pub(super) fn to_base64(&self) -> String {
        STANDARD.encode(&self.pkcs8)
    }

    pub(super) fn sign(&self, operation: &'static str, message: &[u8]) -> Result<Signature, PortError> {
        let failed = |error: Unspecified| PortError::new(PortErrorKind::Unavailable, operation, error);
        let signature = self.signing.sign(&SystemRandom::new(), message).map_err(failed)?;
        Ok(Signature { kid: self.kid.clone(), bytes: signature.as_ref().to_vec() })
    }

    pub(super) fn public(&self, current: bool) -> PublicKey {
        let Self { kid, x, y, .. } = self;
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256", "kid": kid, "use": "sig"});
        PublicKey { kid: kid.clone(), jwk, current }
    }
}

/// RFC 7638: SHA-256 over the required members, in the order of their names, without a space.
fn thumbprint(x: &str, y: &str) -> String {
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 7517, appendix A.1; its thumbprint was computed by hand with Python's `hashlib`.
    #[test]
    fn a_thumbprint_is_as_others_compute_it() {
        let x = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
        let y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
        assert_eq!(thumbprint(x, y), "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
    }

    #[test]
    fn a_pair_reads_back_and_no_other_text_does() {
        let pair = Pair::generate("test").expect("a pair");
        let text = pair.to_base64();
        assert_eq!(Pair::from_base64(&text).expect("the pair").kid, pair.kid);
        for wrong in ["", "%", "AAAA", &text[..text.len() - 8]] {
            assert!(Pair::from_base64(wrong).is_none(), "{wrong}");
        }
    }
}
