//! Where a function reads the directory: an object of its region's bucket, an address, or a file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_lc_rs::digest::{SHA256, digest};
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use tributary_model::directory::{DirectoryPlace, OBJECT_KEY};
use tributary_model::limits::{AWS_CALL_TIMEOUT, OBJECT_BYTES_MAX};
use tributary_ports::objects::{Condition, Etag, Object, check_size};
use tributary_ports::{Objects, PortError, PortErrorKind};

use crate::connector::Connections;
use crate::error::kind;
use crate::objects::S3Objects;

const READ: &str = "directory.read";

/// The store in which the directory lies and its key there, for reading alone. `region` is the function's own.
#[must_use]
pub fn open(config: &SdkConfig, region: &str, place: &DirectoryPlace) -> (Arc<dyn Objects>, String) {
    let document = |source| (Arc::new(Document { source }) as Arc<dyn Objects>, OBJECT_KEY.to_owned());
    match place {
        DirectoryPlace::Object { bucket, key } => (S3Objects::read_only(config, region, bucket), key.clone()),
        DirectoryPlace::Url(url) => document(Source::Url(url.clone(), Connections::default())),
        DirectoryPlace::File(path) => document(Source::File(path.clone())),
    }
}

/// One document, whatever key is asked for.
struct Document {
    source: Source,
}

enum Source {
    Url(String, Connections),
    File(PathBuf),
}

#[async_trait]
impl Objects for Document {
    async fn get(&self, _: &str) -> Result<Option<Object>, PortError> {
        let bytes = match &self.source {
            Source::Url(url, connections) => fetch(url, connections).await?,
            Source::File(path) => read(path.clone()).await?,
        };
        let etag = |bytes: &Bytes| Etag(URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes)).into());
        Ok(bytes.map(|bytes| Object { etag: etag(&bytes), bytes }))
    }

    async fn put(&self, _: &str, _: Bytes, _: Condition) -> Result<Etag, PortError> {
        Err(only_read())
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<String>, PortError> {
        Err(only_read())
    }

    async fn delete(&self, _: &str) -> Result<(), PortError> {
        Err(only_read())
    }
}

fn only_read() -> PortError {
    PortError::new(PortErrorKind::Denied, READ, "the directory is only read here")
}

async fn fetch(url: &str, connections: &Connections) -> Result<Option<Bytes>, PortError> {
    let unavailable = |detail: &'static str| PortError::new(PortErrorKind::Unavailable, READ, detail);
    let request = HttpRequest::get(url);
    let request = request.map_err(|_| PortError::new(PortErrorKind::Invalid, READ, "the address is none"))?;
    let fetched = async {
        let answer = connections.call(request).await.map_err(|_| unavailable("the address does not answer"))?;
        match answer.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status => return Err(PortError::new(kind(status, None), READ, format!("the address answers {status}"))),
        }
        let broken = |_| unavailable("the answer broke off");
        let bytes = ByteStream::new(answer.into_body()).collect().await.map_err(broken)?.into_bytes();
        check_size(READ, OBJECT_KEY, bytes.len())?;
        Ok(Some(bytes))
    };
    tokio::time::timeout(AWS_CALL_TIMEOUT, fetched).await.map_err(|_| unavailable("no answer in time"))?
}

async fn read(path: PathBuf) -> Result<Option<Bytes>, PortError> {
    let failed = |error: &dyn std::fmt::Display| PortError::new(PortErrorKind::Unavailable, READ, error.to_string());
    let read = move || {
        let mut bytes = Vec::new();
        File::open(path)?.take(OBJECT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    match tokio::task::spawn_blocking(read).await.map_err(|error| failed(&error))? {
        Ok(bytes) => check_size(READ, OBJECT_KEY, bytes.len()).map(|()| Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, Scripted};

    async fn at(place: DirectoryPlace) -> Result<Option<Object>, PortError> {
        let (objects, key) = open(&crate::testing::config("http://127.0.0.1:9").await, "eu-west-1", &place);
        assert_eq!(objects.delete(&key).await.unwrap_err().kind, PortErrorKind::Denied);
        objects.get(&key).await
    }

    #[tokio::test]
    async fn an_address_is_fetched_and_told_by_its_status() {
        for (status, kind) in [(503, PortErrorKind::Unavailable), (403, PortErrorKind::Denied)] {
            let server = Scripted::start(move |_, _| Answer::Whole(status, Vec::new(), Bytes::new())).await;
            let error = at(DirectoryPlace::Url(server.endpoint.clone())).await.unwrap_err();
            assert_eq!(error.kind, kind, "{error}");
        }
        let missing = Scripted::start(|_, _| Answer::Whole(404, Vec::new(), Bytes::new())).await;
        assert_eq!(at(DirectoryPlace::Url(missing.endpoint.clone())).await.unwrap(), None);
        let server = Scripted::start(|_, _| Answer::Whole(200, Vec::new(), "{}".into())).await;
        let url = DirectoryPlace::Url(format!("{}/directory.json", server.endpoint));
        let (first, second) = (at(url.clone()).await.unwrap().unwrap(), at(url).await.unwrap().unwrap());
        assert_eq!((first.bytes.as_ref(), &first.etag), (&b"{}"[..], &second.etag));
        assert_eq!(server.asked()[0].target, "/directory.json");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut() {
        let server = Scripted::start(|_, _| Answer::Chunked(vec![Bytes::from(vec![0; OBJECT_BYTES_MAX]); 2])).await;
        let error = at(DirectoryPlace::Url(server.endpoint.clone())).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Invalid, "{error}");
    }

    #[tokio::test]
    async fn a_file_is_read_each_time() {
        let manifest = DirectoryPlace::File(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into());
        assert!(at(manifest).await.unwrap().unwrap().bytes.starts_with(b"[package]"));
        assert_eq!(at(DirectoryPlace::File("/nowhere/directory.json".into())).await.unwrap(), None);
    }
}
