//! Data keys, and what they seal.

use bytes::Bytes;

use crate::envelope::{open, seal};
use crate::keys::Purpose;
use crate::{Keys, PortErrorKind};

const PLACE: &str = "dead-letters/a/1.json";

pub(super) async fn what_was_sealed_is_opened(store: &dyn Keys) {
    for plain in [&b""[..], b"one", &[0xa5; 1024 * 1024]] {
        for purpose in Purpose::ALL {
            let sealed = seal(store, purpose, PLACE, plain).await.expect("sealed");
            assert!(plain.len() < 3 || !sealed.windows(plain.len()).any(|part| part == plain), "it is not to be seen");
            assert_eq!(open(store, purpose, PLACE, &sealed).await.expect("opened"), plain);
        }
    }
}

/// A data key may be given out again; a sealed text may not look like another.
pub(super) async fn the_same_sealed_twice_is_not_the_same(store: &dyn Keys) {
    let one = seal(store, Purpose::Overflow, PLACE, b"the same").await.expect("sealed");
    let other = seal(store, Purpose::Overflow, PLACE, b"the same").await.expect("sealed");
    assert_ne!(one, other);
}

async fn assert_refused(store: &dyn Keys, purpose: Purpose, place: &str, sealed: &[u8], why: &str) {
    let error = open(store, purpose, place, sealed).await.expect_err(why);
    // KMS is not to say whose key a changed or a stranger's wrapped key names.
    assert!(matches!(error.kind, PortErrorKind::Invalid | PortErrorKind::Denied), "{why}: {error}");
}

pub(super) async fn another_purpose_or_place_is_refused(store: &dyn Keys) {
    let sealed = seal(store, Purpose::DeadLetter, PLACE, b"one").await.expect("sealed");
    assert_refused(store, Purpose::Overflow, PLACE, &sealed, "another purpose").await;
    assert_refused(store, Purpose::DeadLetter, "dead-letters/a/2.json", &sealed, "another place").await;
    let key = store.data_key(Purpose::DeadLetter).await.expect("a data key");
    let error = store.unwrap_key(Purpose::Overflow, &key.wrapped).await.expect_err("another purpose");
    assert_eq!(error.kind, PortErrorKind::Invalid, "{error}");
}

pub(super) async fn what_was_changed_is_refused(store: &dyn Keys) {
    let sealed = seal(store, Purpose::DeadLetter, PLACE, b"one").await.expect("sealed");
    let length = sealed.get(1..3).and_then(|bytes| bytes.try_into().ok()).expect("the wrapped key's length");
    let wrapped = usize::from(u16::from_be_bytes(length));
    // Version, length, both ends of the wrapped key, nonce, ciphertext, tag.
    for at in [0, 1, 2, 3, 2 + wrapped, 3 + wrapped, 15 + wrapped, sealed.len() - 1] {
        let mut changed = sealed.to_vec();
        *changed.get_mut(at).expect("a byte") ^= 1;
        assert_refused(store, Purpose::DeadLetter, PLACE, &changed, &format!("byte {at}")).await;
    }
    for length in [0, 1, 3, 3 + wrapped, 15 + wrapped, sealed.len() - 1] {
        let cut: Bytes = sealed.slice(..length);
        assert_refused(store, Purpose::DeadLetter, PLACE, &cut, &format!("cut to {length} bytes")).await;
    }
}

pub(super) async fn another_store_s_is_refused(store: &dyn Keys, other: &dyn Keys) {
    let sealed = seal(other, Purpose::DeadLetter, PLACE, b"one").await.expect("sealed");
    assert_refused(store, Purpose::DeadLetter, PLACE, &sealed, "another store's").await;
}

pub(super) async fn a_data_key_is_unwrapped_whatever_was_rotated_since(store: &dyn Keys) {
    let key = store.data_key(Purpose::DeadLetter).await.expect("a data key");
    store.rotate().await.expect("a rotation");
    let unwrapped = store.unwrap_key(Purpose::DeadLetter, &key.wrapped).await.expect("the data key");
    assert_eq!((unwrapped.plaintext, unwrapped.wrapped), (key.plaintext, key.wrapped));
    assert!(!format!("{:?}", store.data_key(Purpose::Overflow).await).contains("plaintext"), "it is not printed");
}
