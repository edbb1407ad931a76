//! The key that wraps data keys.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tributary_ports::envelope::{decrypt, encrypt};
use tributary_ports::keys::{DATA_KEY_BYTES, DataKey, Purpose};
use tributary_ports::{PortError, PortErrorKind};
use zeroize::Zeroizing;

/// Wraps data keys with AES-256-GCM, each bound to its purpose. It stays for good: what it wrapped can be unwrapped by
/// nothing else. 2^32 data keys may be made with it.
pub(super) struct Master(Zeroizing<[u8; DATA_KEY_BYTES]>);

impl Master {
    pub(super) fn generate(operation: &'static str) -> Result<Self, PortError> {
        random(operation).map(Self)
    }

    pub(super) fn from_base64(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
        whole(&bytes).map(Self)
    }

    pub(super) fn to_base64(&self) -> String {
        STANDARD.encode(self.0.as_slice())
    }

    pub(super) fn data_key(&self, operation: &'static str, purpose: Purpose) -> Result<DataKey, PortError> {
        let plaintext = random(operation)?;
        let wrapped = encrypt(&self.0, purpose.as_str().as_bytes(), plaintext.as_slice());
        let wrapped = wrapped.ok_or_else(|| no_random(operation))?.into();
        Ok(DataKey { plaintext, wrapped })
    }

    pub(super) fn unwrap(
        &self,
        operation: &'static str,
        purpose: Purpose,
        wrapped: &[u8],
    ) -> Result<DataKey, PortError> {
        let bytes = decrypt(&self.0, purpose.as_str().as_bytes(), wrapped).map(Zeroizing::new);
        let wrong = || {
            let detail = "the data key was wrapped for another purpose or by another key file, or was changed";
            PortError::new(PortErrorKind::Invalid, operation, detail)
        };
        let plaintext = bytes.and_then(|bytes| whole(&bytes)).ok_or_else(wrong)?;
        Ok(DataKey { plaintext, wrapped: wrapped.to_vec().into() })
    }
}

fn whole(bytes: &[u8]) -> Option<Zeroizing<[u8; DATA_KEY_BYTES]>> {
    let mut key = Zeroizing::new([0; DATA_KEY_BYTES]);
    (bytes.len() == key.len()).then(|| key.copy_from_slice(bytes))?;
    Some(key)
}

fn random(operation: &'static str) -> Result<Zeroizing<[u8; DATA_KEY_BYTES]>, PortError> {
    let mut key = Zeroizing::new([0; DATA_KEY_BYTES]);
    rand::fill(key.as_mut_slice()).map_err(|_| no_random(operation))?;
    Ok(key)
}

fn no_random(operation: &'static str) -> PortError {
    PortError::new(PortErrorKind::Unavailable, operation, "the system gives no random bytes")
}
