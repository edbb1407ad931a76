//! A JSON object that is changed under the condition that nobody else has changed it.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tributary_ports::objects::{Condition, Etag};
use tributary_ports::{Objects, PortError, PortErrorKind};

/// What was read or written last, and under which name.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    key: String,
    etag: Etag,
    pub(crate) value: T,
}

impl<T: Serialize + DeserializeOwned> Kept<T> {
    /// Reads an object; none if it is not there.
    ///
    /// # Errors
    /// `Invalid` if it is not what this build writes; otherwise bad luck.
    pub(crate) async fn read(objects: &dyn Objects, key: String) -> Result<Option<Self>, PortError> {
        let Some(object) = objects.get(&key).await? else { return Ok(None) };
        let value = serde_json::from_slice(&object.bytes).map_err(|error| unreadable(&key, &error))?;
        Ok(Some(Self { key, etag: object.etag, value }))
    }

    /// Writes an object that is not there yet.
    ///
    /// # Errors
    /// `Conflict` if it is; otherwise bad luck.
    pub(crate) async fn create(objects: &dyn Objects, key: String, value: T) -> Result<Self, PortError> {
        let etag = objects.put(&key, encode(&key, &value)?, Condition::Absent).await?;
        Ok(Self { key, etag, value })
    }

    /// Writes the value as it is now.
    ///
    /// # Errors
    /// `Conflict` if another has written in between; otherwise bad luck, after which it may be written.
    pub(crate) async fn save(&mut self, objects: &dyn Objects) -> Result<(), PortError> {
        let condition = Condition::Unchanged(self.etag.clone());
        self.etag = objects.put(&self.key, encode(&self.key, &self.value)?, condition).await?;
        Ok(())
    }
}

pub(crate) fn encode(key: &str, value: &impl Serialize) -> Result<Bytes, PortError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| unreadable(key, &error))
}

fn unreadable(key: &str, error: &serde_json::Error) -> PortError {
    PortError::new(PortErrorKind::Invalid, "replay.state", format!("{key}: {error}"))
}
