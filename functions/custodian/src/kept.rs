//! An object as JSON that is changed only if nobody else has changed it.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tributary_ports::objects::{Condition, Etag};
use tributary_ports::{Objects, PortError, PortErrorKind};

/// What was read, and the condition under which it may be replaced.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    key: String,
    etag: Option<Etag>,
    /// The content; none if there is no object.
    pub(crate) value: Option<T>,
}

impl<T: Serialize + DeserializeOwned> Kept<T> {
    /// Reads an object.
    ///
    /// # Errors
    /// `Invalid` if it is not what this build writes; otherwise bad luck.
    pub(crate) async fn read(objects: &dyn Objects, key: String) -> Result<Self, PortError> {
        let Some(object) = objects.get(&key).await? else { return Ok(Self { key, etag: None, value: None }) };
        let value = serde_json::from_slice(&object.bytes).map_err(|error| unreadable(&key, &error))?;
        Ok(Self { key, etag: Some(object.etag), value: Some(value) })
    }

    /// Writes a new content.
    ///
    /// # Errors
    /// `Conflict` if another has written since it was read; otherwise bad luck, after which it may be written.
    pub(crate) async fn replace(&mut self, objects: &dyn Objects, value: T) -> Result<(), PortError> {
        let condition = self.etag.clone().map_or(Condition::Absent, Condition::Unchanged);
        self.etag = Some(objects.put(&self.key, encode(&self.key, &value)?, condition).await?);
        self.value = Some(value);
        Ok(())
    }
}

pub(crate) fn encode(key: &str, value: &impl Serialize) -> Result<Bytes, PortError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| unreadable(key, &error))
}

fn unreadable(key: &str, error: &serde_json::Error) -> PortError {
    PortError::new(PortErrorKind::Invalid, "custodian.state", format!("{key}: {error}"))
}
