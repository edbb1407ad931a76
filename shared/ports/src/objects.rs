//! Objects: bytes under a key, written whole or not at all.

use async_trait::async_trait;
use bytes::Bytes;

use crate::PortError;

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

/// The object store. A key has 1 to 512 bytes: parts of ASCII letters, digits, `-`, `_`, `.`, joined by `/`; no part is
/// empty or begins with a dot.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Writes an object; durable when it returns. A reader sees the old content or the new, never a part.
    ///
    /// # Errors
    /// `Conflict` if the condition does not hold, `Invalid` for a key that is none; otherwise bad luck.
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<Etag, PortError>;

    /// Reads an object of at most `OBJECT_BYTES_MAX` bytes.
    ///
    /// # Errors
    /// `Invalid` for a larger one or a key that is none; otherwise bad luck. A missing object is no error.
    async fn get(&self, key: &str) -> Result<Option<Object>, PortError>;

    /// Keys that begin with `prefix`, in byte order, beginning behind the key `after`, at most `limit`.
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
