//! A value kept as JSON in an object, which is changed under the condition that nobody else has changed it.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::objects::{Condition, Etag};
use crate::{Objects, PortError, PortErrorKind};

/// What was read or written last, and under which key.
#[derive(Debug)]
pub struct Kept<T> {
    key: String,
    etag: Etag,
    /// The value. A change of it is written by [`Kept::save`].
    pub value: T,
}

impl<T: Serialize + DeserializeOwned> Kept<T> {
    /// Reads an object; none if it is not there.
    ///
    /// # Errors
    /// `Invalid` if it is not what this build writes; otherwise bad luck.
    pub async fn read(objects: &dyn Objects, key: String) -> Result<Option<Self>, PortError> {
        let Some(object) = objects.get(&key).await? else { return Ok(None) };
        let value = serde_json::from_slice(&object.bytes).map_err(|error| unreadable(&key, &error))?;
        Ok(Some(Self { key, etag: object.etag, value }))
    }

    /// Writes an object that is not there yet.
    ///
    /// # Errors
    /// `Conflict` if it is; otherwise bad luck.
    pub async fn create(objects: &dyn Objects, key: String, value: T) -> Result<Self, PortError> {
        let etag = objects.put(&key, encode(&key, &value)?, Condition::Absent).await?;
        Ok(Self { key, etag, value })
    }

    /// Writes the value as it is now.
    ///
    /// # Errors
    /// `Conflict` if another has written since; otherwise bad luck, after which it may be written.
    pub async fn save(&mut self, objects: &dyn Objects) -> Result<(), PortError> {
        let condition = Condition::Unchanged(self.etag.clone());
        self.etag = objects.put(&self.key, encode(&self.key, &self.value)?, condition).await?;
        Ok(())
    }

    /// Writes a value in the place of the one that was read, or where none was there.
    ///
    /// # Errors
    /// Those of [`Kept::save`] and [`Kept::create`].
    pub async fn replace(kept: Option<Self>, objects: &dyn Objects, key: String, value: T) -> Result<Self, PortError> {
        let Some(mut kept) = kept else { return Self::create(objects, key, value).await };
        kept.value = value;
        kept.save(objects).await?;
        Ok(kept)
    }
}

/// A value as the bytes of the object `key`.
///
/// # Errors
/// `Invalid` for what is no JSON.
pub fn encode(key: &str, value: &impl Serialize) -> Result<Bytes, PortError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| unreadable(key, &error))
}

fn unreadable(key: &str, error: &serde_json::Error) -> PortError {
    PortError::new(PortErrorKind::Invalid, "objects.kept", format!("{key}: {error}"))
}
