//! Keys in KMS: an asymmetric one signs tokens, a symmetric one wraps data keys; neither ever leaves KMS.
//!
//! KMS does not rotate asymmetric keys, and moves no alias together with anything else. So a rotation makes a new key and
//! gives it an alias of its own: the first signing key has the alias that the settings name, the next ones `/1`, `/2` and
//! so on behind it, and the last one there is signs. Giving the alias is the one step that counts, and KMS gives an alias
//! once: of two rotations at once the slower takes the next number. A rotation that is cut off before leaves a key without
//! an alias, which signs nothing; its description says what it was made for, so that it can be deleted.

mod der;
mod sealing;
mod signing;

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::{Region, SdkConfig};
use aws_sdk_kms::Client;
use tributary_ports::keys::{DataKey, PublicKey, Purpose, Signature};
use tributary_ports::{Keys, PortError};

use sealing::Sealing;
use signing::Signing;

/// The key store of an operator: it signs tokens as well.
pub struct KmsKeys {
    sealing: Sealing,
    signing: Signing,
}

/// The key store of a function: it wraps data keys, and has nothing to sign with and so no public keys. A type of its own, so that
/// no function carries what makes signing keys.
pub struct SealingKeys(Sealing);

impl KmsKeys {
    /// Data keys wrapped by `key`, an ARN in `region`, and no tokens.
    #[must_use]
    pub fn sealing(config: &SdkConfig, region: &str, key: &str) -> Arc<SealingKeys> {
        Arc::new(SealingKeys(Sealing::new(client(config, region), key)))
    }

    /// The same, and tokens signed by the keys under `alias`, an ARN in `alias_region`.
    #[must_use]
    pub fn signing(config: &SdkConfig, region: &str, key: &str, alias_region: &str, alias: &str) -> Arc<Self> {
        let signing = Signing::new(client(config, alias_region), alias);
        Arc::new(Self { sealing: Sealing::new(client(config, region), key), signing })
    }
}

fn client(config: &SdkConfig, region: &str) -> Client {
    let config = aws_sdk_kms::config::Builder::from(config).region(Region::new(region.to_owned())).build();
    Client::from_conf(config)
}

#[async_trait]
impl Keys for KmsKeys {
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

#[async_trait]
impl Keys for SealingKeys {
    async fn sign(&self, kid: &str, _: &[u8]) -> Result<Signature, PortError> {
        Err(signing::no_key(kid))
    }

    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError> {
        Ok(Vec::new())
    }

    async fn rotate(&self) -> Result<PublicKey, PortError> {
        Err(signing::nothing_to_rotate())
    }

    async fn data_key(&self, purpose: Purpose) -> Result<DataKey, PortError> {
        self.0.data_key(purpose).await
    }

    async fn unwrap_key(&self, purpose: Purpose, wrapped: &[u8]) -> Result<DataKey, PortError> {
        self.0.unwrap_key(purpose, wrapped).await
    }
}

#[cfg(test)]
mod tests;
