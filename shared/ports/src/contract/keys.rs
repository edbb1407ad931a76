//! What every key store keeps to.

mod data_keys;

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::keys::PublicKey;
use crate::{Keys, PortErrorKind};

/// Runs every case, each on a store that `fresh` makes.
pub async fn all(fresh: impl AsyncFn() -> Arc<dyn Keys>) {
    a_fresh_store_has_a_current_key(&*fresh().await).await;
    a_public_key_is_a_jwk_for_es256(&*fresh().await).await;
    a_signature_is_verified_by_its_key_alone(&*fresh().await).await;
    a_rotated_key_goes_on_to_verify(&*fresh().await).await;
    an_unknown_key_is_not_found(&*fresh().await).await;
    no_rotation_at_once_is_lost(fresh().await).await;
    data_keys::what_was_sealed_is_opened(&*fresh().await).await;
    data_keys::the_same_sealed_twice_is_not_the_same(&*fresh().await).await;
    data_keys::another_purpose_or_place_is_refused(&*fresh().await).await;
    data_keys::what_was_changed_is_refused(&*fresh().await).await;
    data_keys::another_store_s_is_refused(&*fresh().await, &*fresh().await).await;
    data_keys::a_data_key_is_unwrapped_whatever_was_rotated_since(&*fresh().await).await;
}

async fn current(store: &dyn Keys) -> PublicKey {
    store.public_keys().await.expect("the public keys").into_iter().next().expect("a current key")
}

fn member<'a>(key: &'a PublicKey, name: &str) -> &'a str {
    key.jwk.get(name).and_then(serde_json::Value::as_str).expect(name)
}

/// ES256 (RFC 7518, 3.4) by the public key that the JWK describes.
fn verifies(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let mut point = vec![4];
    for coordinate in ["x", "y"] {
        point.extend(URL_SAFE_NO_PAD.decode(member(key, coordinate)).expect("base64url"));
    }
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
}

async fn a_fresh_store_has_a_current_key(store: &dyn Keys) {
    let keys = store.public_keys().await.expect("the public keys");
    assert_eq!(keys.len(), 1);
    assert!(current(store).await.current);
    assert_eq!(store.public_keys().await.expect("the public keys"), keys, "asking makes no key");
}

async fn a_public_key_is_a_jwk_for_es256(store: &dyn Keys) {
    let key = current(store).await;
    let members = [("kty", "EC"), ("crv", "P-256"), ("alg", "ES256"), ("use", "sig"), ("kid", key.kid.as_str())];
    for (name, value) in members {
        assert_eq!(member(&key, name), value, "{name}");
    }
    let names: BTreeSet<&str> = key.jwk.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["alg", "crv", "kid", "kty", "use", "x", "y"]), "nothing else, above all no `d`");
    let (x, y) = (member(&key, "x"), member(&key, "y"));
    let thumbprint = digest(&SHA256, format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes());
    assert_eq!(key.kid, URL_SAFE_NO_PAD.encode(thumbprint), "the id is the thumbprint (RFC 7638)");
}

async fn a_signature_is_verified_by_its_key_alone(store: &dyn Keys) {
    let first = current(store).await;
    let second = store.rotate().await.expect("a rotation");
    for message in [&b""[..], b"one", &[0xff; 10_000]] {
        let signature = store.sign(&second.kid, message).await.expect("a signature");
        assert_eq!((signature.kid.as_str(), signature.bytes.len()), (second.kid.as_str(), 64));
        assert!(verifies(&second, message, &signature.bytes));
        assert!(!verifies(&first, message, &signature.bytes), "another key's");
        assert!(!verifies(&second, &[message, b"x"].concat(), &signature.bytes), "another message's");
    }
}

async fn a_rotated_key_goes_on_to_verify(store: &dyn Keys) {
    let first = current(store).await;
    let signature = store.sign(&first.kid, b"before").await.expect("a signature");
    let second = store.rotate().await.expect("a rotation");
    let third = store.rotate().await.expect("a rotation");
    let keys = store.public_keys().await.expect("the public keys");
    let expected = [(&third, true), (&second, false), (&first, false)];
    for (key, (made, is_current)) in keys.iter().zip(expected) {
        assert_eq!((&key.kid, &key.jwk, key.current), (&made.kid, &made.jwk, is_current));
    }
    assert_eq!(keys.len(), 3);
    assert!(second.current && third.current, "each was, when it was made");
    assert!(verifies(keys.last().expect("the first key"), b"before", &signature.bytes));
}

async fn an_unknown_key_is_not_found(store: &dyn Keys) {
    for kid in ["", "unknown", "../keys"] {
        let error = store.sign(kid, b"x").await.expect_err("a refusal");
        assert_eq!(error.kind, PortErrorKind::NotFound, "{error}");
    }
}

async fn no_rotation_at_once_is_lost(store: Arc<dyn Keys>) {
    let rotations: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.rotate().await.expect("a rotation").kid })
        })
        .collect();
    let mut made = BTreeSet::from([store.public_keys().await.expect("the public keys").pop().expect("a key").kid]);
    for rotation in rotations {
        made.insert(rotation.await.expect("a rotation that ends"));
    }
    let keys = store.public_keys().await.expect("the public keys");
    assert_eq!(keys.iter().filter(|key| key.current).count(), 1);
    assert_eq!(keys.into_iter().map(|key| key.kid).collect::<BTreeSet<_>>(), made);
    assert_eq!(made.len(), 9);
}
