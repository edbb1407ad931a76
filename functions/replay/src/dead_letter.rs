//! What a dead letter's object holds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tributary_model::dead_letter::DeadLetter;
use tributary_ports::keys::Purpose;
use tributary_ports::{Keys, Objects, PortError, PortErrorKind, envelope};

/// A dead letter's object, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    /// What was written beside the record.
    pub(crate) letter: DeadLetter,
    /// The record as it stood in the stream.
    pub(crate) record: Bytes,
}

/// Opens the object of a dead letter; none if it is gone.
///
/// # Errors
/// `Invalid` if it is no dead letter of ours; otherwise bad luck.
pub(crate) async fn read(objects: &dyn Objects, keys: &dyn Keys, key: &str) -> Result<Option<Opened>, PortError> {
    let Some(object) = objects.get(key).await? else { return Ok(None) };
    let invalid = || PortError::new(PortErrorKind::Invalid, "dead-letter.read", format!("{key} is no dead letter"));
    let letter: DeadLetter = serde_json::from_slice(&object.bytes).map_err(|_| invalid())?;
    let sealed = STANDARD.decode(&letter.sealed_record).map_err(|_| invalid())?;
    let record = envelope::open(keys, Purpose::DeadLetter, key, &sealed).await?;
    Ok(Some(Opened { letter, record }))
}
