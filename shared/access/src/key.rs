//! Public keys: reading a JSON Web Key (RFC 7517), and verifying with it.

use jsonwebtoken::DecodingKey;
use serde_json::Value;

/// The algorithms that are taken; no other has a name here, so none can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Es256,
    EdDsa,
    Rs256,
}

impl Algorithm {
    /// By the name of RFC 7518 and RFC 8037; case matters.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            "RS256" => Some(Self::Rs256),
            _ => None,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    const fn in_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
        }
    }
}

/// A public key and the one algorithm under which it verifies.
pub(crate) struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl VerifyingKey {
    /// Reads a JWK of the directory. None unless `alg` is one of the three and `kty` and `crv` fit it.
    pub(crate) fn from_jwk(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let algorithm = Algorithm::from_name(text("alg")?)?;
        let key = match (algorithm, text("kty")?, text("crv")) {
            (Algorithm::Es256, "EC", Some("P-256")) => DecodingKey::from_ec_components(text("x")?, text("y")?),
            (Algorithm::EdDsa, "OKP", Some("Ed25519")) => DecodingKey::from_ed_components(text("x")?),
            (Algorithm::Rs256, "RSA", None) => DecodingKey::from_rsa_components(text("n")?, text("e")?),
            _ => return None,
        };
        Some(Self { algorithm, key: key.ok()? })
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` (base64url) is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message, &self.key, self.algorithm.in_library()).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_whose_parts_do_not_fit_its_algorithm_is_none() {
        for jwk in [
            json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
            json!({"alg": "HS256", "kty": "oct", "k": "AA"}),
            json!({"alg": "RS256", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
            json!({"alg": "ES256", "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}),
            json!({"alg": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": "not base64url!"}),
        ] {
            assert!(VerifyingKey::from_jwk(&jwk).is_none(), "{jwk}");
        }
    }

    #[test]
    fn a_key_of_the_wrong_size_verifies_nothing() {
        let jwk = json!({"alg": "ES256", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"});
        let key = VerifyingKey::from_jwk(&jwk).expect("readable");
        assert!(!key.verifies(b"message", &"A".repeat(86)));
    }
}
