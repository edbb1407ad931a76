use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tributary_ports::envelope::{open, seal};
use tributary_ports::{PortErrorKind, keys::DATA_KEY_BYTES};

use super::*;
use crate::testing::{Answer, Asked, Scripted};

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/data";
const ALIAS: &str = "arn:aws:kms:eu-west-1:123456789012:alias/tributary/signing";

/// A KMS that wraps a key by naming its purpose before it.
fn sealing_kms(_: usize, asked: &Asked) -> Answer {
    let request = asked.json();
    let purpose = request["EncryptionContext"]["tributary:purpose"].as_str().unwrap();
    assert_eq!((request["KeyId"].as_str(), request["EncryptionContext"].as_object().unwrap().len()), (Some(KEY), 1));
    let plaintext = STANDARD.encode([7; DATA_KEY_BYTES]);
    match asked.operation() {
        "GenerateDataKey" => {
            assert_eq!(request["KeySpec"], "AES_256");
            Answer::json(&json!({"Plaintext": plaintext, "CiphertextBlob": STANDARD.encode(purpose), "KeyId": KEY}))
        }
        "Decrypt" if request["CiphertextBlob"] == STANDARD.encode(purpose) => {
            Answer::json(&json!({"Plaintext": plaintext, "KeyId": KEY}))
        }
        _ => Answer::error(400, "InvalidCiphertextException"),
    }
}

#[tokio::test]
async fn kms_is_asked_once_for_what_is_sealed_and_opened_often() {
    let server = Scripted::start(sealing_kms).await;
    let keys = KmsKeys::sealing(&server.config().await, "eu-west-1", KEY);
    for place in ["one", "two", "three"] {
        let sealed = seal(&*keys, Purpose::Overflow, place, b"content").await.unwrap();
        assert_eq!(open(&*keys, Purpose::Overflow, place, &sealed).await.unwrap(), "content");
    }
    let asked: Vec<String> = server.asked().iter().map(|asked| asked.operation().to_owned()).collect();
    assert_eq!(asked, ["GenerateDataKey", "Decrypt"]);
}

#[tokio::test]
async fn what_kms_refuses_is_told_by_its_code() {
    for (status, code, kind) in [
        (400, "InvalidCiphertextException", PortErrorKind::Invalid),
        (400, "IncorrectKeyException", PortErrorKind::Invalid),
        (400, "DisabledException", PortErrorKind::Denied),
        (400, "KMSInvalidStateException", PortErrorKind::Denied),
        (400, "AccessDeniedException", PortErrorKind::Denied),
        (400, "UnrecognizedClientException", PortErrorKind::Denied),
        (400, "ThrottlingException", PortErrorKind::Throttled),
        (500, "KMSInternalException", PortErrorKind::Unavailable),
    ] {
        let server = Scripted::start(move |_, _| Answer::error(status, code)).await;
        let keys = KmsKeys::sealing(&server.config().await, "eu-west-1", KEY);
        let error = keys.unwrap_key(Purpose::Overflow, b"wrapped").await.unwrap_err();
        assert_eq!(error.kind, kind, "{code}: {error}");
        assert!(!format!("{error:?} {error}").contains("CANARY"), "{error:?}");
    }
}

#[tokio::test]
async fn what_another_key_opened_is_not_taken() {
    let answer = json!({"Plaintext": STANDARD.encode([7; DATA_KEY_BYTES]), "KeyId": "arn:of:another"});
    let server = Scripted::start(move |_, _| Answer::json(&answer)).await;
    let keys = KmsKeys::sealing(&server.config().await, "eu-west-1", KEY);
    let error = keys.unwrap_key(Purpose::Overflow, b"wrapped").await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Invalid, "{error}");
}

#[tokio::test]
async fn without_a_signing_key_there_is_nothing_to_sign_with() {
    let server = Scripted::start(sealing_kms).await;
    let keys = KmsKeys::sealing(&server.config().await, "eu-west-1", KEY);
    assert_eq!(keys.public_keys().await.unwrap(), []);
    assert_eq!(keys.sign("kid", b"x").await.unwrap_err().kind, PortErrorKind::NotFound);
    assert_eq!(keys.rotate().await.unwrap_err().kind, PortErrorKind::Invalid);
    assert_eq!(server.asked().len(), 0);
}

/// A KMS with so many signing keys under the alias; what makes and names further ones is answered by `further`.
fn signing_kms(
    count: usize,
    further: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static {
    let pairs: Vec<_> = (0..8).map(|_| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()).collect();
    move |_, asked| {
        let request = asked.json();
        let id = request["KeyId"].as_str().unwrap_or_default();
        let number = match id.strip_prefix(ALIAS) {
            Some("") => Some(0),
            Some(behind) => behind.trim_start_matches('/').parse().ok().filter(|number| *number < count),
            None => id.strip_prefix("key-").and_then(|number| number.parse::<usize>().ok()),
        };
        match (asked.operation(), number) {
            ("GetPublicKey", Some(number)) => {
                let spki = [&der::P256[..], pairs[number].public_key().as_ref()].concat();
                Answer::json(&json!({"KeyId": format!("key-{number}"), "PublicKey": STANDARD.encode(spki)}))
            }
            ("GetPublicKey", None) => Answer::error(400, "NotFoundException"),
            ("Sign", Some(number)) => {
                assert_eq!(
                    (&request["MessageType"], &request["SigningAlgorithm"]),
                    (&json!("DIGEST"), &json!("ECDSA_SHA_256"))
                );
                let signature = pairs[number].sign(&SystemRandom::new(), b"not the digest").unwrap();
                Answer::json(&json!({"Signature": STANDARD.encode(signature)}))
            }
            ("GetKeyPolicy", Some(_)) => Answer::json(&json!({"Policy": "{}", "PolicyName": "default"})),
            ("ListResourceTags", Some(_)) => Answer::json(&json!({"Tags": [
                {"TagKey": "stage", "TagValue": "prod"}, {"TagKey": "aws:cloudformation:stack-name", "TagValue": "core"},
            ]})),
            _ => further(asked),
        }
    }
}

async fn signing(server: &Scripted) -> Arc<KmsKeys> {
    KmsKeys::signing(&server.config().await, "eu-west-1", KEY, "eu-west-1", ALIAS)
}

#[tokio::test]
async fn keys_are_read_once_and_further_ones_looked_for() {
    let server = Scripted::start(signing_kms(3, |_| Answer::error(400, "ValidationException"))).await;
    let keys = signing(&server).await;
    let all = keys.public_keys().await.unwrap();
    assert_eq!(all.iter().map(|key| key.current).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(keys.public_keys().await.unwrap(), all);
    let asked: Vec<_> = server.asked().iter().map(|asked| asked.json()["KeyId"].as_str().unwrap().to_owned()).collect();
    let aliases = ["", "/1", "/2", "/3", "/3"].map(|behind| format!("{ALIAS}{behind}"));
    assert_eq!(asked, aliases);
    let signature = keys.sign(&all[2].kid, &[0; 10_000]).await.unwrap();
    assert_eq!((signature.bytes.len(), server.asked().last().unwrap().json()["KeyId"].as_str()), (64, Some("key-0")));
}

#[tokio::test]
async fn a_rotated_key_has_the_policy_and_own_tags_of_the_one_before_and_an_alias_of_its_own() {
    let server = Scripted::start(signing_kms(1, |asked| match asked.operation() {
        "CreateKey" => Answer::json(&json!({"KeyMetadata": {"KeyId": "key-1", "Arn": "key-1"}})),
        _ => Answer::json(&json!({})),
    }))
    .await;
    let keys = signing(&server).await;
    let made = keys.rotate().await.unwrap();
    assert!(made.current);
    let asked = server.asked();
    let request = |operation: &str| asked.iter().find(|asked| asked.operation() == operation).unwrap().json();
    let create = request("CreateKey");
    assert_eq!(
        (&create["KeySpec"], &create["KeyUsage"], &create["Policy"]),
        (&json!("ECC_NIST_P256"), &json!("SIGN_VERIFY"), &json!("{}"))
    );
    assert_eq!(create["Tags"], json!([{"TagKey": "stage", "TagValue": "prod"}]));
    let alias = request("CreateAlias");
    assert_eq!(alias, json!({"AliasName": "alias/tributary/signing/1", "TargetKeyId": "key-1"}));
    // KMS does not know the new alias everywhere yet; who made it does.
    let all = keys.public_keys().await.unwrap();
    assert_eq!((all.len(), &all[0].kid, all[1].current), (2, &made.kid, false));
}

#[tokio::test]
async fn an_alias_that_another_took_is_passed_over_and_a_cut_off_rotation_changes_nothing() {
    let aliases = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&aliases);
    let server = Scripted::start(signing_kms(1, move |asked| match asked.operation() {
        "CreateKey" => Answer::json(&json!({"KeyMetadata": {"KeyId": "key-2", "Arn": "key-2"}})),
        _ => match count.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::error(400, "AccessDeniedException"),
            1 => Answer::error(400, "AlreadyExistsException"),
            _ => Answer::json(&json!({})),
        },
    }))
    .await;
    let keys = signing(&server).await;
    let before = keys.public_keys().await.unwrap();
    assert_eq!(keys.rotate().await.unwrap_err().kind, PortErrorKind::Denied);
    assert_eq!(keys.public_keys().await.unwrap(), before);
    keys.rotate().await.unwrap();
    let asked = server.asked();
    let names: Vec<_> = asked.iter().filter(|asked| asked.operation() == "CreateAlias").map(Asked::json).collect();
    let names: Vec<_> = names.iter().map(|request| request["AliasName"].as_str().unwrap()).collect();
    assert_eq!(names, ["alias/tributary/signing/1", "alias/tributary/signing/1", "alias/tributary/signing/2"]);
}

#[tokio::test]
async fn a_key_of_another_kind_signs_nothing() {
    let spki = STANDARD.encode([0; 91]);
    let server = Scripted::start(move |_, _| Answer::json(&json!({"KeyId": "key-0", "PublicKey": spki}))).await;
    let error = signing(&server).await.public_keys().await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Invalid, "{error}");
}

#[tokio::test]
async fn an_alias_that_is_not_there_is_said() {
    let server = Scripted::start(|_, _| Answer::error(400, "NotFoundException")).await;
    assert_eq!(signing(&server).await.public_keys().await.unwrap_err().kind, PortErrorKind::NotFound);
}
