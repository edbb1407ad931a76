//! Signed reports: a report as the payload of a compact JWS, signed by a key that is registered for its project.
//!
//! The header's `alg` is EdDSA, ES256 or RS256 and must be the key's own. `kid` names the key by its id; without it every
//! key of the project with that `alg` is tried, of which there are at most `SENDER_KEYS_MAX`. Keys of other projects are
//! never tried. `crit` and `b64` are refused. The same function serves admission and the later proof that a stored
//! report is genuine, each with its own time: a key that was revoked since has still signed what it signed before.

use bytes::Bytes;
use tributary_model::TimestampMs;
use tributary_model::directory::{Project, SenderKey};
use tributary_model::limits::SIGNED_HEADER_BYTES_MAX;
use tributary_model::problem::Problem;

use crate::jws::{Jws, JwsError};
use crate::key::VerifyingKey;

/// A signed report whose signature is that of one of its project's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<'p> {
    /// The key's id.
    pub key_id: &'p str,
    /// The key, with the times at which it was registered and revoked.
    pub key: &'p SenderKey,
    /// The payload: the report's JSON.
    pub payload: Bytes,
    /// The header's JSON, which the signature covers as well.
    pub header: Bytes,
}

/// Why a signed report is not taken, or not genuine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// It is no compact JWS.
    #[error("the signed report {0}")]
    Malformed(&'static str),
    /// `kid` is no key of the project.
    #[error("the signed report names a key (kid) that is not registered for its project")]
    UnknownKey,
    /// No key of the project made the signature.
    #[error("the signed report's signature is not that of a key of its project")]
    WrongSignature,
    /// The key was revoked before.
    #[error("the signed report's key {key_id} was revoked at {at}")]
    RevokedKey {
        /// The key.
        key_id: String,
        /// When it was revoked.
        at: TimestampMs,
    },
}

impl From<JwsError> for SignedError {
    fn from(error: JwsError) -> Self {
        Self::Malformed(error.0)
    }
}

impl From<SignedError> for Problem {
    /// 400 for what can't be read; 401 for what was not signed by whom it should be.
    fn from(error: SignedError) -> Self {
        let detail = error.to_string();
        match error {
            SignedError::Malformed(_) => Self::bad_request(detail),
            SignedError::UnknownKey | SignedError::WrongSignature | SignedError::RevokedKey { .. } => {
                Self::unauthorized(detail, r#"Bearer realm="tributary""#)
            }
        }
    }
}

/// Verifies that a key of `project`, not revoked at the time `at`, signed `jws`.
///
/// # Errors
/// As [`SignedError`] says.
pub fn verify_signed<'p>(project: &'p Project, jws: &str, at: TimestampMs) -> Result<Signed<'p>, SignedError> {
    let parts = Jws::parse(jws, SIGNED_HEADER_BYTES_MAX)?;
    let (key_id, key) = match parts.kid.as_deref() {
        Some(kid) => {
            let (key_id, key) = project.sender_keys.get_key_value(kid).ok_or(SignedError::UnknownKey)?;
            signed_by(&parts, key).then_some((key_id, key))
        }
        None => project.sender_keys.iter().find(|(_, key)| signed_by(&parts, key)),
    }
    .ok_or(SignedError::WrongSignature)?;
    if let Some(revoked_at) = key.revoked_at.filter(|revoked_at| *revoked_at <= at) {
        return Err(SignedError::RevokedKey { key_id: key_id.clone(), at: revoked_at });
    }
    Ok(Signed { key_id, key, payload: parts.payload()?.into(), header: parts.header().into() })
}

fn signed_by(parts: &Jws<'_>, key: &SenderKey) -> bool {
    VerifyingKey::from_jwk(&key.jwk).is_some_and(|key| parts.is_signed_by(&key))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;
    use crate::doubles::{NOW, shop};
    use crate::{PublicKeyFile, jws};

    struct Sender {
        pair: Ed25519KeyPair,
        file: PublicKeyFile,
    }

    impl Sender {
        fn new(seed: u8) -> Self {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
            let x = URL_SAFE_NO_PAD.encode(pair.public_key());
            let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x}).to_string();
            Self { pair, file: PublicKeyFile::read(jwk.as_bytes()).expect("a public key") }
        }

        fn sign(&self, header: &Value) -> String {
            let input = jws::signing_input(header, &json!({"a": 1}));
            jws::join(&input, self.pair.sign(input.as_bytes()).as_ref())
        }

        fn key(&self) -> (String, SenderKey) {
            let key = SenderKey { jwk: self.file.jwk.clone(), added_at: NOW, revoked_at: None };
            (self.file.key_id.clone(), key)
        }
    }

    fn project_with(senders: &[&Sender]) -> Project {
        Project { sender_keys: senders.iter().map(|sender| sender.key()).collect(), ..shop() }
    }

    #[test]
    fn the_key_is_found_by_its_id_or_by_trying_the_project_s() {
        let (one, two) = (Sender::new(1), Sender::new(2));
        let project = project_with(&[&one, &two]);
        for header in [json!({"alg": "EdDSA", "kid": two.file.key_id}), json!({"alg": "EdDSA"})] {
            let jws = two.sign(&header);
            let signed = verify_signed(&project, &jws, NOW).expect("genuine");
            assert_eq!(signed.key_id, two.file.key_id);
            assert_eq!(signed.payload, r#"{"a":1}"#);
            assert_eq!(signed.header, header.to_string());
        }
    }

    /// What `examples/send_signed.py` and `.mjs` sent, with a key that `openssl` made.
    #[test]
    fn what_other_languages_signed_is_genuine() {
        let file = PublicKeyFile::read(include_bytes!("../testdata/signed/sender.pub.pem")).expect("a public key");
        let key = SenderKey { jwk: file.jwk, added_at: NOW, revoked_at: None };
        let project = Project { sender_keys: [(file.key_id.clone(), key)].into(), ..shop() };
        for jws in [include_str!("../testdata/signed/python.jws"), include_str!("../testdata/signed/javascript.jws")] {
            let signed = verify_signed(&project, jws, NOW).expect("genuine");
            assert_eq!(signed.key_id, file.key_id);
            let report: Value = serde_json::from_slice(&signed.payload).expect("JSON");
            assert_eq!(report["aws"]["functionName"], "signed-example");
        }
    }

    #[test]
    fn only_the_project_s_own_keys_count() {
        let (own, foreign) = (Sender::new(1), Sender::new(2));
        let project = project_with(&[&own]);
        let named = foreign.sign(&json!({"alg": "EdDSA", "kid": foreign.file.key_id}));
        assert_eq!(verify_signed(&project, &named, NOW), Err(SignedError::UnknownKey));
        let nameless = foreign.sign(&json!({"alg": "EdDSA"}));
        assert_eq!(verify_signed(&project, &nameless, NOW), Err(SignedError::WrongSignature));
        let pretended = foreign.sign(&json!({"alg": "EdDSA", "kid": own.file.key_id}));
        assert_eq!(verify_signed(&project, &pretended, NOW), Err(SignedError::WrongSignature));
        assert_eq!(verify_signed(&shop(), &nameless, NOW), Err(SignedError::WrongSignature));
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let sender = Sender::new(1);
        let project = project_with(&[&sender]);
        let jws = sender.sign(&json!({"alg": "EdDSA"}));
        assert!(verify_signed(&project, &jws, NOW).is_ok());
        for at in 0..jws.len() {
            let mut bytes = jws.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(verify_signed(&project, &changed, NOW).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_revoked_key_signed_what_it_signed_before() {
        let sender = Sender::new(1);
        let mut project = project_with(&[&sender]);
        let jws = sender.sign(&json!({"alg": "EdDSA"}));
        let key = project.sender_keys.get_mut(&sender.file.key_id).expect("there");
        key.revoked_at = Some(NOW);
        let error = verify_signed(&project, &jws, NOW).expect_err("revoked");
        assert_eq!(error, SignedError::RevokedKey { key_id: sender.file.key_id.clone(), at: NOW });
        let signed = verify_signed(&project, &jws, NOW.plus_ms(-1)).expect("genuine then");
        assert_eq!(signed.key.revoked_at, Some(NOW));
    }

    #[test]
    fn another_alg_than_the_key_s_is_a_wrong_signature() {
        let sender = Sender::new(1);
        let project = project_with(&[&sender]);
        for alg in ["ES256", "RS256"] {
            let jws = sender.sign(&json!({"alg": alg, "kid": sender.file.key_id}));
            assert_eq!(verify_signed(&project, &jws, NOW), Err(SignedError::WrongSignature), "{alg}");
        }
        let none = sender.sign(&json!({"alg": "none"}));
        let malformed = SignedError::Malformed("has an alg other than ES256, EdDSA and RS256");
        assert_eq!(verify_signed(&project, &none, NOW), Err(malformed));
    }

    #[test]
    fn extensions_of_the_header_are_refused() {
        let sender = Sender::new(1);
        let project = project_with(&[&sender]);
        for header in [
            json!({"alg": "EdDSA", "crit": ["b64"], "b64": false}),
            json!({"alg": "EdDSA", "b64": false}),
            json!({"alg": "EdDSA", "crit": []}),
        ] {
            let refused = verify_signed(&project, &sender.sign(&header), NOW);
            let malformed = SignedError::Malformed("has a header with crit or b64, which are not taken");
            assert_eq!(refused, Err(malformed), "{header}");
        }
    }
}
