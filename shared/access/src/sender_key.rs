//! Senders' keys in the directory. A revoked one stays, so that what it signed before can still be verified.

use tributary_model::directory::SenderKey;
use tributary_model::limits::SENDER_KEYS_MAX;
use tributary_model::{Directory, ProjectId, TimestampMs};
use tributary_ports::Objects;

use crate::key_file::PublicKeyFile;
use crate::project::project_mut;
use crate::publish::{ChangeError, Refused, publish};

/// Registers a key for a project; one that is registered already stays as it is.
///
/// # Errors
/// If there is no such project, the key was revoked before, the project has `SENDER_KEYS_MAX` keys (revoked ones count),
/// or the directory can't be changed.
pub async fn add_sender_key(
    objects: &dyn Objects,
    project: &ProjectId,
    key: &PublicKeyFile,
    now: TimestampMs,
) -> Result<Directory, ChangeError> {
    publish(objects, now, |directory| {
        let keys = &mut project_mut(directory, project)?.sender_keys;
        match keys.get(&key.key_id) {
            Some(SenderKey { revoked_at: Some(at), .. }) => {
                return Err(Refused(format!("the key {} was revoked at {at}; make a new one", key.key_id)));
            }
            Some(_) => return Ok(()),
            None if keys.len() >= SENDER_KEYS_MAX => {
                let detail =
                    format!("the project {project} has {} keys already; the limit is {SENDER_KEYS_MAX}", keys.len());
                return Err(Refused(detail));
            }
            None => {}
        }
        keys.insert(key.key_id.clone(), SenderKey { jwk: key.jwk.clone(), added_at: now, revoked_at: None });
        Ok(())
    })
    .await
}

/// Revokes a project's key; every function refuses it after `DIRECTORY_REFRESH`. Again, the first time stays.
///
/// # Errors
/// If the project has no such key or the directory can't be changed.
pub async fn revoke_sender_key(
    objects: &dyn Objects,
    project: &ProjectId,
    key_id: &str,
    now: TimestampMs,
) -> Result<Directory, ChangeError> {
    publish(objects, now, |directory| {
        let keys = &mut project_mut(directory, project)?.sender_keys;
        let key = keys.get_mut(key_id);
        let key = key.ok_or_else(|| Refused(format!("the project {project} has no key {key_id}")))?;
        key.revoked_at = key.revoked_at.or(Some(now));
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doubles::{NOW, SHOP, objects_with_shop, project_id, read_directory};

    fn key(id: &str) -> PublicKeyFile {
        PublicKeyFile { key_id: id.to_owned(), jwk: json!({"kid": id}) }
    }

    #[tokio::test]
    async fn a_revoked_key_stays_and_is_not_taken_again() {
        let objects = objects_with_shop();
        add_sender_key(&objects, &project_id(SHOP), &key("a"), NOW).await.expect("added");
        add_sender_key(&objects, &project_id(SHOP), &key("a"), NOW.plus_ms(1)).await.expect("the same again");
        for later in [2, 3] {
            revoke_sender_key(&objects, &project_id(SHOP), "a", NOW.plus_ms(later)).await.expect("revoked");
        }
        let key_a = read_directory(&objects).projects[&project_id(SHOP)].sender_keys["a"].clone();
        assert_eq!((key_a.added_at, key_a.revoked_at), (NOW, Some(NOW.plus_ms(2))));
        let error = add_sender_key(&objects, &project_id(SHOP), &key("a"), NOW).await.expect_err("revoked");
        assert!(error.to_string().starts_with("the key a was revoked at 2026-"), "{error}");
    }

    #[tokio::test]
    async fn keys_and_projects_that_are_not_there_are_named() {
        let objects = objects_with_shop();
        let error = revoke_sender_key(&objects, &project_id(SHOP), "b", NOW).await.expect_err("no key");
        assert_eq!(error.to_string(), "the project shop has no key b");
        let error = add_sender_key(&objects, &project_id("none"), &key("a"), NOW).await.expect_err("no project");
        assert_eq!(error.to_string(), "there is no project none");
    }

    #[tokio::test]
    async fn the_keys_of_a_project_are_bounded() {
        let objects = objects_with_shop();
        for number in 0..SENDER_KEYS_MAX {
            add_sender_key(&objects, &project_id(SHOP), &key(&number.to_string()), NOW).await.expect("added");
        }
        let error = add_sender_key(&objects, &project_id(SHOP), &key("more"), NOW).await.expect_err("too many");
        assert_eq!(error.to_string(), "the project shop has 32 keys already; the limit is 32");
    }
}
