//! The overflow: where a record goes that the stream refused, until it is drained into it.

use std::sync::Arc;

use bytes::Bytes;
use tributary_model::overflow::{PREFIX, object_key};
use tributary_model::{ReportId, TimestampMs};

use crate::envelope::{open, seal};
use crate::keys::Purpose;
use crate::objects::Condition;
use crate::{Keys, Objects, PortError};

/// The overflow, in an object store (on AWS in a bucket of its own); each record is sealed for its object.
#[derive(Clone)]
pub struct Overflow {
    /// Holds the records.
    pub objects: Arc<dyn Objects>,
    /// Seals them.
    pub keys: Arc<dyn Keys>,
}

impl Overflow {
    /// Keeps a record; it is durable when this returns. Keeping it twice is keeping it once: the key is the record's.
    ///
    /// # Errors
    /// Bad luck of any kind, after which it may be kept.
    pub async fn keep(&self, id: ReportId, received_at: TimestampMs, record: &[u8]) -> Result<(), PortError> {
        let key = object_key(received_at, id);
        let sealed = seal(self.keys.as_ref(), Purpose::Overflow, &key, record).await?;
        self.objects.put(&key, sealed, Condition::Always).await.map(drop)
    }

    /// Keys of records, the oldest first, beginning behind `after`: at most `limit`, none if there are no more.
    ///
    /// # Errors
    /// Bad luck of any kind.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, PortError> {
        self.objects.list(PREFIX, after, limit).await
    }

    /// Reads a record; none if it is no longer there.
    ///
    /// # Errors
    /// `Invalid` if it is not what [`Overflow::keep`] kept under this key; otherwise bad luck.
    pub async fn read(&self, key: &str) -> Result<Option<Bytes>, PortError> {
        let Some(object) = self.objects.get(key).await? else { return Ok(None) };
        open(self.keys.as_ref(), Purpose::Overflow, key, &object.bytes).await.map(Some)
    }

    /// Forgets a record that the stream holds; one that is not there is forgotten already.
    ///
    /// # Errors
    /// Bad luck of any kind.
    pub async fn forget(&self, key: &str) -> Result<(), PortError> {
        self.objects.delete(key).await
    }
}
