//! Dead letters: their records applied again, edited or not, or given up.

mod discard;
mod edit;
mod redrive;
mod sweep;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tributary_model::dead_letter::DeadLetter;
use tributary_ports::keys::Purpose;
use tributary_ports::ledger::RemovedDeadLetter;
use tributary_ports::{Keys, Objects, PortError, PortErrorKind, envelope};

pub use discard::discard;
pub(crate) use discard::is_discarded;
pub use edit::{edited, report_of};
pub use redrive::{Redriven, redrive, redrive_edited};
pub use sweep::Sweep;

/// A dead letter's object, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedDeadLetter {
    /// What was written beside the record.
    pub letter: DeadLetter,
    /// The record as it stood in the stream.
    pub record: Bytes,
}

/// Opens the object of a dead letter; none if it is gone.
///
/// # Errors
/// `Invalid` if it is no dead letter of ours; otherwise bad luck.
pub async fn read_dead_letter(
    objects: &dyn Objects,
    keys: &dyn Keys,
    key: &str,
) -> Result<Option<OpenedDeadLetter>, PortError> {
    let Some(object) = objects.get(key).await? else { return Ok(None) };
    let invalid = || PortError::new(PortErrorKind::Invalid, "dead-letter.read", format!("{key} is no dead letter"));
    let letter: DeadLetter = serde_json::from_slice(&object.bytes).map_err(|_| invalid())?;
    let sealed = STANDARD.decode(&letter.sealed_record).map_err(|_| invalid())?;
    let record = envelope::open(keys, Purpose::DeadLetter, key, &sealed).await?;
    Ok(Some(OpenedDeadLetter { letter, record }))
}

/// Deletes the objects to which nothing points any more.
async fn delete_objects(objects: &dyn Objects, removed: &[RemovedDeadLetter]) -> Result<(), PortError> {
    for key in removed.iter().flat_map(|removed| &removed.object_keys) {
        objects.delete(key).await?;
    }
    Ok(())
}
