//! The key store: one data key, which it hands out and takes back.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tributary_ports::keys::{DATA_KEY_BYTES, DataKey, PublicKey, Purpose, Signature};
use tributary_ports::{Keys, PortError, PortErrorKind};

use super::not_asked;
use crate::story::About;
use crate::weather::Place;
use crate::world::World;

pub(crate) struct MemoryKeys {
    world: Arc<World>,
}

impl MemoryKeys {
    pub(crate) fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { world })
    }
}

fn data_key(purpose: Purpose) -> DataKey {
    let byte = match purpose {
        Purpose::DeadLetter => 1,
        Purpose::Overflow => 2,
    };
    DataKey { plaintext: [byte; DATA_KEY_BYTES].into(), wrapped: Bytes::from_static(purpose.as_str().as_bytes()) }
}

#[async_trait]
impl Keys for MemoryKeys {
    async fn sign(&self, _: &str, _: &[u8]) -> Result<Signature, PortError> {
        not_asked("keys.sign")
    }

    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError> {
        not_asked("keys.public_keys")
    }

    async fn rotate(&self) -> Result<PublicKey, PortError> {
        not_asked("keys.rotate")
    }

    async fn data_key(&self, purpose: Purpose) -> Result<DataKey, PortError> {
        self.world.call(Place::Keys, "keys.data_key", About::Nobody, |_| Ok(data_key(purpose))).await
    }

    async fn unwrap_key(&self, purpose: Purpose, wrapped: &[u8]) -> Result<DataKey, PortError> {
        let effect = |_| match wrapped == purpose.as_str().as_bytes() {
            true => Ok(data_key(purpose)),
            false => Err(PortError::new(PortErrorKind::Invalid, "keys.unwrap_key", "it is another's")),
        };
        self.world.call(Place::Keys, "keys.unwrap_key", About::Nobody, effect).await
    }
}
