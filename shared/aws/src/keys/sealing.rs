//! Data keys, wrapped by a symmetric KMS key under an encryption context that names their purpose.
//!
//! KMS answers in some 10 ms and costs by the call, so a plaintext key is kept for a bounded time and number of uses, and
//! wiped after them. What the SDK's own buffers held of an answer can't be wiped.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use bytes::Bytes;
use tributary_model::limits::{DATA_KEY_AGE_MAX, DATA_KEY_USES_MAX, DATA_KEYS_UNWRAPPED_MAX, WRAPPED_KEY_BYTES_MAX};
use tributary_ports::keys::{DATA_KEY_BYTES, DataKey, Purpose};
use tributary_ports::{PortError, PortErrorKind};
use zeroize::Zeroizing;

use crate::error::port_error;

const DATA_KEY: &str = "keys.data_key";
const UNWRAP: &str = "keys.unwrap_key";
/// The encryption context's one name. CloudTrail shows it, and key policies can ask for it.
const CONTEXT: &str = "tributary:purpose";

pub(super) struct Sealing {
    client: Client,
    key: String,
    kept: Mutex<Kept>,
}

impl Sealing {
    pub(super) fn new(client: Client, key: &str) -> Self {
        Self { client, key: key.to_owned(), kept: Mutex::default() }
    }

    pub(super) async fn data_key(&self, purpose: Purpose) -> Result<DataKey, PortError> {
        if let Some(key) = self.kept().take_use(purpose, Instant::now()) {
            return Ok(key);
        }
        let generate = self.client.generate_data_key().key_id(&self.key).key_spec(DataKeySpec::Aes256);
        let made = generate.encryption_context(CONTEXT, purpose.as_str()).send().await;
        let made = made.map_err(|error| port_error(DATA_KEY, error))?;
        let key = whole(DATA_KEY, made.plaintext, made.ciphertext_blob.map(Blob::into_inner).unwrap_or_default())?;
        self.kept().keep_made(purpose, key.clone(), Instant::now());
        Ok(key)
    }

    pub(super) async fn unwrap_key(&self, purpose: Purpose, wrapped: &[u8]) -> Result<DataKey, PortError> {
        if wrapped.is_empty() || wrapped.len() > WRAPPED_KEY_BYTES_MAX {
            let detail =
                format!("a wrapped key has 1 to {WRAPPED_KEY_BYTES_MAX} bytes; this one has {}", wrapped.len());
            return Err(PortError::new(PortErrorKind::Invalid, UNWRAP, detail));
        }
        if let Some(key) = self.kept().unwrapped(purpose, wrapped, Instant::now()) {
            return Ok(key);
        }
        // The key is named although KMS could read it from the wrapped bytes: those may name a stranger's.
        let decrypt = self.client.decrypt().key_id(&self.key).ciphertext_blob(Blob::new(wrapped));
        let opened = decrypt.encryption_context(CONTEXT, purpose.as_str()).send().await;
        let opened = opened.map_err(|error| port_error(UNWRAP, error))?;
        if opened.key_id.as_ref() != Some(&self.key) {
            let detail = "the data key was wrapped by another key than that of the settings";
            return Err(PortError::new(PortErrorKind::Invalid, UNWRAP, detail));
        }
        let key = whole(UNWRAP, opened.plaintext, wrapped.to_vec())?;
        self.kept().keep_unwrapped(purpose, key.clone(), Instant::now());
        Ok(key)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn whole(operation: &'static str, plaintext: Option<Blob>, wrapped: Vec<u8>) -> Result<DataKey, PortError> {
    let bytes = Zeroizing::new(plaintext.map(Blob::into_inner).unwrap_or_default());
    let mut plaintext = Zeroizing::new([0; DATA_KEY_BYTES]);
    if bytes.len() != plaintext.len() || wrapped.is_empty() || wrapped.len() > WRAPPED_KEY_BYTES_MAX {
        return Err(PortError::new(
            PortErrorKind::Unavailable,
            operation,
            "KMS answered something that is no data key",
        ));
    }
    plaintext.copy_from_slice(&bytes);
    Ok(DataKey { plaintext, wrapped: wrapped.into() })
}

/// Plaintext keys within their bounds.
#[derive(Default)]
struct Kept {
    /// For sealing: the key, when it was made, and how often it was given out.
    made: HashMap<Purpose, (DataKey, Instant, u32)>,
    /// For opening, by purpose and wrapped form: the key, and when it was unwrapped.
    unwrapped: HashMap<(Purpose, Bytes), (DataKey, Instant)>,
}

fn is_young(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < DATA_KEY_AGE_MAX
}

impl Kept {
    /// The key to seal with, once more; none if it was used up.
    fn take_use(&mut self, purpose: Purpose, now: Instant) -> Option<DataKey> {
        match self.made.get_mut(&purpose) {
            Some((key, at, uses)) if is_young(*at, now) && *uses < DATA_KEY_USES_MAX => {
                *uses += 1;
                Some(key.clone())
            }
            _ => {
                self.made.remove(&purpose);
                None
            }
        }
    }

    /// Keeps a key that was given out once already.
    fn keep_made(&mut self, purpose: Purpose, key: DataKey, now: Instant) {
        self.made.insert(purpose, (key, now, 1));
    }

    fn unwrapped(&mut self, purpose: Purpose, wrapped: &[u8], now: Instant) -> Option<DataKey> {
        self.unwrapped.retain(|_, (_, at)| is_young(*at, now));
        let place = (purpose, Bytes::copy_from_slice(wrapped));
        self.unwrapped.get(&place).map(|(key, _)| key.clone())
    }

    fn keep_unwrapped(&mut self, purpose: Purpose, key: DataKey, now: Instant) {
        if self.unwrapped.len() >= DATA_KEYS_UNWRAPPED_MAX {
            let oldest = self.unwrapped.iter().min_by_key(|(_, (_, at))| *at).map(|(place, _)| place.clone());
            oldest.and_then(|place| self.unwrapped.remove(&place));
        }
        self.unwrapped.insert((purpose, key.wrapped.clone()), (key, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u16) -> DataKey {
        let wrapped = number.to_be_bytes().to_vec();
        whole(UNWRAP, Some(Blob::new(vec![7; DATA_KEY_BYTES])), wrapped).unwrap()
    }

    #[test]
    fn a_key_is_given_out_for_so_many_uses_and_so_long() {
        let (now, mut kept) = (Instant::now(), Kept::default());
        assert!(kept.take_use(Purpose::Overflow, now).is_none());
        kept.keep_made(Purpose::Overflow, key(1), now);
        let uses = std::iter::from_fn(|| kept.take_use(Purpose::Overflow, now)).count();
        assert_eq!(uses + 1, usize::try_from(DATA_KEY_USES_MAX).unwrap());
        kept.keep_made(Purpose::Overflow, key(1), now);
        assert!(kept.take_use(Purpose::DeadLetter, now).is_none(), "each purpose has its own");
        assert!(kept.take_use(Purpose::Overflow, now + DATA_KEY_AGE_MAX / 2).is_some());
        assert!(kept.take_use(Purpose::Overflow, now + DATA_KEY_AGE_MAX).is_none());
        assert!(kept.made.is_empty(), "it is wiped, not only passed over");
    }

    #[test]
    fn unwrapped_keys_are_few_and_young() {
        let (now, mut kept) = (Instant::now(), Kept::default());
        let count = u16::try_from(DATA_KEYS_UNWRAPPED_MAX).unwrap();
        for number in 0..=count {
            kept.keep_unwrapped(Purpose::Overflow, key(number), now + std::time::Duration::from_millis(number.into()));
        }
        assert_eq!(kept.unwrapped.len(), DATA_KEYS_UNWRAPPED_MAX);
        let mut unwrapped = |number: u16, at| kept.unwrapped(Purpose::Overflow, &number.to_be_bytes(), at).is_some();
        assert!(!unwrapped(0, now), "the oldest went");
        assert!(unwrapped(1, now) && unwrapped(count, now));
        let late = now + DATA_KEY_AGE_MAX + std::time::Duration::from_millis(count.into());
        assert!(!unwrapped(count, late));
        assert!(kept.unwrapped.is_empty());
    }

    #[test]
    fn what_is_no_data_key_is_not_taken_for_one() {
        for (plaintext, wrapped) in [
            (None, vec![1]),
            (Some(Blob::new(vec![7; 31])), vec![1]),
            (Some(Blob::new(vec![7; 33])), vec![1]),
            (Some(Blob::new(vec![7; 32])), vec![]),
            (Some(Blob::new(vec![7; 32])), vec![1; WRAPPED_KEY_BYTES_MAX + 1]),
        ] {
            assert_eq!(whole(UNWRAP, plaintext, wrapped).unwrap_err().kind, PortErrorKind::Unavailable);
        }
    }
}
