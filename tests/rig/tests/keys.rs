//! The key store's adapter: signing keys on MiniStack, which signs digests and knows key states; data keys on moto, which
//! notices every change of what it wrapped.

#![expect(clippy::expect_used, reason = "a test's own functions fail as tests do")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use tributary_aws::keys::{KmsKeys, SealingKeys};
use tributary_aws::sdk::SdkConfig;
use tributary_ports::envelope::{open, seal};
use tributary_ports::keys::{DataKey, PublicKey, Purpose, Signature};
use tributary_ports::{Keys, PortError, PortErrorKind, contract};
use tributary_rig::ministack::Ministack;
use tributary_rig::moto::Moto;
use tributary_rig::{REGION, sdk_config};

/// A new symmetric key's ARN.
async fn data_key(config: &SdkConfig) -> String {
    let made = Client::new(config).create_key().send().await.expect("a key");
    made.key_metadata.and_then(|made| made.arn).expect("its ARN")
}

/// The ARN of a new alias, which a new signing key has.
async fn signing_alias(config: &SdkConfig, name: &str) -> String {
    let client = Client::new(config);
    let create = client.create_key().key_spec(KeySpec::EccNistP256).key_usage(KeyUsageType::SignVerify);
    let arn = create.send().await.expect("a key").key_metadata.and_then(|made| made.arn).expect("its ARN");
    client.create_alias().alias_name(format!("alias/{name}")).target_key_id(&arn).send().await.expect("an alias");
    let (account, _) = arn.split_once(":key/").expect("a key's ARN");
    format!("{account}:alias/{name}")
}

/// Each half of the port on the peer that checks it best.
struct Halves {
    signing: Arc<KmsKeys>,
    sealing: Arc<SealingKeys>,
}

#[async_trait]
impl Keys for Halves {
    async fn sign(&self, kid: &str, message: &[u8]) -> Result<Signature, PortError> {
        self.signing.sign(kid, message).await
    }

    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError> {
        self.signing.public_keys().await
    }

    async fn rotate(&self) -> Result<PublicKey, PortError> {
        self.signing.rotate().await
    }

    async fn data_key(&self, purpose: Purpose) -> Result<DataKey, PortError> {
        self.sealing.data_key(purpose).await
    }

    async fn unwrap_key(&self, purpose: Purpose, wrapped: &[u8]) -> Result<DataKey, PortError> {
        self.sealing.unwrap_key(purpose, wrapped).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kms_keeps_the_contract_of_keys() {
    let (ministack, moto) = (Ministack::start().await, Moto::start().await);
    let (signing_config, sealing_config) = (sdk_config(&ministack.endpoint).await, sdk_config(&moto.endpoint).await);
    let made = AtomicUsize::new(0);
    contract::keys::all(async || {
        let alias = signing_alias(&signing_config, &format!("signing-{}", made.fetch_add(1, Ordering::Relaxed))).await;
        let key = data_key(&sealing_config).await;
        let signing = KmsKeys::signing(&signing_config, REGION, &key, REGION, &alias);
        let store: Arc<dyn Keys> =
            Arc::new(Halves { signing, sealing: KmsKeys::sealing(&sealing_config, REGION, &key) });
        store
    })
    .await;
}

#[tokio::test]
async fn another_process_finds_the_keys_in_their_order() {
    let ministack = Ministack::start().await;
    let config = sdk_config(&ministack.endpoint).await;
    let alias = signing_alias(&config, "shared").await;
    let (here, there) = (0, 1);
    let stores = [here, there].map(|_| KmsKeys::signing(&config, REGION, "unused", REGION, &alias));
    let first = stores[there].public_keys().await.expect("keys").pop().expect("a key");
    let second = stores[here].rotate().await.expect("a rotation");
    let third = stores[there].rotate().await.expect("a rotation");
    for store in &stores {
        let kids: Vec<String> = store.public_keys().await.expect("keys").into_iter().map(|key| key.kid).collect();
        assert_eq!(kids, [third.kid.clone(), second.kid.clone(), first.kid.clone()]);
        assert_eq!(store.sign(&second.kid, b"x").await.expect("a signature").bytes.len(), 64);
    }
}

#[tokio::test]
async fn a_key_that_is_disabled_or_about_to_be_deleted_is_denied() {
    let ministack = Ministack::start().await;
    let config = sdk_config(&ministack.endpoint).await;
    let client = Client::new(&config);
    for deleted in [false, true] {
        let key = data_key(&config).await;
        let sealed =
            seal(&*KmsKeys::sealing(&config, REGION, &key), Purpose::Overflow, "a", b"x").await.expect("sealed");
        if deleted {
            client.schedule_key_deletion().key_id(&key).send().await.expect("scheduled");
        } else {
            client.disable_key().key_id(&key).send().await.expect("disabled");
        }
        let store = KmsKeys::sealing(&config, REGION, &key);
        for error in [
            open(&*store, Purpose::Overflow, "a", &sealed).await.expect_err("a refusal"),
            store.data_key(Purpose::Overflow).await.expect_err("a refusal"),
        ] {
            assert_eq!(error.kind, PortErrorKind::Denied, "deleted: {deleted}: {error}");
        }
    }
}
