//! Verifying tokens.
//!
//! A token is a JWT (RFC 7519) signed by a key of the directory:
//!
//! | claim | type | checked |
//! |---|---|---|
//! | `iss` | string | must be the directory's issuer |
//! | `jti` | a `TokenId` | must not be revoked |
//! | `project` | a `ProjectId` | must be in the directory, which knows the account |
//! | `scope` | words separated by spaces (RFC 8693, 4.2) | must hold what is needed; unknown words allow nothing |
//! | `exp`, `nbf` | a number of seconds from 1970 to 9999 | if there; of any other type or range the token is refused |
//! | `aud` | - | must be absent: no token here has an audience (RFC 7519, 4.1.3) |
//!
//! Verified tokens are kept, at most `TOKEN_CACHE_MAX`, under the SHA-256 of their text, so that no token's text stays
//! in memory and none can be taken for another. Only what was verified is kept: forged tokens, unknown keys and expired
//! tokens take no place. Everything that time or the directory can change is looked at on every use.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;
use serde_json::Value;
use tributary_model::directory::{Project, Scope, Scopes};
use tributary_model::id::IdError;
use tributary_model::limits::{RETRY_AFTER, TOKEN_BYTES_MAX, TOKEN_CACHE_MAX, TOKEN_LEEWAY};
use tributary_model::problem::Problem;
use tributary_model::{AccountId, Day, Directory, ProjectId, RetentionClass, TimestampMs, TokenId};

use crate::directory::{DirectoryCache, DirectoryUnavailable};
use crate::jws::{Jws, JwsError};
use crate::key::VerifyingKey;
use crate::signed::{Signed, SignedError, verify_signed};

/// Verifies tokens against the directory.
pub struct Authority {
    directories: Arc<DirectoryCache>,
    verified: Cache<[u8; 32], Arc<Verified>>,
}

/// Who sent a request, and the directory under which they were let in.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The token's project.
    pub project: ProjectId,
    /// The account that owns it.
    pub account: AccountId,
    /// The token's id.
    pub token: TokenId,
    verified: Arc<Verified>,
    directory: Arc<Directory>,
}

impl Caller {
    /// Whether the token allows `scope`.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.verified.scopes.contains(&scope)
    }

    /// The project's entry in the directory.
    #[must_use]
    pub fn project_entry(&self) -> Option<&Project> {
        self.directory.projects.get(&self.project)
    }

    /// Whether the project takes signed reports only.
    #[must_use]
    pub fn signed_only(&self) -> bool {
        self.project_entry().is_some_and(|project| project.signed_only)
    }

    /// Verifies a report that is signed for the caller's project, as [`verify_signed`].
    ///
    /// # Errors
    /// As [`SignedError`] says.
    pub fn verify_signed(&self, jws: &str, now: TimestampMs) -> Result<Signed<'_>, SignedError> {
        let project = self.project_entry().ok_or(SignedError::UnknownKey)?;
        verify_signed(project, jws, now)
    }

    /// The retention class of an invocation of `day`.
    #[must_use]
    pub fn retention_on(&self, day: Day) -> RetentionClass {
        self.project_entry().map_or(RetentionClass::DEFAULT, |project| project.retention_on(day))
    }
}

/// What stands in a token whose signature and claims were found right under one generation of keys.
#[derive(Debug)]
struct Verified {
    generation: u64,
    project: ProjectId,
    id: TokenId,
    scopes: Scopes,
    expires_at: Option<TimestampMs>,
    not_before: Option<TimestampMs>,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No token.
    #[error("there is no token; send it as `Authorization: Bearer <token>`")]
    Missing,
    /// Something that is no valid token; the text says why.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// A token whose key is not in the directory.
    #[error("the token's key (kid) is not known here")]
    UnknownKey,
    /// A token whose time is over.
    #[error("the token expired at {0}")]
    Expired(TimestampMs),
    /// A token whose time has not come.
    #[error("the token is not valid before {0}")]
    NotYet(TimestampMs),
    /// A revoked token.
    #[error("the token was revoked")]
    Revoked,
    /// A valid token that does not allow this.
    #[error("the token does not have the scope `{}`, which this needs", need.as_str())]
    Forbidden {
        /// What is needed.
        need: Scope,
    },
    /// Nobody can be let in now.
    #[error(transparent)]
    Unavailable(#[from] DirectoryUnavailable),
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let detail = error.to_string();
        match error {
            AuthError::Missing => Self::unauthorized(detail, r#"Bearer realm="tributary""#),
            AuthError::Invalid(_)
            | AuthError::UnknownKey
            | AuthError::Expired(_)
            | AuthError::NotYet(_)
            | AuthError::Revoked => Self::unauthorized(detail, r#"Bearer realm="tributary", error="invalid_token""#),
            AuthError::Forbidden { .. } => Self::forbidden(detail),
            AuthError::Unavailable(_) => {
                Self::service_unavailable(detail, u32::try_from(RETRY_AFTER.as_secs()).unwrap_or(1))
            }
        }
    }
}

impl From<JwsError> for AuthError {
    fn from(error: JwsError) -> Self {
        Self::Invalid(format!("the token {}", error.0).into())
    }
}

const fn invalid(detail: &'static str) -> AuthError {
    AuthError::Invalid(Cow::Borrowed(detail))
}

impl Authority {
    /// An authority over the directory in `directories`.
    #[must_use]
    pub fn new(directories: Arc<DirectoryCache>) -> Self {
        Self { directories, verified: Cache::new(TOKEN_CACHE_MAX) }
    }

    /// The directory, read again before if it is due.
    ///
    /// # Errors
    /// If none was read within `DIRECTORY_STALE_MAX`.
    pub async fn directory(&self, now: TimestampMs) -> Result<Arc<Directory>, DirectoryUnavailable> {
        self.directories.keep_fresh(now).await;
        self.directories.current(now)
    }

    /// Verifies `token` and that it allows `need`. The directory is read again before if it is due, or if it does not hold
    /// the token's key and was not just read.
    ///
    /// # Errors
    /// As [`AuthError`] says; no detail repeats the token.
    pub async fn verify(&self, token: &str, need: Scope, now: TimestampMs) -> Result<Caller, AuthError> {
        self.directories.keep_fresh(now).await;
        match self.verify_held(token, need, now) {
            Err(AuthError::UnknownKey) if self.directories.ask(now).await => self.verify_held(token, need, now),
            verified => verified,
        }
    }

    /// The same by the directory that is held.
    ///
    /// # Errors
    /// As [`AuthError`] says; no detail repeats the token.
    pub fn verify_held(&self, token: &str, need: Scope, now: TimestampMs) -> Result<Caller, AuthError> {
        let (directory, generation) = self.directories.current_with_generation(now)?;
        if token.len() > TOKEN_BYTES_MAX {
            let detail = format!("the token has {} bytes; the limit is {TOKEN_BYTES_MAX}", token.len());
            return Err(AuthError::Invalid(detail.into()));
        }
        let key = hash(token);
        if let Some(verified) = self.verified.get(&key).filter(|verified| verified.generation == generation) {
            return admit(verified, directory, need, now);
        }
        let verified = Arc::new(verify_afresh(token, &directory, generation)?);
        let caller = admit(Arc::clone(&verified), directory, need, now)?;
        self.verified.insert(key, verified);
        Ok(caller)
    }
}

fn hash(token: &str) -> [u8; 32] {
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(digest(&SHA256, token.as_bytes()).as_ref()) {
        *to = *from;
    }
    key
}

/// What can change while a token stays the same: the time, revocations, the project; and what is needed of it.
fn admit(
    verified: Arc<Verified>,
    directory: Arc<Directory>,
    need: Scope,
    now: TimestampMs,
) -> Result<Caller, AuthError> {
    let leeway_ms = i64::try_from(TOKEN_LEEWAY.as_millis()).unwrap_or(0);
    if let Some(at) = verified.expires_at.filter(|at| at.plus_ms(leeway_ms) <= now) {
        return Err(AuthError::Expired(at));
    }
    if let Some(at) = verified.not_before.filter(|at| *at > now.plus_ms(leeway_ms)) {
        return Err(AuthError::NotYet(at));
    }
    if directory.revoked.contains_key(&verified.id) {
        return Err(AuthError::Revoked);
    }
    let project = directory.projects.get(&verified.project).ok_or(invalid("the token's project does not exist"))?;
    if !verified.scopes.contains(&need) {
        return Err(AuthError::Forbidden { need });
    }
    Ok(Caller {
        project: verified.project.clone(),
        account: project.account.clone(),
        token: verified.id.clone(),
        verified,
        directory,
    })
}

/// Signature and claims of a token that was not seen before. The key is looked up before anything costs more.
fn verify_afresh(token: &str, directory: &Directory, generation: u64) -> Result<Verified, AuthError> {
    let jws = Jws::parse(token, TOKEN_BYTES_MAX)?;
    let kid = jws.kid.as_deref().ok_or(invalid("the token names no key (kid)"))?;
    let entry = directory.token_keys.get(kid).ok_or(AuthError::UnknownKey)?;
    let key = VerifyingKey::from_jwk(&entry.jwk).ok_or(invalid("the token's key (kid) can't be used"))?;
    if !jws.is_signed_by(&key) {
        return Err(invalid("the token's signature is not that of its key (kid)"));
    }
    let claims =
        serde_json::from_slice(&jws.payload()?).map_err(|_| invalid("the token's claims are no JSON object"))?;
    check_claims(&claims, directory, generation)
}

type Claims = serde_json::Map<String, Value>;

fn check_claims(claims: &Claims, directory: &Directory, generation: u64) -> Result<Verified, AuthError> {
    if text(claims, "iss")? != directory.issuer {
        return Err(invalid("the token's issuer (iss) is another"));
    }
    if claims.contains_key("aud") {
        return Err(invalid("the token names an audience (aud); it was not made for this service"));
    }
    let words: Vec<&str> = text(claims, "scope")?.split(' ').collect();
    Ok(Verified {
        generation,
        project: id(claims, "project")?,
        id: id(claims, "jti")?,
        scopes: Scope::ALL.into_iter().filter(|scope| words.contains(&scope.as_str())).collect(),
        expires_at: seconds(claims, "exp")?,
        not_before: seconds(claims, "nbf")?,
    })
}

fn text<'a>(claims: &'a Claims, name: &str) -> Result<&'a str, AuthError> {
    let wrong = || AuthError::Invalid(format!("the token's claim {name} is missing or no string").into());
    claims.get(name).and_then(Value::as_str).ok_or_else(wrong)
}

fn id<T: FromStr<Err = IdError>>(claims: &Claims, name: &str) -> Result<T, AuthError> {
    let wrong = |error| AuthError::Invalid(format!("the token's claim {name} is no id: {error}").into());
    text(claims, name)?.parse().map_err(wrong)
}

/// A NumericDate (RFC 7519, 2): a number, fractions allowed, from 1970 to the end of 9999. Anything else that stands
/// there, `null` included, is an error and not an absent claim.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
fn seconds(claims: &Claims, name: &str) -> Result<Option<TimestampMs>, AuthError> {
    const LAST_SECOND: f64 = 253_402_300_799.0; // 9999-12-31T23:59:59Z
    let Some(value) = claims.get(name) else { return Ok(None) };
    let wrong = || AuthError::Invalid(format!("the token's claim {name} is not a number of seconds since 1970").into());
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST_SECOND).contains(seconds)).ok_or_else(wrong)?;
    Ok(Some(TimestampMs((seconds * 1000.0) as i64)))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::EncodingKey;
    use serde_json::json;
    use tributary_model::directory::{OBJECT_KEY, TokenKey};
    use tributary_ports::Keys as _;

    use super::*;
    use crate::doubles::{ISSUER, MemoryKeys, MemoryObjects, NOW, SHOP, objects_with_shop, project_id};
    use crate::{Refused, ensure_directory, jws, publish, rotate_key};

    const NOW_S: i64 = NOW.0 / 1000;

    struct Fixture {
        objects: Arc<MemoryObjects>,
        keys: MemoryKeys,
        directories: Arc<DirectoryCache>,
        authority: Authority,
    }

    impl Fixture {
        async fn new() -> Self {
            let (objects, keys) = (Arc::new(objects_with_shop()), MemoryKeys::new());
            let directories = DirectoryCache::new(objects.clone(), OBJECT_KEY);
            publish(&*objects, NOW, |directory| {
                ISSUER.clone_into(&mut directory.issuer);
                Ok(())
            })
            .await
            .expect("published");
            ensure_directory(&*objects, &keys, ISSUER, NOW).await.expect("published");
            directories.refresh(NOW).await.expect("read");
            Self { objects, keys, directories: Arc::clone(&directories), authority: Authority::new(directories) }
        }

        async fn change(&self, change: impl Fn(&mut Directory) + Send + Sync) {
            let change = |directory: &mut Directory| -> Result<(), Refused> {
                change(directory);
                Ok(())
            };
            publish(&*self.objects, NOW, change).await.expect("published");
            self.directories.refresh(NOW).await.expect("read");
        }

        /// A token like those issued, with members of header and claims replaced; `null` removes one.
        fn token(&self, header: &Value, claims: &Value) -> String {
            let mut own_header = json!({"alg": "ES256", "kid": self.keys.current_kid(), "typ": "JWT"});
            let mut own_claims = json!({
                "iss": ISSUER, "jti": "token-1", "project": SHOP, "scope": "ingest", "iat": NOW_S, "exp": NOW_S + 60,
            });
            replace(&mut own_header, header);
            replace(&mut own_claims, claims);
            self.keys.sign_raw(&own_header, &own_claims)
        }

        fn verify(&self, token: &str) -> Result<Caller, AuthError> {
            self.authority.verify_held(token, Scope::Ingest, NOW)
        }

        fn detail(&self, token: &str) -> String {
            self.verify(token).expect_err(token).to_string()
        }
    }

    const REMOVED: &str = "<removed>";

    fn replace(members: &mut Value, by: &Value) {
        let members = members.as_object_mut().expect("an object");
        for (name, value) in by.as_object().expect("an object") {
            if value == REMOVED {
                members.remove(name)
            } else {
                members.insert(name.clone(), value.clone())
            };
        }
    }

    #[tokio::test]
    async fn a_good_token_names_its_project_and_account() {
        let fixture = Fixture::new().await;
        let caller = fixture.verify(&fixture.token(&json!({}), &json!({}))).expect("valid");
        assert_eq!(
            (caller.project.as_str(), caller.account.as_str(), caller.token.as_str()),
            (SHOP, "acme", "token-1")
        );
        assert!(caller.allows(Scope::Ingest) && !caller.allows(Scope::Read));
        assert_eq!(caller.retention_on(NOW.day()), RetentionClass::DEFAULT);
    }

    #[tokio::test]
    async fn claims_of_a_wrong_type_or_value_are_refused() {
        let fixture = Fixture::new().await;
        let time = |name: &str| format!("the token's claim {name} is not a number of seconds since 1970");
        let mut rows = vec![
            (json!({"iss": "https://other"}), "the token's issuer (iss) is another".to_owned()),
            (json!({"iss": REMOVED}), "the token's claim iss is missing or no string".to_owned()),
            (json!({"iss": [ISSUER]}), "the token's claim iss is missing or no string".to_owned()),
            (json!({"jti": REMOVED}), "the token's claim jti is missing or no string".to_owned()),
            (
                json!({"jti": "a b"}),
                "the token's claim jti is no id: a token's id has a character that is not allowed, at byte 2"
                    .to_owned(),
            ),
            (json!({"project": 7}), "the token's claim project is missing or no string".to_owned()),
            (json!({"project": "gone"}), "the token's project does not exist".to_owned()),
            (json!({"scope": ["ingest"]}), "the token's claim scope is missing or no string".to_owned()),
            (json!({"scope": "read"}), "the token does not have the scope `ingest`, which this needs".to_owned()),
            (
                json!({"scope": "Ingest ingester"}),
                "the token does not have the scope `ingest`, which this needs".to_owned(),
            ),
            (json!({"aud": null}), "the token names an audience (aud); it was not made for this service".to_owned()),
        ];
        for name in ["exp", "nbf"] {
            for value in [
                json!("1795284121"),
                json!(null),
                json!(true),
                json!([1_795_284_121]),
                json!({}),
                json!(-1),
                json!(-0.5),
                json!(1e300),
                json!(253_402_300_800_i64),
                json!(u64::MAX),
                json!(i64::MIN),
            ] {
                rows.push((json!({ name: value }), time(name)));
            }
        }
        for (claims, reason) in rows {
            let token = fixture.token(&json!({}), &claims);
            assert_eq!(fixture.detail(&token), reason, "{claims}");
            assert_eq!(fixture.detail(&token), reason, "{claims}, again");
        }
    }

    #[tokio::test]
    async fn times_are_checked_with_a_minute_s_leeway_if_they_are_there() {
        let fixture = Fixture::new().await;
        let leeway_s = 60;
        for (claims, outcome) in [
            (json!({"exp": REMOVED}), Ok(())),
            (json!({"exp": NOW_S - leeway_s + 1}), Ok(())),
            (json!({"exp": (NOW_S - leeway_s) as f64 + 0.9}), Ok(())),
            (json!({"exp": NOW_S - leeway_s}), Err("the token expired at 2026-11-21T18:00:01.000Z")),
            (json!({"exp": 0}), Err("the token expired at 1970-01-01T00:00:00.000Z")),
            (json!({"nbf": NOW_S + leeway_s}), Ok(())),
            (json!({"nbf": NOW_S + leeway_s + 1}), Err("the token is not valid before 2026-11-21T18:02:02.000Z")),
        ] {
            let verified = fixture.verify(&fixture.token(&json!({}), &claims)).map(|_| ());
            assert_eq!(verified.map_err(|error| error.to_string()), outcome.map_err(str::to_owned), "{claims}");
        }
    }

    #[tokio::test]
    async fn a_token_expires_though_it_is_cached() {
        let fixture = Fixture::new().await;
        let token = fixture.token(&json!({}), &json!({}));
        fixture.verify(&token).expect("valid");
        let later = NOW.plus_ms(200_000);
        let error = fixture.authority.verify_held(&token, Scope::Ingest, later).expect_err("over");
        assert_eq!(error.to_string(), "the token expired at 2026-11-21T18:02:01.000Z");
    }

    #[tokio::test]
    async fn headers_that_ask_for_another_check_are_refused() {
        let fixture = Fixture::new().await;
        let algorithms = "the token has an alg other than ES256, EdDSA and RS256";
        for (header, reason) in [
            (json!({"alg": "none"}), algorithms),
            (json!({"alg": "None"}), algorithms),
            (json!({"alg": "HS256"}), algorithms),
            (json!({"alg": "ES384"}), algorithms),
            (json!({"alg": "RS256"}), "the token's signature is not that of its key (kid)"),
            (json!({"alg": "EdDSA"}), "the token's signature is not that of its key (kid)"),
            (json!({"alg": REMOVED}), "the token has a header that is not JSON with an alg"),
            (json!({"kid": REMOVED}), "the token names no key (kid)"),
            (json!({"kid": "other"}), "the token's key (kid) is not known here"),
            (json!({"crit": ["exp"]}), "the token has a header with crit or b64, which are not taken"),
        ] {
            assert_eq!(fixture.detail(&fixture.token(&header, &json!({}))), reason, "{header}");
        }
    }

    #[tokio::test]
    async fn a_public_key_is_no_shared_secret() {
        let fixture = Fixture::new().await;
        let jwk = fixture.keys.public_keys().await.expect("keys").remove(0).jwk;
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        header.kid = Some(fixture.keys.current_kid());
        let claims = json!({"iss": ISSUER, "jti": "forged", "project": SHOP, "scope": "ingest"});
        let point = format!("{}{}", jwk["x"].as_str().expect("x"), jwk["y"].as_str().expect("y"));
        for secret in [jwk.to_string().into_bytes(), URL_SAFE_NO_PAD.decode(&point).unwrap_or_default(), Vec::new()] {
            let key = EncodingKey::from_secret(&secret);
            let token = jsonwebtoken::encode(&header, &claims, &key).expect("a forged token");
            let reason = "the token has an alg other than ES256, EdDSA and RS256";
            assert_eq!(fixture.detail(&token), reason);
            let (_, rest) = token.split_once('.').expect("parts");
            let relabelled = json!({"alg": "ES256", "kid": fixture.keys.current_kid()});
            let relabelled = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(relabelled.to_string()));
            assert_eq!(fixture.detail(&relabelled), "the token's signature is not that of its key (kid)");
        }
    }

    #[tokio::test]
    async fn a_key_brought_along_or_a_signature_left_out_does_not_help() {
        let fixture = Fixture::new().await;
        let other = Fixture::new().await;
        let jwk = other.keys.public_keys().await.expect("keys").remove(0).jwk;
        let forged = other.token(&json!({"jwk": jwk, "jku": "https://evil.test/jwks.json"}), &json!({}));
        let wrong = "the token's signature is not that of its key (kid)";
        assert_eq!(fixture.detail(&forged), wrong);
        let good = fixture.token(&json!({}), &json!({}));
        let (signed, signature) = good.rsplit_once('.').expect("parts");
        for bad in [String::new(), "AAAA".to_owned(), signature.replace(|_: char| true, "A"), format!("{signature}=")] {
            assert_eq!(fixture.detail(&format!("{signed}.{bad}")), wrong, "{bad}");
        }
    }

    #[tokio::test]
    async fn what_is_not_verified_takes_no_place() {
        let fixture = Fixture::new().await;
        for number in 0..1000 {
            fixture.detail(&fixture.token(&json!({"kid": format!("unknown-{number}")}), &json!({})));
        }
        for claims in [json!({"exp": 0}), json!({"project": "gone"}), json!({"scope": ""})] {
            fixture.detail(&fixture.token(&json!({}), &claims));
        }
        assert_eq!(fixture.authority.verified.len(), 0);
        fixture.verify(&fixture.token(&json!({}), &json!({}))).expect("valid");
        assert_eq!(fixture.authority.verified.len(), 1);
        assert_eq!(fixture.authority.verified.capacity(), TOKEN_CACHE_MAX as u64);
    }

    #[tokio::test]
    async fn a_huge_token_is_refused_unread() {
        let fixture = Fixture::new().await;
        let token = fixture.token(&json!({"x": "y".repeat(4096)}), &json!({}));
        assert_eq!(fixture.detail(&token), format!("the token has {} bytes; the limit is 4096", token.len()));
    }

    #[tokio::test]
    async fn a_revocation_holds_for_a_cached_token() {
        let fixture = Fixture::new().await;
        let token = fixture.token(&json!({}), &json!({}));
        fixture.verify(&token).expect("valid");
        let id = TokenId::new("token-1").expect("an id");
        fixture
            .change(|directory| {
                directory.revoked.insert(id.clone(), NOW.plus_ms(1));
            })
            .await;
        assert_eq!(fixture.verify(&token).err(), Some(AuthError::Revoked));
    }

    #[tokio::test]
    async fn a_removed_key_or_project_ends_a_cached_token() {
        let fixture = Fixture::new().await;
        let token = fixture.token(&json!({}), &json!({}));
        fixture.verify(&token).expect("valid");
        fixture.change(|directory| directory.token_keys.clear()).await;
        assert_eq!(fixture.detail(&token), "the token's key (kid) is not known here");

        let fixture = Fixture::new().await;
        let token = fixture.token(&json!({}), &json!({}));
        fixture.verify(&token).expect("valid");
        fixture.change(|directory| directory.projects.clear()).await;
        assert_eq!(fixture.detail(&token), "the token's project does not exist");
    }

    #[tokio::test]
    async fn a_moved_project_has_its_new_account_at_once() {
        let fixture = Fixture::new().await;
        let token = fixture.token(&json!({}), &json!({}));
        fixture.verify(&token).expect("valid");
        fixture
            .change(|directory| {
                let project = directory.projects.get_mut(&project_id(SHOP)).expect("there");
                project.account = AccountId::new("buyer").expect("an account");
            })
            .await;
        assert_eq!(fixture.verify(&token).expect("valid").account.as_str(), "buyer");
    }

    #[tokio::test]
    async fn a_rotated_key_does_not_end_a_token() {
        let fixture = Fixture::new().await;
        let token = fixture.token(&json!({}), &json!({}));
        fixture.verify(&token).expect("valid");
        rotate_key(&*fixture.objects, &fixture.keys, ISSUER, NOW).await.expect("rotated");
        fixture.directories.refresh(NOW).await.expect("read");
        fixture.verify(&token).expect("valid still");
        fixture.verify(&fixture.token(&json!({}), &json!({}))).expect("valid with the new key");
    }

    #[tokio::test]
    async fn all_three_algorithms_verify() {
        let fixture = Fixture::new().await;
        let claims = json!({"iss": ISSUER, "jti": "t", "project": SHOP, "scope": "ingest", "exp": NOW_S + 60});
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let ed = Ed25519KeyPair::generate().expect("a key");
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let (n, e) = (rsa.public_key().modulus(), rsa.public_key().exponent());
        let jwks = [
            json!({"alg": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": part(ed.public_key().as_ref())}),
            json!({"alg": "RS256", "kty": "RSA", "n": part(n.big_endian_without_leading_zero()),
                "e": part(e.big_endian_without_leading_zero())}),
        ];
        for jwk in jwks {
            let alg = jwk["alg"].clone();
            let kid = alg.as_str().expect("alg").to_owned();
            let input = jws::signing_input(&json!({"alg": alg, "kid": kid}), &claims);
            let mut signature = vec![0; 256];
            if kid == "EdDSA" {
                signature = ed.sign(input.as_bytes()).as_ref().to_vec();
            } else {
                let random = SystemRandom::new();
                rsa.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature).expect("a signature");
            }
            fixture
                .change(|directory| {
                    directory.token_keys.insert(kid.clone(), TokenKey { jwk: jwk.clone(), retired_at: None });
                })
                .await;
            fixture.verify(&jws::join(&input, &signature)).expect(&kid);
        }
    }

    #[tokio::test]
    async fn nobody_is_let_in_without_a_directory() {
        let fixture = Fixture::new().await;
        let token = fixture.token(&json!({}), &json!({}));
        let late = NOW.plus_ms(86_400_001);
        let error = fixture.authority.verify_held(&token, Scope::Ingest, late).expect_err("stale");
        let problem = Problem::from(error);
        assert_eq!((problem.status, problem.retry_after_s), (503, Some(1)));
    }

    #[tokio::test]
    async fn a_new_key_is_known_at_once_where_the_directory_is_not_read_in_time() {
        let fixture = Fixture::new().await;
        rotate_key(&*fixture.objects, &fixture.keys, ISSUER, NOW).await.expect("rotated");
        let token = fixture.token(&json!({}), &json!({}));
        assert_eq!(fixture.verify(&token).err(), Some(AuthError::UnknownKey));
        fixture.authority.verify(&token, Scope::Ingest, NOW).await.expect("valid");
    }

    #[tokio::test]
    async fn a_flood_of_unknown_keys_costs_one_reading_in_a_while() {
        let fixture = Fixture::new().await;
        let before = fixture.objects.gets();
        let flood = async |now: TimestampMs| {
            for number in 0..100 {
                let token = fixture.token(&json!({"kid": format!("unknown-{number}")}), &json!({}));
                let error = fixture.authority.verify(&token, Scope::Ingest, now).await.expect_err("unknown");
                assert_eq!(error, AuthError::UnknownKey);
            }
            fixture.objects.gets() - before
        };
        assert_eq!(flood(NOW).await, 1);
        assert_eq!(flood(NOW.plus_ms(4_999)).await, 1);
        assert_eq!(flood(NOW.plus_ms(5_000)).await, 2);
        assert_eq!(flood(NOW.plus_ms(9_000)).await, 2);
        let good = fixture.token(&json!({}), &json!({}));
        fixture.authority.verify(&good, Scope::Ingest, NOW.plus_ms(9_000)).await.expect("valid all the while");
        assert_eq!(fixture.authority.verified.len(), 1);
    }

    #[tokio::test]
    async fn a_revocation_holds_within_a_minute_where_nothing_refreshes() {
        let fixture = Fixture::new().await;
        let token = fixture.token(&json!({}), &json!({}));
        fixture.authority.verify(&token, Scope::Ingest, NOW).await.expect("valid");
        let ends_at = Some(NOW.plus_ms(60_000));
        let id = TokenId::new("token-1").expect("an id");
        crate::revoke_token(&*fixture.objects, &id, ends_at, NOW).await.expect("revoked");
        fixture.authority.verify(&token, Scope::Ingest, NOW.plus_ms(59_999)).await.expect("not known yet");
        let error = fixture.authority.verify(&token, Scope::Ingest, NOW.plus_ms(60_000)).await.expect_err("revoked");
        assert_eq!(error, AuthError::Revoked);
    }
}
