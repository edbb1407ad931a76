//! The keys that sign tokens, by their aliases.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_kms::Client;
use aws_sdk_kms::operation::create_alias::CreateAliasError;
use aws_sdk_kms::operation::get_public_key::{GetPublicKeyError, GetPublicKeyOutput};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, MessageType, SigningAlgorithmSpec, Tag};
use tributary_model::limits::{KMS_TAGS_MAX, SIGNING_KEYS_MAX};
use tributary_ports::keys::{PublicKey, Signature};
use tributary_ports::{PortError, PortErrorKind};

use super::der;
use crate::error::port_error;

const SIGN: &str = "keys.sign";
const READ: &str = "keys.public_keys";
const ROTATE: &str = "keys.rotate";
/// How the names of tags begin that AWS alone may give.
const AWS_TAG: &str = "aws:";

/// Signs with the last key under an alias.
pub(super) struct Signing {
    client: Client,
    /// The first key's alias, an ARN.
    alias: String,
    /// The keys that were read, the first one first. A key of a numbered alias never changes, so none is read twice.
    known: Mutex<Vec<Known>>,
}

#[derive(Clone)]
struct Known {
    /// The key's ARN.
    arn: String,
    public: PublicKey,
}

impl Signing {
    pub(super) fn new(client: Client, alias: &str) -> Self {
        Self { client, alias: alias.to_owned(), known: Mutex::default() }
    }

    pub(super) async fn sign(&self, kid: &str, message: &[u8]) -> Result<Signature, PortError> {
        let key = match self.find(kid) {
            Some(key) => key,
            None => {
                self.read_further().await?;
                self.find(kid).ok_or_else(|| no_key(kid))?
            }
        };
        // KMS takes 4,096 bytes of a message, or the digest of one of any length.
        let digest = Blob::new(digest(&SHA256, message).as_ref());
        let sign = self.client.sign().key_id(key.arn).message(digest).message_type(MessageType::Digest);
        let signed = sign.signing_algorithm(SigningAlgorithmSpec::EcdsaSha256).send().await;
        let signed = signed.map_err(|error| port_error(SIGN, error))?;
        let bytes = signed.signature.and_then(|signature| der::signature(signature.as_ref()));
        Ok(Signature { kid: kid.to_owned(), bytes: bytes.ok_or_else(|| no_answer(SIGN, "an ECDSA signature"))? })
    }

    pub(super) async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError> {
        let known = self.read_further().await?;
        let last_first = known.into_iter().rev().enumerate();
        Ok(last_first.map(|(age, key)| PublicKey { current: age == 0, ..key.public }).collect())
    }

    /// Makes a key as the current one is made, with its policy and tags, and gives it the next alias.
    pub(super) async fn rotate(&self) -> Result<PublicKey, PortError> {
        let known = self.read_further().await?;
        let current = known.last().ok_or_else(|| no_answer(ROTATE, "a current key"))?;
        let arn = self.create_like(current).await?;
        for number in known.len()..SIGNING_KEYS_MAX {
            let alias = self.alias(number);
            let name = alias.rsplit(':').next().unwrap_or_default();
            match self.client.create_alias().alias_name(name).target_key_id(&arn).send().await {
                Ok(_) => return self.enter(number, &arn).await,
                Err(error) if error.as_service_error().is_some_and(CreateAliasError::is_already_exists_exception) => {}
                Err(error) => return Err(port_error(ROTATE, error)),
            }
        }
        let detail = format!("{} has {SIGNING_KEYS_MAX} keys, the most there may be", self.alias);
        Err(PortError::new(PortErrorKind::Invalid, ROTATE, detail))
    }

    /// The new key, kept if those before it are: KMS may take some seconds until it knows a new alias everywhere.
    async fn enter(&self, number: usize, arn: &str) -> Result<PublicKey, PortError> {
        let made = self.client.get_public_key().key_id(arn).send().await;
        let made = known(ROTATE, made.map_err(|error| port_error(ROTATE, error))?)?;
        if number > self.known().len() {
            self.read_further().await?; // two rotations at once: the other's key comes first
        }
        self.keep(number, made.clone());
        Ok(made.public)
    }

    async fn create_like(&self, current: &Known) -> Result<String, PortError> {
        let policy = self.client.get_key_policy().key_id(&current.arn).send().await;
        let policy = policy.map_err(|error| port_error(ROTATE, error))?.policy;
        let tags = self.client.list_resource_tags().key_id(&current.arn).limit(KMS_TAGS_MAX).send().await;
        let tags = tags.map_err(|error| port_error(ROTATE, error))?.tags.unwrap_or_default();
        let own: Vec<Tag> = tags.into_iter().filter(|tag| !tag.tag_key.starts_with(AWS_TAG)).collect();
        let create = self.client.create_key().key_spec(KeySpec::EccNistP256).key_usage(KeyUsageType::SignVerify);
        let create = create.description(format!("Signs tokens; made for an alias behind {}", self.alias));
        let made = create.set_policy(policy).set_tags((!own.is_empty()).then_some(own)).send().await;
        let metadata = made.map_err(|error| port_error(ROTATE, error))?.key_metadata;
        metadata.and_then(|made| made.arn).ok_or_else(|| no_answer(ROTATE, "the new key"))
    }

    /// Reads the keys behind those that are known, and answers all.
    async fn read_further(&self) -> Result<Vec<Known>, PortError> {
        let mut all = self.known().clone();
        while all.len() < SIGNING_KEYS_MAX {
            match self.read_numbered(all.len()).await? {
                Some(key) => {
                    self.keep(all.len(), key.clone());
                    all.push(key);
                }
                None => break,
            }
        }
        Ok(all)
    }

    /// The key of an alias; none if there is no such alias. The first has to be there.
    async fn read_numbered(&self, number: usize) -> Result<Option<Known>, PortError> {
        let absent = |error: &GetPublicKeyError| number > 0 && error.is_not_found_exception();
        match self.client.get_public_key().key_id(self.alias(number)).send().await {
            Ok(answer) => known(READ, answer).map(Some),
            Err(error) if error.as_service_error().is_some_and(absent) => Ok(None),
            Err(error) => Err(port_error(READ, error)),
        }
    }

    fn alias(&self, number: usize) -> String {
        if number == 0 { self.alias.clone() } else { format!("{}/{number}", self.alias) }
    }

    fn find(&self, kid: &str) -> Option<Known> {
        self.known().iter().find(|key| key.public.kid == kid).cloned()
    }

    /// Keeps a key in its place, if it is the next one.
    fn keep(&self, number: usize, key: Known) {
        let mut known = self.known();
        if known.len() == number {
            known.push(key);
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key as `GetPublicKey` answers it.
fn known(operation: &'static str, answer: GetPublicKeyOutput) -> Result<Known, PortError> {
    let point = answer.public_key.as_ref().and_then(|spki| der::point(spki.as_ref()));
    let public = point.and_then(|point| PublicKey::es256(point, true));
    match (answer.key_id, public) {
        (Some(arn), Some(public)) => Ok(Known { arn, public }),
        _ => Err(PortError::new(PortErrorKind::Invalid, operation, "the signing key is not of the kind ECC_NIST_P256")),
    }
}

pub(super) fn no_key(kid: &str) -> PortError {
    PortError::new(PortErrorKind::NotFound, SIGN, format!("there is no key {kid:?}"))
}

pub(super) fn nothing_to_rotate() -> PortError {
    PortError::new(PortErrorKind::Invalid, ROTATE, "no signing key is set here")
}

fn no_answer(operation: &'static str, what: &str) -> PortError {
    PortError::new(PortErrorKind::Unavailable, operation, format!("KMS did not answer {what}"))
}
