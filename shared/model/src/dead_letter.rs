//! A dead letter: a record that can never be applied, with its bytes and the reason, as an object.
//!
//! Its row in the ledger is the index; the object alone is enough to apply the record again.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::ProjectId;
use crate::rejection::Reason;
use crate::target::Target;
use crate::time::TimestampMs;

/// What every dead letter's object key begins with.
pub const PREFIX: &str = "dead-letters/";

/// The object of one dead letter, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The id of its row.
    pub id: String,
    /// The project, if the record's header could be read.
    pub project: Option<ProjectId>,
    /// Why it could not be applied.
    pub reason: Reason,
    /// A sentence without customer data.
    pub detail: String,
    /// The consumer that met it last.
    pub target: Target,
    /// When that was.
    pub seen_at: TimestampMs,
    /// The record's bytes as they stood in the stream, sealed for this object's key, in base64 (RFC 4648, section 4).
    pub sealed_record: String,
}

/// The object key of the record `bytes` under the dead letter `id`: `dead-letters/<id>/<16 hexadecimal digits>.json`.
///
/// The digits are of SHA-256 over the bytes. So both consumers, and every redelivery, write the same object, while two
/// different records of one report don't overwrite each other.
#[must_use]
pub fn object_key(id: &str, bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let start: u64 = digest.iter().take(8).fold(0, |start, byte| start << 8 | u64::from(*byte));
    format!("{PREFIX}{id}/{start:016x}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_have_the_same_key_and_others_another() {
        let key = object_key("record-local-0-7", b"abc");
        assert_eq!(key, "dead-letters/record-local-0-7/ba7816bf8f01cfea.json");
        assert_ne!(key, object_key("record-local-0-7", b"abd"));
    }
}
