//! Kinesis as kinesis-local knows it: resharding, times, limits, fan-out; it throttles nothing and forgets nothing.
//!
//! It listens on all interfaces and can't be told otherwise; its ports are the kernel's choice, and it holds what a test
//! made up.

mod expiring;

use std::process::Command;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::StreamStatus;

use crate::process::{Process, free_port, peer, until};
use crate::sdk_config;

/// A running kinesis-local, or kinesalite ([`Kinesis::expiring`]).
#[derive(Debug)]
pub struct Kinesis {
    process: Process,
    /// Where it listens, `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// What makes, divides and merges its streams.
    pub client: Client,
}

impl Kinesis {
    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// If it is not installed or does not start.
    pub async fn start() -> Self {
        let (plain, tls) = (free_port(), free_port());
        let program = peer("kinesis").join("node_modules/kinesis-local");
        let mut command = Command::new("node");
        command.arg(program.join("main.js")).env("KINESIS_MOCK_CERT_PATH", program.join("server.json"));
        command.env("KINESIS_MOCK_PLAIN_PORT", plain.to_string()).env("KINESIS_MOCK_TLS_PORT", tls.to_string());
        command.env("AWS_REGION", crate::REGION).env("SHARD_LIMIT", "1000").env("LOG_LEVEL", "ERROR");
        // What takes AWS some time is to take some here, so that nothing counts on its being at once.
        for change in ["CREATE_STREAM", "DELETE_STREAM", "SPLIT_SHARD", "MERGE_SHARDS", "REGISTER_STREAM_CONSUMER"] {
            command.env(format!("{change}_DURATION"), "50ms");
        }
        let mut process = Process::start("kinesis-local", &mut command);
        process.listens(plain).await;
        let endpoint = format!("http://127.0.0.1:{plain}");
        let client = Client::new(&sdk_config(&endpoint).await);
        process.until("it lists its streams", async || client.list_streams().send().await.ok()).await;
        Self { process, endpoint, client }
    }

    /// Makes a stream and waits until it can be used.
    ///
    /// # Panics
    /// If it can't be made.
    pub async fn create(&self, stream: &str, shards: i32) {
        self.told("a new stream", self.client.create_stream().stream_name(stream).shard_count(shards).send().await);
        self.settled(stream).await;
    }

    /// The shards that take records, in the order of their keys.
    ///
    /// # Panics
    /// If there is no such stream.
    pub async fn open(&self, stream: &str) -> Vec<String> {
        let listed = self.told("the shards", self.client.list_shards().stream_name(stream).send().await).shards;
        let mut open: Vec<(u128, String)> = Vec::new();
        for shard in listed.unwrap_or_default() {
            let (keys, numbers) = (shard.hash_key_range.expect("keys"), shard.sequence_number_range.expect("numbers"));
            if numbers.ending_sequence_number.is_none() {
                open.push((keys.starting_hash_key.parse().unwrap(), shard.shard_id));
            }
        }
        open.sort();
        open.into_iter().map(|(_, shard)| shard).collect()
    }

    /// Divides a shard in the middle of its keys, and waits until its children take records.
    ///
    /// # Panics
    /// If there is no such shard.
    pub async fn split(&self, stream: &str, shard: &str) {
        let listed = self.told("the shards", self.client.list_shards().stream_name(stream).send().await).shards;
        let listed = listed.unwrap_or_default().into_iter().find(|listed| listed.shard_id == shard).expect("the shard");
        let range = listed.hash_key_range.expect("a range of keys");
        let [start, end] = [range.starting_hash_key, range.ending_hash_key].map(|key| key.parse::<u128>().unwrap());
        let middle = (start + (end - start) / 2).to_string();
        let request = self.client.split_shard().stream_name(stream).shard_to_split(shard).new_starting_hash_key(middle);
        self.told("a split", request.send().await);
        self.settled(stream).await;
    }

    /// Merges two neighbouring shards, and waits until their child takes records.
    ///
    /// # Panics
    /// If they are no neighbours.
    pub async fn merge(&self, stream: &str, shard: &str, adjacent: &str) {
        let request = self.client.merge_shards().stream_name(stream).shard_to_merge(shard);
        self.told("a merger", request.adjacent_shard_to_merge(adjacent).send().await);
        self.settled(stream).await;
    }

    /// How many fan-out consumers a stream has.
    ///
    /// # Panics
    /// If there is no such stream.
    pub async fn readers(&self, stream: &str) -> usize {
        let summary = self.told("the stream", self.client.describe_stream_summary().stream_name(stream).send().await);
        let arn = summary.stream_description_summary.expect("its description").stream_arn;
        let consumers = self.told("its consumers", self.client.list_stream_consumers().stream_arn(arn).send().await);
        consumers.consumers().len()
    }

    /// Its process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// Its answer; without one, the test ends with the end of its log, which may say why.
    fn told<T, E: std::fmt::Debug>(&self, what: &str, answer: Result<T, E>) -> T {
        answer.unwrap_or_else(|error| panic!("{what}: {error:?}\n{}", self.process.log_end()))
    }

    async fn settled(&self, stream: &str) {
        until("the stream is active", async || {
            let summary = self.client.describe_stream_summary().stream_name(stream).send().await.ok()?;
            let is_active = summary.stream_description_summary?.stream_status == StreamStatus::Active;
            is_active.then_some(())
        })
        .await;
    }
}
