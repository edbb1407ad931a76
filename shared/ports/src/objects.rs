//! Objects: bytes under a key, written whole or not at all.

use async_trait::async_trait;
use bytes::Bytes;
use tributary_model::limits::{OBJECT_BYTES_MAX, OBJECT_KEY_BYTES_MAX};

use crate::{PortError, PortErrorKind};

/// Names one content of one object; changes whenever the content does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Etag(pub Box<str>);

/// An object's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The content.
    pub bytes: Bytes,
    /// Its name, for a conditional put.
    pub etag: Etag,
}

/// When a put takes effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    Always,
    /// If there is no object under the key.
    Absent,
    /// If the object under the key still has this content.
    Unchanged(Etag),
}

/// Whether `key` may name an object: parts of lower-case ASCII letters, digits, `-`, `_` and `.`, joined by `/`, in all at
/// most `OBJECT_KEY_BYTES_MAX` bytes; no part is empty or begins with a dot. (Lower-case, because some file systems take
/// `A` for `a`.)
#[must_use]
pub fn is_key(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(allowed);
    key.len() <= OBJECT_KEY_BYTES_MAX && key.split('/').all(is_part)
}

/// Refuses what is no key ([`is_key`]), in the words of every adapter.
///
/// # Errors
/// `Invalid` for it.
pub fn check_key(operation: &'static str, key: &str) -> Result<(), PortError> {
    if is_key(key) {
        return Ok(());
    }
    let detail = format!(
        "an object's key has 1 to {OBJECT_KEY_BYTES_MAX} bytes, lower-case letters, digits, '-', '_' and '.' in parts \
         joined by '/', no part empty or beginning with a dot; this one has {} bytes",
        key.len()
    );
    Err(PortError::new(PortErrorKind::Invalid, operation, detail))
}

/// Refuses an object of more bytes than `OBJECT_BYTES_MAX`.
///
/// # Errors
/// `Invalid` for it.
pub fn check_size(operation: &'static str, key: &str, size: usize) -> Result<(), PortError> {
    if size <= OBJECT_BYTES_MAX {
        return Ok(());
    }
    let detail = format!("the object {key} has {size} bytes; at most {OBJECT_BYTES_MAX} are allowed");
    Err(PortError::new(PortErrorKind::Invalid, operation, detail))
}

/// The object store. What a key looks like, [`is_key`] says.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Writes an object; durable when it returns. A reader sees the old content or the new, never a part.
    ///
    /// # Errors
    /// `Conflict` if the condition does not hold, `Invalid` for a key that is none or more bytes than `OBJECT_BYTES_MAX`;
    /// otherwise bad luck.
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<Etag, PortError>;

    /// Reads an object of at most `OBJECT_BYTES_MAX` bytes.
    ///
    /// # Errors
    /// `Invalid` for a larger one or a key that is none; otherwise bad luck. A missing object is no error.
    async fn get(&self, key: &str) -> Result<Option<Object>, PortError>;

    /// Keys that begin with `prefix` (any text; an empty one for all), in byte order, beginning behind the key `after`, at
    /// most `limit`.
    ///
    /// # Errors
    /// Bad luck of any kind.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, PortError>;

    /// Deletes an object; one that is not there is deleted already.
    ///
    /// # Errors
    /// `Invalid` for a key that is none; otherwise bad luck.
    async fn delete(&self, key: &str) -> Result<(), PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_parts_joined_by_slashes() {
        for key in ["a", "directory.json", "dead-letters/20261121-abc_1.bin", &"k".repeat(OBJECT_KEY_BYTES_MAX)] {
            assert!(is_key(key), "{key}");
        }
    }

    #[test]
    fn what_could_leave_the_store_or_collide_is_no_key() {
        let long = "k".repeat(OBJECT_KEY_BYTES_MAX + 1);
        for key in [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", ".hidden", "a/.b", "A", "a b", "a\\b", "a\0",
            "ä", &long,
        ] {
            assert!(!is_key(key), "{key:?}");
        }
    }
}
