//! Sealed bytes: encrypted with a data key of the key store, which stands beside them, wrapped.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the form's version, 1 |
//! | 2 | length of the wrapped key, big endian |
//! | as many | the wrapped key |
//! | 12 | a random nonce |
//! | the rest | ciphertext of AES-256-GCM, its tag of 16 bytes last |
//!
//! The tag covers, besides, all that stands before the nonce, the purpose, and the place: the key of the object that the
//! bytes are for. So nobody who may write objects can pass one off as another.

use aws_lc_rs::aead::{AES_256_GCM, Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey};
use bytes::Bytes;
use tributary_model::limits::WRAPPED_KEY_BYTES_MAX;

use crate::keys::{DATA_KEY_BYTES, Purpose};
use crate::{Keys, PortError, PortErrorKind};

const VERSION: u8 = 1;
const SEAL: &str = "envelope.seal";
const OPEN: &str = "envelope.open";

/// Seals `plain` for the object `place`. The result is longer by the wrapped key (some 200 bytes with KMS) and 31 bytes.
///
/// # Errors
/// Those of [`Keys::data_key`].
pub async fn seal(keys: &dyn Keys, purpose: Purpose, place: &str, plain: &[u8]) -> Result<Bytes, PortError> {
    let key = keys.data_key(purpose).await?;
    let failed = || PortError::new(PortErrorKind::Unavailable, SEAL, "the bytes could not be encrypted");
    let length = u16::try_from(key.wrapped.len()).ok().filter(|length| usize::from(*length) <= WRAPPED_KEY_BYTES_MAX);
    let mut sealed = vec![VERSION];
    sealed.extend(length.ok_or_else(failed)?.to_be_bytes());
    sealed.extend(&key.wrapped);
    let encrypted = encrypt(&key.plaintext, &context(&sealed, purpose, place), plain).ok_or_else(failed)?;
    sealed.extend(encrypted);
    Ok(sealed.into())
}

/// Opens what was sealed for this purpose and place.
///
/// # Errors
/// `Invalid` if it was sealed for others or was changed; otherwise those of [`Keys::unwrap_key`].
pub async fn open(keys: &dyn Keys, purpose: Purpose, place: &str, sealed: &[u8]) -> Result<Bytes, PortError> {
    let invalid = |detail: &'static str| PortError::new(PortErrorKind::Invalid, OPEN, detail);
    let (head, wrapped, encrypted) =
        split(sealed).ok_or_else(|| invalid("the sealed bytes have no form that is known"))?;
    let key = keys.unwrap_key(purpose, wrapped).await?;
    let plain = decrypt(&key.plaintext, &context(head, purpose, place), encrypted);
    plain.map(Bytes::from).ok_or_else(|| invalid("the sealed bytes were changed, or are another object's"))
}

/// What stands before the nonce, the wrapped key in it, and the rest.
fn split(sealed: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (start, rest) = sealed.split_at_checked(3)?;
    let [VERSION, high, low] = *start else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let (wrapped, encrypted) = rest.split_at_checked(length)?;
    let head = sealed.get(..start.len() + length)?;
    (length <= WRAPPED_KEY_BYTES_MAX).then_some((head, wrapped, encrypted))
}

/// What the tag covers besides the text. The head knows its own length and a purpose has no NUL, so no two are alike.
fn context(head: &[u8], purpose: Purpose, place: &str) -> Vec<u8> {
    [head, purpose.as_str().as_bytes(), b"\0", place.as_bytes()].concat()
}

/// AES-256-GCM with a random nonce: nonce, ciphertext, tag. None if the system gives no random bytes.
///
/// A key may encrypt 2^32 texts so (NIST SP 800-38D, 8.3).
#[must_use]
pub fn encrypt(key: &[u8; DATA_KEY_BYTES], context: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let mut encrypted = Vec::with_capacity(NONCE_LEN + plain.len() + MAX_TAG_LEN);
    encrypted.extend([0; NONCE_LEN]);
    encrypted.extend(plain);
    let (start, text) = encrypted.split_at_mut_checked(NONCE_LEN)?;
    let (nonce, tag) = key.seal_in_place_separate_tag(Aad::from(context), text).ok()?;
    start.copy_from_slice(nonce.as_ref());
    encrypted.extend(tag.as_ref());
    Some(encrypted)
}

/// What [`encrypt`] encrypted with this key and context; none for anything else.
#[must_use]
pub fn decrypt(key: &[u8; DATA_KEY_BYTES], context: &[u8], encrypted: &[u8]) -> Option<Vec<u8>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let (nonce, text) = encrypted.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = text.to_vec();
    let length = key.open_in_place(nonce, Aad::from(context), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 16 of "The Galois/Counter Mode of Operation" (McGrew and Viega).
    #[test]
    fn what_others_encrypted_is_decrypted() {
        let bytes = |hex: &str| -> Vec<u8> {
            let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
            digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
        };
        let half = "feffe9928665731c6d6a8f9467308308";
        let key: [u8; DATA_KEY_BYTES] = bytes(&format!("{half}{half}")).try_into().expect("32 bytes");
        let context = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let encrypted = bytes(concat!(
            "cafebabefacedbaddecaf888",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa",
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ));
        let plain = bytes(concat!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        ));
        assert_eq!(decrypt(&key, &context, &encrypted), Some(plain));
    }

    #[test]
    fn a_nonce_is_never_used_twice() {
        let key = [7; DATA_KEY_BYTES];
        let encrypted = || encrypt(&key, b"", b"the same").expect("random bytes");
        let nonces: std::collections::BTreeSet<_> = (0..1000).map(|_| encrypted()[..NONCE_LEN].to_vec()).collect();
        assert_eq!(nonces.len(), 1000);
    }

    #[test]
    fn what_has_no_known_form_is_not_split() {
        assert_eq!(split(&[1, 0, 2, 7, 8, 9]), Some((&[1, 0, 2, 7, 8][..], &[7, 8][..], &[9][..])));
        for wrong in [&[][..], &[1], &[1, 0], &[1, 0, 1], &[2, 0, 0], &[1, 0xff, 0xff]] {
            assert_eq!(split(wrong), None, "{wrong:?}");
        }
        let too_long = [vec![1, 0x18, 0x01], vec![0; 7000]].concat();
        assert_eq!(split(&too_long), None);
    }
}
