//! Keys for tokens in the directory. The private ones stay in the key store.

use std::collections::BTreeMap;

use tributary_model::directory::TokenKey;
use tributary_model::limits::{TOKEN_LEEWAY, TOKEN_LIFETIME_MAX};
use tributary_model::{Directory, TimestampMs};
use tributary_ports::keys::PublicKey;
use tributary_ports::{Keys, Objects};

use crate::key::VerifyingKey;
use crate::publish::{ChangeError, Refused, publish_or_create};

/// Answers the directory with the key store's current key in it; writes one if there is none. To be called at start,
/// also because it completes a rotation that was cut off between the key store and the directory.
///
/// # Errors
/// If the directory or the key store can't be read or written.
pub async fn ensure_directory(
    objects: &dyn Objects,
    keys: &dyn Keys,
    issuer: &str,
    now: TimestampMs,
) -> Result<Directory, ChangeError> {
    let public_keys = keys.public_keys().await?;
    let first = Directory {
        issuer: issuer.to_owned(),
        token_keys: public_keys.iter().map(|key| entry(key, now)).collect(),
        ..Directory::default()
    };
    publish_or_create(objects, now, Some(first), |directory| {
        take_over_current(&mut directory.token_keys, &public_keys, now)
    })
    .await
}

/// Makes a new key, which signs from now on; the one before goes on to verify until its last token has ended.
/// Functions that hold the directory know the new key after `DIRECTORY_REFRESH`.
///
/// # Errors
/// If the directory or the key store can't be read or written. If only the directory could not be written,
/// [`ensure_directory`] completes it.
pub async fn rotate_key(
    objects: &dyn Objects,
    keys: &dyn Keys,
    issuer: &str,
    now: TimestampMs,
) -> Result<PublicKey, ChangeError> {
    let key = keys.rotate().await?;
    ensure_directory(objects, keys, issuer, now).await?;
    Ok(key)
}

fn entry(key: &PublicKey, now: TimestampMs) -> (String, TokenKey) {
    let retired_at = (!key.current).then_some(now);
    (key.kid.clone(), TokenKey { jwk: key.jwk.clone(), retired_at })
}

/// Enters the current key, retires every other and drops those whose last token has ended. A key that is not current
/// and not there is not entered: it was dropped, or never signed anything.
fn take_over_current(
    token_keys: &mut BTreeMap<String, TokenKey>,
    public_keys: &[PublicKey],
    now: TimestampMs,
) -> Result<(), Refused> {
    let current =
        public_keys.iter().find(|key| key.current).ok_or(Refused("the key store has no current key".to_owned()))?;
    if VerifyingKey::from_jwk(&current.jwk).is_none() {
        return Err(Refused(format!("the key store's key {} is not ES256, EdDSA or RS256", current.kid)));
    }
    token_keys.entry(current.kid.clone()).or_insert_with(|| entry(current, now).1);
    for (kid, key) in token_keys.iter_mut() {
        key.retired_at = if *kid == current.kid { None } else { key.retired_at.or(Some(now)) };
    }
    token_keys.retain(|_, key| key.retired_at.is_none_or(|at| at.plus(TOKEN_LIFETIME_MAX + TOKEN_LEEWAY) > now));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::{ISSUER, MemoryKeys, MemoryObjects, NOW, read_directory};

    #[tokio::test]
    async fn a_first_start_writes_a_directory_and_a_second_leaves_it() {
        let (objects, keys) = (MemoryObjects::default(), MemoryKeys::new());
        let first = ensure_directory(&objects, &keys, ISSUER, NOW).await.expect("written");
        let second = ensure_directory(&objects, &keys, "https://other", NOW.plus_ms(1)).await.expect("there");
        assert_eq!(first, second);
        assert_eq!((first.version, first.issuer.as_str(), first.token_keys.len()), (1, ISSUER, 1));
        assert_eq!(objects.puts(), 1);
    }

    #[tokio::test]
    async fn a_rotated_key_stays_until_its_last_token_has_ended() {
        let (objects, keys) = (MemoryObjects::default(), MemoryKeys::new());
        let old = ensure_directory(&objects, &keys, ISSUER, NOW).await.expect("written");
        let old_kid = old.token_keys.keys().next().expect("one key").clone();
        let new = rotate_key(&objects, &keys, ISSUER, NOW).await.expect("rotated");
        let directory = read_directory(&objects);
        assert_eq!(directory.token_keys[&old_kid].retired_at, Some(NOW));
        assert_eq!(directory.token_keys[&new.kid].retired_at, None);
        let end = NOW.plus_ms(2 * 365 * 24 * 60 * 60 * 1000 + 60_000);
        ensure_directory(&objects, &keys, ISSUER, end.plus_ms(-1)).await.expect("there");
        assert_eq!(read_directory(&objects).token_keys.len(), 2);
        ensure_directory(&objects, &keys, ISSUER, end).await.expect("there");
        let left: Vec<String> = read_directory(&objects).token_keys.into_keys().collect();
        assert_eq!(left, [new.kid]);
    }

    #[tokio::test]
    async fn a_rotation_that_was_cut_off_is_completed_at_the_next_start() {
        let (objects, keys) = (MemoryObjects::default(), MemoryKeys::new());
        ensure_directory(&objects, &keys, ISSUER, NOW).await.expect("written");
        let new = keys.rotate().await.expect("rotated");
        let directory = ensure_directory(&objects, &keys, ISSUER, NOW).await.expect("there");
        assert_eq!(directory.token_keys.len(), 2);
        assert_eq!(directory.token_keys[&new.kid].retired_at, None);
    }
}
