//! A compact JWS (RFC 7515): `header.payload.signature`, each part base64url without padding.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::key::{Algorithm, VerifyingKey};

/// Why a text is no JWS, or none that is taken: a clause that goes on after "the token" or "the signed report".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JwsError(pub(crate) &'static str);

/// A compact JWS taken apart. Nothing in it is to be trusted before [`Jws::is_signed_by`].
pub(crate) struct Jws<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    /// Header and payload with the dot between them: what the signature covers.
    signed: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// The members of a header that decide anything. `jwk`, `jku`, `x5c` and their like are not among them: a sender does
/// not choose the key.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
    #[serde(default, deserialize_with = "is_there")]
    b64: bool,
}

/// Whether a member is there, whatever its value, `null` included.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl<'a> Jws<'a> {
    pub(crate) fn parse(text: &'a str, header_bytes_max: usize) -> Result<Self, JwsError> {
        const SHAPE: JwsError = JwsError("is not three parts of base64url joined by dots");
        let (signed, signature) = text.rsplit_once('.').ok_or(SHAPE)?;
        let (header, payload) = signed.split_once('.').filter(|(_, rest)| !rest.contains('.')).ok_or(SHAPE)?;
        if header.len() > header_bytes_max {
            return Err(JwsError("has too long a header"));
        }
        let json = decode(header).ok_or(JwsError("has a header that is not base64url"))?;
        let fields: Header =
            serde_json::from_slice(&json).map_err(|_| JwsError("has a header that is not JSON with an alg"))?;
        if fields.crit || fields.b64 {
            return Err(JwsError("has a header with crit or b64, which are not taken"));
        }
        let algorithm =
            Algorithm::from_name(&fields.alg).ok_or(JwsError("has an alg other than ES256, EdDSA and RS256"))?;
        Ok(Self { algorithm, kid: fields.kid, signed, header, payload, signature })
    }

    /// Whether `key` made the signature. A key of another algorithm than the header's never did.
    pub(crate) fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        key.algorithm() == self.algorithm && key.verifies(self.signed.as_bytes(), self.signature)
    }

    /// The payload's bytes.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, JwsError> {
        decode(self.payload).ok_or(JwsError("has a payload that is not base64url"))
    }

    /// The header's bytes.
    pub(crate) fn header(&self) -> Vec<u8> {
        decode(self.header).unwrap_or_default() // it was decoded once in `parse`
    }
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// `header.payload` of two JSON values: what is to be signed.
pub(crate) fn signing_input(header: &serde_json::Value, payload: &serde_json::Value) -> String {
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(payload))
}

/// The whole JWS of what was signed and its signature.
pub(crate) fn join(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_header(header: &str) -> String {
        format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn what_is_no_jws_is_refused_with_the_reason() {
        let shape = "is not three parts of base64url joined by dots";
        for (text, reason) in [
            (String::new(), shape),
            ("a".to_owned(), shape),
            ("a.b".to_owned(), shape),
            ("a.b.c.d".to_owned(), shape),
            ("a.b.c.d.e".to_owned(), shape),
            ("?.b.c".to_owned(), "has a header that is not base64url"),
            (with_header("nonsense"), "has a header that is not JSON with an alg"),
            (with_header("{}"), "has a header that is not JSON with an alg"),
            (with_header(r#"{"alg":["ES256"]}"#), "has a header that is not JSON with an alg"),
            (with_header(r#"{"alg":"ES256","alg":"none"}"#), "has a header that is not JSON with an alg"),
            (with_header(r#"{"alg":"ES256","crit":["x"]}"#), "has a header with crit or b64, which are not taken"),
            (with_header(r#"{"alg":"ES256","crit":null}"#), "has a header with crit or b64, which are not taken"),
            (with_header(r#"{"alg":"ES256","b64":false}"#), "has a header with crit or b64, which are not taken"),
            (with_header(&json!({"alg": "ES256", "x": "y".repeat(4096)}).to_string()), "has too long a header"),
        ] {
            assert_eq!(Jws::parse(&text, 4096).err(), Some(JwsError(reason)), "{text:.60}");
        }
    }

    #[test]
    fn only_three_algorithms_have_a_name() {
        for name in ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "es256", "RS512", "PS256", "ES384"]
        {
            let text = with_header(&json!({"alg": name, "kid": "k"}).to_string());
            let reason = Jws::parse(&text, 4096).err();
            assert_eq!(reason, Some(JwsError("has an alg other than ES256, EdDSA and RS256")), "{name}");
        }
        for name in ["ES256", "EdDSA", "RS256"] {
            let text = with_header(&json!({"alg": name, "kid": "k"}).to_string());
            assert_eq!(Jws::parse(&text, 4096).map(|jws| jws.kid), Ok(Some("k".to_owned())));
        }
    }
}
