//! Changing the directory: read, change, write under the condition that nobody else has written; again if one has.
//!
//! Two writers may work at the same time (two operators, or an operator and a function). The second one's put fails
//! with `Conflict`, it reads what the first one wrote and makes its change to that. A writer that is killed has written
//! all of its change or nothing, and the same change again is no change.

use bytes::Bytes;
use tributary_model::directory::OBJECT_KEY;
use tributary_model::limits::{OBJECT_BYTES_MAX, PUBLISH_ATTEMPTS_MAX, TOKEN_LEEWAY};
use tributary_model::{Directory, TimestampMs};
use tributary_ports::objects::Condition;
use tributary_ports::{Objects, PortError, PortErrorKind};

/// Why a change can't be made, for the operator who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Why the directory was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The change can't be made.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The object store or the key store failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// There is no directory to change.
    #[error("{OBJECT_KEY} is not there; it is written when Tributary first starts")]
    Missing,
    /// The object is no directory; it is left as it is.
    #[error("{OBJECT_KEY} is not a directory: {0}")]
    Unreadable(#[source] serde_json::Error),
}

/// Publishes the directory with `change` made to it, and answers it. `change` may be called several times, each time
/// with what is published then; if it changes nothing, nothing is written. Revocations of tokens that have ended are
/// dropped on the way.
///
/// # Errors
/// If `change` refuses, there is no directory, or the store fails; others' changes in between are met
/// `PUBLISH_ATTEMPTS_MAX` times.
pub async fn publish<C>(objects: &dyn Objects, now: TimestampMs, change: C) -> Result<Directory, ChangeError>
where
    C: Fn(&mut Directory) -> Result<(), Refused> + Send + Sync,
{
    publish_or_create(objects, now, None, change).await
}

/// As [`publish`]; if there is no directory, `first` is what the change is made to.
pub(crate) async fn publish_or_create<C>(
    objects: &dyn Objects,
    now: TimestampMs,
    first: Option<Directory>,
    change: C,
) -> Result<Directory, ChangeError>
where
    C: Fn(&mut Directory) -> Result<(), Refused> + Send + Sync,
{
    for _ in 0..PUBLISH_ATTEMPTS_MAX {
        let (published, condition) = match objects.get(OBJECT_KEY).await? {
            Some(object) => {
                let published: Directory = serde_json::from_slice(&object.bytes).map_err(ChangeError::Unreadable)?;
                (Some(published), Condition::Unchanged(object.etag))
            }
            None => (None, Condition::Absent),
        };
        let mut directory = published.clone().or_else(|| first.clone()).ok_or(ChangeError::Missing)?;
        change(&mut directory)?;
        if published.as_ref() == Some(&directory) {
            return Ok(directory);
        }
        drop_ended_revocations(&mut directory, now);
        directory.version += 1;
        match objects.put(OBJECT_KEY, encode(&directory)?, condition).await {
            Ok(_) => return Ok(directory),
            Err(error) if error.kind == PortErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    let detail = format!("{OBJECT_KEY} was changed by others {PUBLISH_ATTEMPTS_MAX} times in between");
    Err(PortError::new(PortErrorKind::Conflict, "directory.publish", detail).into())
}

fn encode(directory: &Directory) -> Result<Bytes, ChangeError> {
    let bytes = serde_json::to_vec(directory).map_err(ChangeError::Unreadable)?;
    if bytes.len() > OBJECT_BYTES_MAX {
        let detail = format!("the directory would have {} bytes; the limit is {OBJECT_BYTES_MAX}", bytes.len());
        return Err(Refused(detail).into());
    }
    Ok(bytes.into())
}

/// A token that has ended is refused as expired, revoked or not.
fn drop_ended_revocations(directory: &mut Directory, now: TimestampMs) {
    let leeway_ms = i64::try_from(TOKEN_LEEWAY.as_millis()).unwrap_or(0);
    directory.revoked.retain(|_, ends_at| ends_at.plus_ms(leeway_ms) > now);
}

#[cfg(test)]
mod tests {
    use tributary_model::TokenId;

    use super::*;
    use crate::doubles::{MemoryObjects, NOW, directory_object, read_directory};

    fn revoke(id: &'static str, ends_at: TimestampMs) -> impl Fn(&mut Directory) -> Result<(), Refused> + Send + Sync {
        move |directory| {
            directory.revoked.insert(TokenId::new(id).expect("an id"), ends_at);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_change_counts_the_version_and_no_change_writes_nothing() {
        let objects = MemoryObjects::default();
        objects.place(OBJECT_KEY, directory_object(&Directory::default()));
        let change = revoke("a", NOW.plus_ms(1));
        publish(&objects, NOW, &change).await.expect("published");
        publish(&objects, NOW, &change).await.expect("published");
        assert_eq!((read_directory(&objects).version, objects.puts()), (1, 1));
    }

    #[tokio::test]
    async fn changes_at_the_same_time_are_both_kept() {
        let objects = MemoryObjects::default();
        objects.place(OBJECT_KEY, directory_object(&Directory::default()));
        let other = Directory { version: 1, issuer: "https://by.another".to_owned(), ..Directory::default() };
        objects.meddle_before_next_put(OBJECT_KEY, directory_object(&other));
        publish(&objects, NOW, revoke("a", NOW.plus_ms(1))).await.expect("published");
        let directory = read_directory(&objects);
        assert_eq!((directory.version, directory.revoked.len()), (2, 1));
        assert_eq!(directory.issuer, "https://by.another");
    }

    #[tokio::test]
    async fn endless_conflicts_end() {
        let objects = MemoryObjects::default();
        objects.place(OBJECT_KEY, directory_object(&Directory::default()));
        objects.refuse_every_put();
        let error = publish(&objects, NOW, revoke("a", NOW.plus_ms(1))).await.expect_err("conflicts");
        assert!(matches!(error, ChangeError::Port(ref port) if port.kind == PortErrorKind::Conflict), "{error}");
        assert_eq!(objects.puts(), PUBLISH_ATTEMPTS_MAX);
    }

    #[tokio::test]
    async fn a_revocation_goes_when_its_token_has_ended() {
        let objects = MemoryObjects::default();
        objects.place(OBJECT_KEY, directory_object(&Directory::default()));
        publish(&objects, NOW, revoke("old", NOW)).await.expect("published");
        assert_eq!(read_directory(&objects).revoked.len(), 1, "within the leeway");
        let later = NOW.plus_ms(60_000);
        publish(&objects, later, revoke("new", later)).await.expect("published");
        let left: Vec<String> = read_directory(&objects).revoked.keys().map(ToString::to_string).collect();
        assert_eq!(left, ["new"]);
    }

    #[tokio::test]
    async fn an_unreadable_directory_is_left_alone() {
        let objects = MemoryObjects::default();
        objects.place(OBJECT_KEY, b"not JSON".as_slice().into());
        let error = publish(&objects, NOW, revoke("a", NOW)).await.expect_err("unreadable");
        assert!(matches!(error, ChangeError::Unreadable(_)));
        assert_eq!(objects.puts(), 0);
    }
}
