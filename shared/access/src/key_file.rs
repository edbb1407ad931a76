//! A sender's public key as people hand it over: a PEM file or a JSON Web Key.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, ThumbprintHash};
use serde_json::{Value, json};
use tributary_model::limits::{PUBLIC_KEY_BYTES_MAX, RSA_BITS_MAX, RSA_BITS_MIN};

use crate::key::Algorithm;

/// A public key that was read from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKeyFile {
    /// The key's thumbprint (RFC 7638, SHA-256, base64url): what a signed report names as `kid`.
    pub key_id: String,
    /// The key as a JSON Web Key with `alg`, `kid` and `use`, and nothing else that stood in the file.
    pub jwk: Value,
}

/// Why a file is no public key that can be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyFileError(String);

fn refuse<T>(detail: impl Into<String>) -> Result<T, KeyFileError> {
    Err(KeyFileError(detail.into()))
}

impl PublicKeyFile {
    /// Reads a PEM file (`PUBLIC KEY`, or `RSA PUBLIC KEY`) or a JWK.
    ///
    /// # Errors
    /// If the file is longer than `PUBLIC_KEY_BYTES_MAX`, holds a private or secret key, or a key that is not Ed25519,
    /// P-256 or RSA of 2048 to 8192 bits.
    pub fn read(file: &[u8]) -> Result<Self, KeyFileError> {
        if file.len() > PUBLIC_KEY_BYTES_MAX {
            return refuse(format!("the key file has {} bytes; the limit is {PUBLIC_KEY_BYTES_MAX}", file.len()));
        }
        let Ok(text) = std::str::from_utf8(file) else {
            return refuse("the key file is not text; a PEM file or a JSON Web Key is needed");
        };
        let text = text.trim();
        let jwk = if text.starts_with('{') { from_json(text)? } else { from_pem(text)? };
        Self::check(&jwk)
    }

    /// Checks the key itself and writes it down in one form.
    fn check(jwk: &Jwk) -> Result<Self, KeyFileError> {
        let (algorithm, mut canonical) = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                let point = bytes(&key.x)?;
                if ParsedPublicKey::new(&ED25519, point).is_err() {
                    return refuse("the Ed25519 key is not 32 bytes");
                }
                (Algorithm::EdDsa, json!({"kty": "OKP", "crv": "Ed25519", "x": key.x}))
            }
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                let point = [vec![4], bytes(&key.x)?, bytes(&key.y)?].concat();
                if ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).is_err() {
                    return refuse("the P-256 key is no point of the curve");
                }
                (Algorithm::Es256, json!({"kty": "EC", "crv": "P-256", "x": key.x, "y": key.y}))
            }
            AlgorithmParameters::RSA(key) => {
                check_rsa(&bytes(&key.n)?, &bytes(&key.e)?)?;
                (Algorithm::Rs256, json!({"kty": "RSA", "n": key.n, "e": key.e}))
            }
            _ => return refuse(KINDS),
        };
        if let Some(named) = jwk.common.key_algorithm.filter(|named| named.to_string() != algorithm.name()) {
            return refuse(format!("the key's alg is {named}; a key of its kind is used with {}", algorithm.name()));
        }
        let key_id = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|error| KeyFileError(error.to_string()))?;
        if let Some(members) = canonical.as_object_mut() {
            members.insert("alg".to_owned(), algorithm.name().into());
            members.insert("kid".to_owned(), key_id.clone().into());
            members.insert("use".to_owned(), "sig".into());
        }
        Ok(Self { key_id, jwk: canonical })
    }
}

const KINDS: &str = "the key is of a kind that is not taken; Ed25519, P-256 or RSA (2048 bits and more) is needed";
const PRIVATE: &str = "the file holds a PRIVATE key, which must never leave its sender: nothing was registered. Take the \
    public one: `openssl pkey -in private.pem -pubout -out public.pem`";

fn bytes(part: &str) -> Result<Vec<u8>, KeyFileError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| KeyFileError("a part of the key is not base64url".to_owned()))
}

fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), KeyFileError> {
    let zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = (modulus.len() * 8).saturating_sub(zeros);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return refuse(format!("the RSA key has {bits} bits; {RSA_BITS_MIN} to {RSA_BITS_MAX} are needed"));
    }
    if modulus.first() == Some(&0) || modulus.last().is_none_or(|byte| byte % 2 == 0) {
        return refuse("the RSA key's modulus is not an odd number without leading zeros");
    }
    // 3 and up, odd, and small, as every library makes it; 1 would verify anything.
    let odd = exponent.last().is_some_and(|byte| byte % 2 == 1);
    if !odd || exponent.len() > 4 || exponent == [1] || exponent.first() == Some(&0) {
        return refuse("the RSA key's exponent is not an odd number from 3 to 4,294,967,295");
    }
    Ok(())
}

/// Whatever a private or secret JSON Web Key holds (RFC 7518, 6.2.2, 6.3.2, 6.4.1).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fn from_json(text: &str) -> Result<Jwk, KeyFileError> {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return refuse("the key file begins as JSON and is none");
    };
    if PRIVATE_MEMBERS.iter().any(|member| value.get(member).is_some()) {
        return refuse(PRIVATE);
    }
    if value.get("keys").is_some() {
        return refuse("the file is a set of keys; a file with one JSON Web Key is needed");
    }
    if value.get("use").is_some_and(|usage| usage != "sig") {
        return refuse("the key's use is not sig");
    }
    serde_json::from_value(value).or_else(|_| refuse(KINDS))
}

fn from_pem(text: &str) -> Result<Jwk, KeyFileError> {
    if text.contains("PRIVATE KEY") {
        return refuse(PRIVATE);
    }
    if !text.contains("-----BEGIN PUBLIC KEY-----") && !text.contains("-----BEGIN RSA PUBLIC KEY-----") {
        return refuse("the file is neither a PEM file with a PUBLIC KEY nor a JSON Web Key");
    }
    let pem = text.as_bytes();
    let key = DecodingKey::from_ed_pem(pem)
        .or_else(|_| DecodingKey::from_ec_pem(pem))
        .or_else(|_| DecodingKey::from_rsa_pem(pem));
    key.and_then(|key| Jwk::from_decoding_key(&key, None)).or_else(|_| refuse(KINDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

    fn detail(file: &str) -> String {
        PublicKeyFile::read(file.as_bytes()).expect_err(file).to_string()
    }

    #[test]
    fn a_key_has_one_id_and_one_form_however_it_is_handed_over() {
        // The key and the thumbprint of RFC 8037, appendix A.2 and A.3.
        let from_pem = PublicKeyFile::read(ED25519_PEM.as_bytes()).expect("a key");
        assert_eq!(from_pem.key_id, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let jwk =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"mine","ext":1}"#;
        assert_eq!(PublicKeyFile::read(jwk.as_bytes()).expect("a key"), from_pem);
        assert_eq!(from_pem.jwk["alg"], "EdDSA");
        assert_eq!(from_pem.jwk.get("ext"), None);
    }

    #[test]
    fn every_kind_that_openssl_makes_is_read_or_refused() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/keys/");
        for (file, outcome) in [
            ("ed25519.pem", Ok("EdDSA")),
            ("p256.pem", Ok("ES256")),
            ("p256.jwk", Ok("ES256")),
            ("rsa2048.pem", Ok("RS256")),
            ("rsa2048-pkcs1.pem", Ok("RS256")),
            ("rsa1024.pem", Err("the RSA key has 1024 bits; 2048 to 8192 are needed")),
            ("p384.pem", Err(KINDS)),
            ("ed448.pem", Err(KINDS)),
            ("x25519.pem", Err(KINDS)),
        ] {
            let bytes = std::fs::read(format!("{folder}{file}")).expect(file);
            let read = PublicKeyFile::read(&bytes).map_err(|error| error.to_string());
            let algorithm = read.as_ref().map(|key| key.jwk["alg"].as_str().expect("alg")).map_err(String::as_str);
            assert_eq!(algorithm, outcome, "{file}");
        }
    }

    #[test]
    fn a_private_key_is_refused_loudly() {
        for file in [
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----",
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne"}"#,
            r#"{"kty":"oct","k":"AAAA"}"#,
        ] {
            assert!(detail(file).starts_with("the file holds a PRIVATE key"), "{file}");
        }
    }

    #[test]
    fn what_is_no_key_says_what_is_needed() {
        for (file, expected) in [
            ("", "the file is neither a PEM file with a PUBLIC KEY nor a JSON Web Key"),
            ("ssh-ed25519 AAAAC3Nz me", "the file is neither a PEM file with a PUBLIC KEY nor a JSON Web Key"),
            ("{", "the key file begins as JSON and is none"),
            ("{}", KINDS),
            (r#"{"keys":[]}"#, "the file is a set of keys; a file with one JSON Web Key is needed"),
            (r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#, "the Ed25519 key is not 32 bytes"),
            (r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA","use":"enc"}"#, "the key's use is not sig"),
            (r#"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}"#, "the P-256 key is no point of the curve"),
            (r#"{"kty":"RSA","n":"AQAB","e":"AQ"}"#, "the RSA key has 17 bits; 2048 to 8192 are needed"),
        ] {
            assert_eq!(detail(file), expected, "{file}");
        }
        let modulus = URL_SAFE_NO_PAD.encode([0xff; 256]);
        for exponent in ["AQ", "Ag", "", "AAMD", "AQAAAAE"] {
            let file = json!({"kty": "RSA", "n": modulus, "e": exponent}).to_string();
            assert!(detail(&file).starts_with("the RSA key's exponent"), "{exponent}");
        }
        let named = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","alg":"ES256"}"#;
        assert_eq!(detail(named), "the key's alg is ES256; a key of its kind is used with EdDSA");
        let long = " ".repeat(PUBLIC_KEY_BYTES_MAX + 1);
        assert_eq!(detail(&long), "the key file has 16385 bytes; the limit is 16384");
    }
}
