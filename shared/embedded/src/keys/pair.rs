//! One ES256 key pair.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tributary_ports::keys::{PublicKey, Signature};
use tributary_ports::{PortError, PortErrorKind};

/// A key pair and its id, the thumbprint of its public key (RFC 7638).
pub(super) struct Pair {
    pub(super) kid: String,
    public: PublicKey,
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
        let public = PublicKey::es256(signing.public_key().as_ref(), true)?;
        Some(Self { kid: public.kid.clone(), public, pkcs8, signing })
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
        PublicKey { current, ..self.public.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
