//! Objects in one S3 bucket.
//!
//! Every put is encrypted by the bucket's KMS key (SSE-KMS with a bucket key, which spares most calls on KMS) under an
//! encryption context of ours, and carries a checksum that S3 holds against what it received; every get is held against
//! the checksum that was stored. Nobody is told apart by S3 who lacks the right and what is not there: a role needs
//! `s3:ListBucket`, or a missing object is `Denied`.
//!
//! A conditional put is S3's own (If-None-Match, If-Match). If its answer is lost, the second attempt meets what the first
//! one wrote and is told `Conflict`: who hears that reads again, as for anybody else's change.

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ServerSideEncryption};
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tributary_model::limits::{OBJECT_BYTES_MAX, OBJECTS_PAGE_MAX};
use tributary_ports::objects::{Condition, Etag, Object, check_key, check_size, is_key};
use tributary_ports::{Objects, PortError, PortErrorKind};

use crate::connector::AnswerTooLong;
use crate::error::{cause, port_error};

const PUT: &str = "objects.put";
const GET: &str = "objects.get";
const LIST: &str = "objects.list";
const DELETE: &str = "objects.delete";

/// A bucket.
pub struct S3Objects {
    client: Client,
    bucket: String,
    /// None for a bucket that is only read.
    encryption: Option<Encryption>,
    /// Whether somebody else names the objects, who keeps to no rule of ours for keys.
    foreign_keys: bool,
}

/// How puts are encrypted.
struct Encryption {
    key: String,
    /// JSON in base64: names the bucket, so that a key's policy and CloudTrail can tell buckets apart.
    context: String,
}

impl S3Objects {
    /// The bucket in `region`, whose objects are encrypted by the KMS key `key` (an ARN in the same region).
    #[must_use]
    pub fn new(config: &SdkConfig, region: &str, bucket: &str, key: &str) -> Arc<Self> {
        let context = serde_json::json!({ "tributary:bucket": bucket }).to_string();
        let encryption = Encryption { key: key.to_owned(), context: STANDARD.encode(context) };
        Arc::new(Self { encryption: Some(encryption), ..Self::in_region(config, region, bucket) })
    }

    /// The bucket in `region` for reading alone: a put is `Denied` here already.
    #[must_use]
    pub fn read_only(config: &SdkConfig, region: &str, bucket: &str) -> Arc<Self> {
        Arc::new(Self::in_region(config, region, bucket))
    }

    /// A bucket in `region` that an AWS service writes, under keys of any form: for reading and deleting alone.
    #[must_use]
    pub fn of_service(config: &SdkConfig, region: &str, bucket: &str) -> Arc<Self> {
        Arc::new(Self { foreign_keys: true, ..Self::in_region(config, region, bucket) })
    }

    fn in_region(config: &SdkConfig, region: &str, bucket: &str) -> Self {
        let config = aws_sdk_s3::config::Builder::from(config).region(Region::new(region.to_owned())).build();
        Self { client: Client::from_conf(config), bucket: bucket.to_owned(), encryption: None, foreign_keys: false }
    }

    fn check_key(&self, operation: &'static str, key: &str) -> Result<(), PortError> {
        if self.foreign_keys { Ok(()) } else { check_key(operation, key) }
    }

    fn encrypted_put(&self, key: &str, bytes: Bytes) -> Result<PutObjectFluentBuilder, PortError> {
        let only_read = || PortError::new(PortErrorKind::Denied, PUT, format!("{} is only read here", self.bucket));
        let encryption = self.encryption.as_ref().ok_or_else(only_read)?;
        let put = self.client.put_object().bucket(&self.bucket).key(key).body(ByteStream::from(bytes));
        Ok(put
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .ssekms_key_id(&encryption.key)
            .ssekms_encryption_context(&encryption.context)
            .bucket_key_enabled(true)
            .checksum_algorithm(ChecksumAlgorithm::Crc32))
    }
}

#[async_trait]
impl Objects for S3Objects {
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<Etag, PortError> {
        self.check_key(PUT, key)?;
        check_size(PUT, key, bytes.len())?;
        let put = self.encrypted_put(key, bytes)?;
        let put = match &condition {
            Condition::Always => put,
            Condition::Absent => put.if_none_match("*"),
            Condition::Unchanged(etag) => put.if_match(&*etag.0),
        };
        let stored = put.send().await.map_err(|error| {
            let gone = error.code() == Some("NoSuchKey");
            let failure = port_error(PUT, error);
            // What was to be unchanged was deleted.
            if gone { PortError { kind: PortErrorKind::Conflict, ..failure } } else { failure }
        })?;
        etag(PUT, stored.e_tag)
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, PortError> {
        self.check_key(GET, key)?;
        let get = self.client.get_object().bucket(&self.bucket).key(key).checksum_mode(ChecksumMode::Enabled);
        match get.send().await {
            Ok(found) => read(key, found).await.map(Some),
            Err(error) if error.code() == Some("NoSuchKey") => Ok(None),
            Err(error) if cause::<AnswerTooLong>(&error).is_some() => Err(too_long(key)),
            Err(error) => Err(port_error(GET, error)),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, PortError> {
        let mut keys = Vec::new();
        let mut after = after.map(str::to_owned);
        while keys.len() < limit {
            let page = i32::try_from((limit - keys.len()).min(OBJECTS_PAGE_MAX)).unwrap_or(i32::MAX);
            let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(page);
            let listed = list.set_start_after(after.take()).send().await.map_err(|error| port_error(LIST, error))?;
            let more = listed.is_truncated == Some(true);
            let found: Vec<String> =
                listed.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect();
            after = found.last().cloned().filter(|_| more);
            keys.extend(found.into_iter().filter(|key| self.foreign_keys || is_key(key)));
            if after.is_none() {
                break;
            }
        }
        Ok(keys)
    }

    async fn delete(&self, key: &str) -> Result<(), PortError> {
        self.check_key(DELETE, key)?;
        let delete = self.client.delete_object().bucket(&self.bucket).key(key);
        delete.send().await.map(drop).map_err(|error| port_error(DELETE, error))
    }
}

/// Reads an object whose length the answer tells; one without is cut by the connector.
async fn read(key: &str, found: GetObjectOutput) -> Result<Object, PortError> {
    check_size(GET, key, found.content_length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0))?;
    let etag = etag(GET, found.e_tag)?;
    let broken =
        |_| PortError::new(PortErrorKind::Unavailable, GET, format!("{key} broke off, or is not as it was put"));
    let bytes = found.body.collect().await.map_err(broken)?.into_bytes();
    check_size(GET, key, bytes.len())?;
    Ok(Object { bytes, etag })
}

fn too_long(key: &str) -> PortError {
    let detail = format!("the object {key} has more than {OBJECT_BYTES_MAX} bytes");
    PortError::new(PortErrorKind::Invalid, GET, detail)
}

fn etag(operation: &'static str, etag: Option<String>) -> Result<Etag, PortError> {
    let missing = || PortError::new(PortErrorKind::Unavailable, operation, "the answer has no ETag");
    etag.map(|etag| Etag(etag.into())).ok_or_else(missing)
}

#[cfg(test)]
mod tests;
