//! The directory as a function holds it: read from the object store now and then, read from memory always.
//!
//! Where something runs beside the requests, it calls [`DirectoryCache::refresh`] in time. On Lambda nothing does: there a
//! request that meets a directory older than `DIRECTORY_REFRESH` reads it first, and goes on with what is held if that
//! fails or takes too long. However many requests come, and whatever keys their tokens name, the store is not asked by
//! them again within `DIRECTORY_RETRY_INTERVAL`, unless nothing is held that could serve.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tributary_model::limits::{
    DIRECTORY_READ_TIMEOUT, DIRECTORY_REFRESH, DIRECTORY_RETRY_INTERVAL, DIRECTORY_STALE_MAX,
};
use tributary_model::{Directory, TimestampMs};
use tributary_ports::objects::{Etag, Object};
use tributary_ports::{Objects, PortError};

/// The directory last read, and when. Shared by all requests; a reader gets an `Arc` and holds no lock.
pub struct DirectoryCache {
    objects: Arc<dyn Objects>,
    key: String,
    held: RwLock<Option<Held>>,
    /// When a request last asked the store.
    asked_at: Mutex<Option<TimestampMs>>,
    /// What kept the last reading from bringing anything.
    failure: Mutex<Option<String>>,
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
    #[error("the directory is not there")]
    Missing,
    /// The object is no directory.
    #[error("what lies in the directory's place is none: {0}")]
    Unreadable(#[source] serde_json::Error),
    /// The object is older than what is held. Taking it would make revoked tokens valid again.
    #[error("the directory went back from version {held} to {found}")]
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
    /// A cache of the directory that lies under `key`. It holds nothing yet.
    #[must_use]
    pub fn new(objects: Arc<dyn Objects>, key: &str) -> Arc<Self> {
        let (held, asked_at, failure) = Default::default();
        Arc::new(Self { objects, key: key.to_owned(), held, asked_at, failure })
    }

    /// Reads the directory from the object store. To be called at start and, where requests don't, every
    /// `DIRECTORY_REFRESH`.
    ///
    /// # Errors
    /// If nothing newer could be taken; what was held goes on to serve until it is too old.
    pub async fn refresh(&self, now: TimestampMs) -> Result<Refreshed, DirectoryError> {
        let refreshed = self.read(now).await;
        self.note(refreshed.as_ref().err().map(ToString::to_string));
        refreshed
    }

    /// Reads the directory if it was not for `DIRECTORY_REFRESH`.
    pub(crate) async fn keep_fresh(&self, now: TimestampMs) {
        if self.age_ms(now).is_none_or(|age_ms| age_ms >= ms(DIRECTORY_REFRESH)) {
            self.ask(now).await;
        }
    }

    /// Reads the directory, unless that was done a moment ago or takes too long. True if it is a newer one now.
    pub(crate) async fn ask(&self, now: TimestampMs) -> bool {
        if !self.may_ask(now) {
            return false;
        }
        match tokio::time::timeout(DIRECTORY_READ_TIMEOUT, self.refresh(now)).await {
            Ok(refreshed) => matches!(refreshed, Ok(Refreshed::Changed)),
            Err(_) => {
                self.note(Some("the directory was not read in time".to_owned()));
                false
            }
        }
    }

    fn may_ask(&self, now: TimestampMs) -> bool {
        let mut asked_at = self.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let since_ms = asked_at.map(|at| now.0.saturating_sub(at.0).saturating_abs());
        let may =
            since_ms.is_none_or(|since_ms| since_ms >= ms(DIRECTORY_RETRY_INTERVAL)) || self.current(now).is_err();
        if may {
            *asked_at = Some(now);
        }
        may
    }

    async fn read(&self, now: TimestampMs) -> Result<Refreshed, DirectoryError> {
        let object = self.objects.get(&self.key).await?.ok_or(DirectoryError::Missing)?;
        if self.confirm(&object.etag, now) {
            return Ok(Refreshed::Unchanged);
        }
        let directory = serde_json::from_slice(&object.bytes).map_err(DirectoryError::Unreadable)?;
        self.replace(directory, object, now)
    }

    fn note(&self, failure: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Why the last reading brought nothing, for the log and an alarm; none if it went well.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    now.0.saturating_sub(read_at.0) > ms(DIRECTORY_STALE_MAX)
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use tributary_model::directory::OBJECT_KEY;

    use super::*;
    use crate::doubles::{MemoryObjects, NOW, directory_object};

    #[tokio::test]
    async fn the_same_content_is_not_read_again_and_renews_the_age() {
        let objects = Arc::new(MemoryObjects::default());
        objects.place(OBJECT_KEY, directory_object(&Directory { version: 7, ..Directory::default() }));
        let cache = DirectoryCache::new(objects.clone(), OBJECT_KEY);
        assert_eq!(cache.current(NOW), Err(DirectoryUnavailable));
        assert_eq!(cache.refresh(NOW).await.expect("there"), Refreshed::Changed);
        let first = cache.current(NOW).expect("fresh");
        let later = NOW.plus_ms(60_000);
        assert_eq!(cache.refresh(later).await.expect("there"), Refreshed::Unchanged);
        assert!(Arc::ptr_eq(&first, &cache.current(later).expect("fresh")));
        assert_eq!(cache.age_ms(later), Some(0));
    }

    #[tokio::test]
    async fn a_stale_directory_serves_a_day_and_no_longer() {
        let objects = Arc::new(MemoryObjects::default());
        objects.place(OBJECT_KEY, directory_object(&Directory::default()));
        let cache = DirectoryCache::new(objects.clone(), OBJECT_KEY);
        cache.refresh(NOW).await.expect("there");
        objects.remove(OBJECT_KEY);
        let day_ms = 24 * 60 * 60 * 1000;
        let error = cache.refresh(NOW.plus_ms(1)).await.expect_err("gone");
        assert_eq!(error.to_string(), "the directory is not there");
        assert!(cache.current(NOW.plus_ms(day_ms)).is_ok());
        assert_eq!(cache.current(NOW.plus_ms(day_ms + 1)), Err(DirectoryUnavailable));
    }

    #[tokio::test]
    async fn a_broken_or_older_directory_is_not_taken() {
        let objects = Arc::new(MemoryObjects::default());
        objects.place(OBJECT_KEY, directory_object(&Directory { version: 7, ..Directory::default() }));
        let cache = DirectoryCache::new(objects.clone(), OBJECT_KEY);
        cache.refresh(NOW).await.expect("there");
        objects.place(OBJECT_KEY, directory_object(&Directory { version: 6, ..Directory::default() }));
        let error = cache.refresh(NOW).await.expect_err("older");
        assert_eq!(error.to_string(), "the directory went back from version 7 to 6");
        objects.place(OBJECT_KEY, b"{}".as_slice().into());
        let error = cache.refresh(NOW).await.expect_err("broken");
        assert!(error.to_string().starts_with("what lies in the directory's place is none: missing field"), "{error}");
        assert_eq!(cache.current(NOW).expect("held").version, 7);
    }

    #[tokio::test]
    async fn only_a_change_of_keys_or_issuer_begins_a_generation() {
        let objects = Arc::new(MemoryObjects::default());
        let cache = DirectoryCache::new(objects.clone(), OBJECT_KEY);
        let mut generations = Vec::new();
        for directory in [
            Directory { version: 1, ..Directory::default() },
            Directory { version: 2, ..Directory::default() },
            Directory { version: 3, issuer: "https://other".to_owned(), ..Directory::default() },
        ] {
            objects.place(OBJECT_KEY, directory_object(&directory));
            cache.refresh(NOW).await.expect("there");
            generations.push(cache.current_with_generation(NOW).expect("held").1);
        }
        assert_eq!(generations, [0, 0, 1]);
    }

    #[tokio::test]
    async fn requests_keep_it_fresh_without_asking_often() {
        let objects = Arc::new(MemoryObjects::default());
        let cache = DirectoryCache::new(objects.clone(), OBJECT_KEY);
        cache.keep_fresh(NOW).await;
        cache.keep_fresh(NOW).await;
        assert_eq!(
            (objects.gets(), cache.failure().as_deref()),
            (2, Some("the directory is not there")),
            "nothing serves"
        );
        objects.place(OBJECT_KEY, directory_object(&Directory::default()));
        let mut gets = Vec::new();
        for second in [0, 1, 59, 60, 61, 119, 120] {
            cache.keep_fresh(NOW.plus_ms(second * 1000)).await;
            gets.push(objects.gets());
        }
        assert_eq!(gets, [3, 3, 3, 4, 4, 4, 5]);
        assert_eq!(cache.failure(), None);
    }

    #[tokio::test]
    async fn a_store_that_fails_is_asked_again_after_a_pause_while_what_is_held_serves() {
        let objects = Arc::new(MemoryObjects::default());
        objects.place(OBJECT_KEY, directory_object(&Directory::default()));
        let cache = DirectoryCache::new(objects.clone(), OBJECT_KEY);
        cache.keep_fresh(NOW).await;
        objects.remove(OBJECT_KEY);
        let mut gets = Vec::new();
        for second in [60, 61, 64, 65, 69, 70] {
            let now = NOW.plus_ms(second * 1000);
            cache.keep_fresh(now).await;
            assert!(cache.current(now).is_ok());
            gets.push(objects.gets());
        }
        assert_eq!(gets, [2, 2, 2, 3, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_holds_a_request_up_for_a_bounded_time() {
        let objects = Arc::new(MemoryObjects::default());
        objects.place(OBJECT_KEY, directory_object(&Directory::default()));
        let cache = DirectoryCache::new(objects.clone(), OBJECT_KEY);
        cache.keep_fresh(NOW).await;
        objects.answer_no_more();
        let begun = tokio::time::Instant::now();
        let later = NOW.plus_ms(60_000);
        cache.keep_fresh(later).await;
        assert_eq!(begun.elapsed(), DIRECTORY_READ_TIMEOUT);
        assert_eq!(cache.failure().as_deref(), Some("the directory was not read in time"));
        assert!(cache.current(later).is_ok());
    }
}
