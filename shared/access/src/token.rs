//! Issuing, finding and revoking tokens.

use std::time::Duration;

use aws_lc_rs::rand;
use bytes::Bytes;
use serde_json::json;
use tributary_model::directory::{Scope, Scopes};
use tributary_model::limits::{PAGE_ITEMS_MAX, TOKEN_LIFETIME_MAX};
use tributary_model::{Directory, ProjectId, TimestampMs, TokenId};
use tributary_ports::ledger::TokenRow;
use tributary_ports::objects::Condition;
use tributary_ports::{Keys, Ledger, Objects, PortError, PortErrorKind};

use crate::jws;
use crate::publish::{ChangeError, Refused, publish};

/// The token that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The project it is to belong to.
    pub project: ProjectId,
    /// What it is to allow.
    pub scopes: Scopes,
    /// For how long, from one second to `TOKEN_LIFETIME_MAX`.
    pub lifetime: Duration,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// It can't be issued as asked for.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The key store or the ledger failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// What the object keys of tokens' rows begin with.
const PREFIX: &str = "tokens/";

/// Issues a token. Its row is an object, and in the ledger, before it is signed: no token is unknown to `token list`, and
/// none is forgotten with a ledger ([`restore_tokens`]).
///
/// # Errors
/// If the project is not in `directory`, no scope is asked for, the lifetime is out of range, the current key is not
/// published, or a store fails.
pub async fn issue_token(
    keys: &dyn Keys,
    objects: &dyn Objects,
    ledger: &dyn Ledger,
    directory: &Directory,
    request: &TokenRequest,
    now: TimestampMs,
) -> Result<String, IssueError> {
    check(request, directory)?;
    let public_keys = keys.public_keys().await?;
    let published = |kid: &str| directory.token_keys.get(kid).is_some_and(|key| key.retired_at.is_none());
    let key = public_keys.iter().find(|key| key.current && published(&key.kid));
    let key = key.ok_or_else(|| Refused("the current key is not in the directory yet; start again".to_owned()))?;

    let lifetime_s = i64::try_from(request.lifetime.as_secs()).unwrap_or(i64::MAX);
    let issued_s = now.0.div_euclid(1000);
    let expires_s = issued_s.saturating_add(lifetime_s);
    let row = TokenRow {
        id: random_id()?,
        project: request.project.clone(),
        scopes: request.scopes.clone(),
        kid: key.kid.clone(),
        issued_at: now,
        expires_at: TimestampMs(expires_s.saturating_mul(1000)),
    };
    let words: Vec<&str> = request.scopes.iter().map(|scope| scope.as_str()).collect();
    let header = json!({"alg": key.jwk.get("alg"), "kid": key.kid, "typ": "JWT"});
    let claims = json!({
        "iss": directory.issuer, "jti": row.id, "project": row.project, "scope": words.join(" "),
        "iat": issued_s, "exp": expires_s,
    });
    objects.put(&object_key(&row.id), encode(&row)?, Condition::Always).await?;
    ledger.insert_token(row).await?;
    let signing_input = jws::signing_input(&header, &claims);
    let signature = keys.sign(&key.kid, signing_input.as_bytes()).await?;
    Ok(jws::join(&signing_input, &signature.bytes))
}

/// An issued token's id is of lower-case letters and digits, as keys are.
fn object_key(id: &TokenId) -> String {
    format!("{PREFIX}{id}.json")
}

fn encode(row: &TokenRow) -> Result<Bytes, PortError> {
    let failed = |error| PortError::new(PortErrorKind::Invalid, "token.encode", error);
    serde_json::to_vec(row).map(Bytes::from).map_err(failed)
}

/// Writes the rows of all issued tokens into a ledger that has lost them, and answers how many there are. Rows that are
/// there are left as they are. Which tokens are revoked is not in them: the directory says so.
///
/// # Errors
/// If a store fails, or an object is no token's row.
pub async fn restore_tokens(objects: &dyn Objects, ledger: &dyn Ledger) -> Result<usize, PortError> {
    let mut restored = 0;
    let mut after: Option<String> = None;
    loop {
        let keys = objects.list(PREFIX, after.as_deref(), PAGE_ITEMS_MAX).await?;
        for key in &keys {
            let Some(object) = objects.get(key).await? else { continue };
            let failed = |error| PortError::new(PortErrorKind::Invalid, "token.restore", format!("{key}: {error}"));
            ledger.insert_token(serde_json::from_slice(&object.bytes).map_err(failed)?).await?;
            restored += 1;
        }
        match keys.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => return Ok(restored),
        }
    }
}

fn check(request: &TokenRequest, directory: &Directory) -> Result<(), Refused> {
    if !directory.projects.contains_key(&request.project) {
        return Err(Refused(format!("there is no project {}", request.project)));
    }
    if request.scopes.is_empty() {
        let names = Scope::ALL.map(Scope::as_str).join(", ");
        return Err(Refused(format!("a token needs at least one scope of {names}")));
    }
    if !(Duration::from_secs(1)..=TOKEN_LIFETIME_MAX).contains(&request.lifetime) {
        let days = TOKEN_LIFETIME_MAX.as_secs() / (24 * 60 * 60);
        return Err(Refused(format!("a token is valid for one second to {days} days")));
    }
    Ok(())
}

/// 128 random bits in hexadecimal.
fn random_id() -> Result<TokenId, PortError> {
    let mut bits = [0; 16];
    let failed = |error: &str| PortError::new(PortErrorKind::Unavailable, "random", error);
    rand::fill(&mut bits).map_err(|_| failed("the system gives no random bytes"))?;
    TokenId::new(&format!("{:032x}", u128::from_be_bytes(bits))).map_err(|error| failed(&error.to_string()))
}

/// Revokes a token; every function refuses it after `DIRECTORY_REFRESH`. `ends_at` is its end if the ledger knows it
/// ([`Ledger::token`]), after which the entry can go; without it the entry stays for good.
///
/// # Errors
/// If the directory can't be changed.
pub async fn revoke_token(
    objects: &dyn Objects,
    id: &TokenId,
    ends_at: Option<TimestampMs>,
    now: TimestampMs,
) -> Result<Directory, ChangeError> {
    const NEVER: TimestampMs = TimestampMs(253_402_300_799_999); // 9999-12-31T23:59:59.999Z
    publish(objects, now, |directory| {
        directory.revoked.insert(id.clone(), ends_at.unwrap_or(NEVER));
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tributary_model::directory::OBJECT_KEY;

    use super::*;
    use crate::doubles::{ISSUER, MemoryKeys, NOW, SHOP, TokenLedger, objects_with_shop, project_id, read_directory};
    use crate::token_key::{ensure_directory, rotate_key};
    use crate::{Authority, DirectoryCache};

    fn request(scopes: &[Scope]) -> TokenRequest {
        let scopes = scopes.iter().copied().collect();
        TokenRequest { project: project_id(SHOP), scopes, lifetime: Duration::from_secs(3600) }
    }

    #[tokio::test]
    async fn an_issued_token_is_verified_listed_and_revoked() {
        let (objects, keys, ledger) = (Arc::new(objects_with_shop()), MemoryKeys::new(), TokenLedger::default());
        let directory = ensure_directory(&*objects, &keys, ISSUER, NOW).await.expect("a directory");
        let asked = request(&[Scope::Ingest, Scope::Read]);
        let token = issue_token(&keys, &*objects, &ledger, &directory, &asked, NOW).await.expect("a token");
        let cache = DirectoryCache::new(objects.clone(), OBJECT_KEY);
        cache.refresh(NOW).await.expect("a directory");
        let authority = Authority::new(cache.clone());
        let caller = authority.verify_held(&token, Scope::Read, NOW).expect("valid");
        assert!(caller.allows(Scope::Ingest) && !caller.allows(Scope::Operate));

        let row = ledger.token(&caller.token).await.expect("asked").expect("listed");
        assert_eq!((row.issued_at, &row.kid, &row.scopes), (NOW, &keys.current_kid(), &asked.scopes));
        assert_eq!(row.expires_at, TimestampMs(1_795_284_061_000 + 3_600_000), "whole seconds, as in the token");
        revoke_token(&*objects, &row.id, Some(row.expires_at), NOW).await.expect("revoked");
        assert!(authority.verify_held(&token, Scope::Read, NOW).is_ok(), "not refreshed yet");
        cache.refresh(NOW).await.expect("a directory");
        assert_eq!(authority.verify_held(&token, Scope::Read, NOW).err(), Some(crate::AuthError::Revoked));
    }

    #[tokio::test]
    async fn a_token_of_a_retired_key_stays_valid() {
        let (objects, keys, ledger) = (Arc::new(objects_with_shop()), MemoryKeys::new(), TokenLedger::default());
        let directory = ensure_directory(&*objects, &keys, ISSUER, NOW).await.expect("a directory");
        let token =
            issue_token(&keys, &*objects, &ledger, &directory, &request(&[Scope::Ingest]), NOW).await.expect("a token");
        rotate_key(&*objects, &keys, ISSUER, NOW).await.expect("rotated");
        let cache = DirectoryCache::new(objects.clone(), OBJECT_KEY);
        cache.refresh(NOW).await.expect("a directory");
        assert!(Authority::new(cache).verify_held(&token, Scope::Ingest, NOW).is_ok());

        let error =
            issue_token(&keys, &*objects, &ledger, &directory, &request(&[Scope::Ingest]), NOW).await.expect_err("old");
        assert_eq!(error.to_string(), "the current key is not in the directory yet; start again");
    }

    #[tokio::test]
    async fn what_can_t_be_issued_says_why() {
        let (objects, keys, ledger) = (Arc::new(objects_with_shop()), MemoryKeys::new(), TokenLedger::default());
        let directory = ensure_directory(&*objects, &keys, ISSUER, NOW).await.expect("a directory");
        let lifetime = |seconds| TokenRequest { lifetime: Duration::from_secs(seconds), ..request(&[Scope::Read]) };
        for (asked, reason) in [
            (TokenRequest { project: project_id("none"), ..request(&[Scope::Read]) }, "there is no project none"),
            (request(&[]), "a token needs at least one scope of ingest, read, operate"),
            (lifetime(0), "a token is valid for one second to 730 days"),
            (lifetime(730 * 86_400 + 1), "a token is valid for one second to 730 days"),
        ] {
            let error = issue_token(&keys, &*objects, &ledger, &directory, &asked, NOW).await.expect_err(reason);
            assert_eq!(error.to_string(), reason);
        }
    }

    #[tokio::test]
    async fn no_token_is_issued_that_the_ledger_does_not_know() {
        let (objects, keys) = (Arc::new(objects_with_shop()), MemoryKeys::new());
        let ledger = TokenLedger { fails: true, ..TokenLedger::default() };
        let directory = ensure_directory(&*objects, &keys, ISSUER, NOW).await.expect("a directory");
        let issued = issue_token(&keys, &*objects, &ledger, &directory, &request(&[Scope::Read]), NOW).await;
        assert!(matches!(issued, Err(IssueError::Port(_))));
    }

    #[tokio::test]
    async fn a_lost_ledger_gets_its_tokens_back_and_the_revoked_stay_revoked() {
        let (objects, keys, lost) = (Arc::new(objects_with_shop()), MemoryKeys::new(), TokenLedger::default());
        let directory = ensure_directory(&*objects, &keys, ISSUER, NOW).await.expect("a directory");
        let mut tokens = Vec::new();
        for _ in 0..2 {
            let issued = issue_token(&keys, &*objects, &lost, &directory, &request(&[Scope::Read]), NOW).await;
            tokens.push(issued.expect("a token"));
        }
        let cache = DirectoryCache::new(objects.clone(), OBJECT_KEY);
        cache.refresh(NOW).await.expect("a directory");
        let authority = Authority::new(cache.clone());
        let callers: Vec<_> =
            tokens.iter().map(|token| authority.verify_held(token, Scope::Read, NOW).expect("valid").token).collect();
        revoke_token(&*objects, &callers[0], None, NOW).await.expect("revoked");

        let ledger = TokenLedger::default();
        cache.refresh(NOW).await.expect("a directory");
        let verify = |token: &str| authority.verify_held(token, Scope::Read, NOW).err();
        assert_eq!(verify(&tokens[0]), Some(crate::AuthError::Revoked), "no ledger is asked");
        for _ in 0..2 {
            assert_eq!(restore_tokens(&*objects, &ledger).await.expect("restored"), 2);
        }
        for id in &callers {
            assert_eq!(ledger.token(id).await.expect("asked"), lost.token(id).await.expect("asked"));
        }
        assert_eq!((verify(&tokens[0]), verify(&tokens[1])), (Some(crate::AuthError::Revoked), None));
    }

    #[tokio::test]
    async fn a_revocation_without_an_end_stays_for_good() {
        let objects = objects_with_shop();
        let id = TokenId::new("unknown").expect("an id");
        revoke_token(&objects, &id, None, NOW).await.expect("revoked");
        let late = NOW.plus_ms(100 * 365 * 24 * 60 * 60 * 1000);
        revoke_token(&objects, &TokenId::new("other").expect("an id"), None, late).await.expect("revoked");
        assert!(read_directory(&objects).revoked.contains_key(&id));
    }
}
