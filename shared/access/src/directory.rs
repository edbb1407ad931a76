//! The directory as a function holds it: read from the object store now and then, read from memory always.

use std::sync::{Arc, PoisonError, RwLock};

use tributary_model::directory::OBJECT_KEY;
use tributary_model::limits::DIRECTORY_STALE_MAX;
use tributary_model::{Directory, TimestampMs};
use tributary_ports::objects::{Etag, Object};
use tributary_ports::{Objects, PortError};

/// The directory last read, and when. Shared by all requests; a reader gets an `Arc` and holds no lock.
#[derive(Debug, Default)]
pub struct DirectoryCache {
    held: RwLock<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    directory: Arc<Directory>,
    /// Counts the changes of issuer and token keys: what was verified under one generation is not known to hold in another.
    generation: u64,
    etag: Etag,
    read_at: TimestampMs,
}

/// What a refresh found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// The content that was held already.
    Unchanged,
    /// A newer one, which is held now.
    Changed,
}

/// Why a refresh brought nothing; what was held goes on to serve. To be raised as an alarm.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The object store could not be asked.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The object is not there.
    #[error("{OBJECT_KEY} is not there")]
    Missing,
    /// The object is no directory.
    #[error("{OBJECT_KEY} is not a directory: {0}")]
    Unreadable(#[source] serde_json::Error),
    /// The object is older than what is held. Taking it would make revoked tokens valid again.
    #[error("{OBJECT_KEY} went back from version {held} to {found}")]
    WentBack {
        /// The version that is held.
        held: u64,
        /// The version that was found.
        found: u64,
    },
}

/// No directory was ever read, or the one that is held is older than `DIRECTORY_STALE_MAX`: nobody can be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the directory of projects and keys can't be read")]
pub struct DirectoryUnavailable;

impl DirectoryCache {
    /// A cache that holds nothing yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Reads the directory from the object store. To be called at start and every `DIRECTORY_REFRESH`.
    ///
    /// # Errors
    /// If nothing newer could be taken; what was held goes on to serve until it is too old.
    pub async fn refresh(&self, objects: &dyn Objects, now: TimestampMs) -> Result<Refreshed, DirectoryError> {
        let object = objects.get(OBJECT_KEY).await?.ok_or(DirectoryError::Missing)?;
        if self.confirm(&object.etag, now) {
            return Ok(Refreshed::Unchanged);
        }
        let directory = serde_json::from_slice(&object.bytes).map_err(DirectoryError::Unreadable)?;
        self.replace(directory, object, now)
    }

    /// The directory.
    ///
    /// # Errors
    /// If none was read within `DIRECTORY_STALE_MAX`.
    pub fn current(&self, now: TimestampMs) -> Result<Arc<Directory>, DirectoryUnavailable> {
        self.current_with_generation(now).map(|(directory, _)| directory)
    }

    /// How old the directory is, milliseconds: what an alarm looks at. None if there is none.
    #[must_use]
    pub fn age_ms(&self, now: TimestampMs) -> Option<i64> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|held| now.0.saturating_sub(held.read_at.0))
    }

    pub(crate) fn current_with_generation(
        &self,
        now: TimestampMs,
    ) -> Result<(Arc<Directory>, u64), DirectoryUnavailable> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_ref().filter(|held| !is_stale(held.read_at, now)).ok_or(DirectoryUnavailable)?;
        Ok((Arc::clone(&held.directory), held.generation))
    }

    /// Notes that what is held was still the store's content at `now`. False if the content is another.
    fn confirm(&self, etag: &Etag, now: TimestampMs) -> bool {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut().filter(|held| held.etag == *etag) {
            Some(held) => {
                held.read_at = held.read_at.max(now);
                true
            }
            None => false,
        }
    }

    fn replace(&self, directory: Directory, object: Object, now: TimestampMs) -> Result<Refreshed, DirectoryError> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let generation = match held.as_ref() {
            None => 0,
            Some(old) if directory.version < old.directory.version => {
                return Err(DirectoryError::WentBack { held: old.directory.version, found: directory.version });
            }
            Some(old) => old.generation + u64::from(verifies_differently(&old.directory, &directory)),
        };
        *held = Some(Held { directory: Arc::new(directory), generation, etag: object.etag, read_at: now });
        Ok(Refreshed::Changed)
    }
}

fn verifies_differently(old: &Directory, new: &Directory) -> bool {
    old.issuer != new.issuer || old.token_keys != new.token_keys
}

fn is_stale(read_at: TimestampMs, now: TimestampMs) -> bool {
    u128::try_from(now.0.saturating_sub(read_at.0)).is_ok_and(|age_ms| age_ms > DIRECTORY_STALE_MAX.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::{MemoryObjects, NOW, directory_object};

    #[tokio::test]
    async fn the_same_content_is_not_read_again_and_renews_the_age() {
        let objects = MemoryObjects::default();
        objects.place(OBJECT_KEY, directory_object(&Directory { version: 7, ..Directory::default() }));
        let cache = DirectoryCache::new();
        assert_eq!(cache.current(NOW), Err(DirectoryUnavailable));
        assert_eq!(cache.refresh(&objects, NOW).await.expect("there"), Refreshed::Changed);
        let first = cache.current(NOW).expect("fresh");
        let later = NOW.plus_ms(60_000);
        assert_eq!(cache.refresh(&objects, later).await.expect("there"), Refreshed::Unchanged);
        assert!(Arc::ptr_eq(&first, &cache.current(later).expect("fresh")));
        assert_eq!(cache.age_ms(later), Some(0));
    }

    #[tokio::test]
    async fn a_stale_directory_serves_a_day_and_no_longer() {
        let objects = MemoryObjects::default();
        objects.place(OBJECT_KEY, directory_object(&Directory::default()));
        let cache = DirectoryCache::new();
        cache.refresh(&objects, NOW).await.expect("there");
        objects.remove(OBJECT_KEY);
        let day_ms = 24 * 60 * 60 * 1000;
        let error = cache.refresh(&objects, NOW.plus_ms(1)).await.expect_err("gone");
        assert_eq!(error.to_string(), "directory.json is not there");
        assert!(cache.current(NOW.plus_ms(day_ms)).is_ok());
        assert_eq!(cache.current(NOW.plus_ms(day_ms + 1)), Err(DirectoryUnavailable));
    }

    #[tokio::test]
    async fn a_broken_or_older_directory_is_not_taken() {
        let objects = MemoryObjects::default();
        objects.place(OBJECT_KEY, directory_object(&Directory { version: 7, ..Directory::default() }));
        let cache = DirectoryCache::new();
        cache.refresh(&objects, NOW).await.expect("there");
        objects.place(OBJECT_KEY, directory_object(&Directory { version: 6, ..Directory::default() }));
        let error = cache.refresh(&objects, NOW).await.expect_err("older");
        assert_eq!(error.to_string(), "directory.json went back from version 7 to 6");
        objects.place(OBJECT_KEY, b"{}".as_slice().into());
        let error = cache.refresh(&objects, NOW).await.expect_err("broken");
        assert!(error.to_string().starts_with("directory.json is not a directory: missing field"), "{error}");
        assert_eq!(cache.current(NOW).expect("held").version, 7);
    }

    #[tokio::test]
    async fn only_a_change_of_keys_or_issuer_begins_a_generation() {
        let objects = MemoryObjects::default();
        let cache = DirectoryCache::new();
        let mut generations = Vec::new();
        for directory in [
            Directory { version: 1, ..Directory::default() },
            Directory { version: 2, ..Directory::default() },
            Directory { version: 3, issuer: "https://other".to_owned(), ..Directory::default() },
        ] {
            objects.place(OBJECT_KEY, directory_object(&directory));
            cache.refresh(&objects, NOW).await.expect("there");
            generations.push(cache.current_with_generation(NOW).expect("held").1);
        }
        assert_eq!(generations, [0, 0, 1]);
    }
}
