//! ListShards, parents first.

use std::collections::HashSet;

use aws_sdk_kinesis::types::Shard as Listed;
use tributary_model::limits;
use tributary_ports::stream::{Shard, ShardId};
use tributary_ports::{PortError, PortErrorKind};

use super::KinesisStream;
use crate::error::port_error;

const SHARDS: &str = "stream.shards";

impl KinesisStream {
    pub(super) async fn list_shards(&self) -> Result<Vec<Shard>, PortError> {
        let mut listed = Vec::new();
        let mut token = None;
        for _ in 0..limits::KINESIS_LIST_PAGES_MAX {
            let request = self.client.list_shards().max_results(i32::from(limits::KINESIS_LIST_SHARDS_MAX));
            // A token stands for the stream's name, too; Kinesis refuses both together.
            let request = match token {
                None => request.set_stream_name(self.name.plain()).set_stream_arn(self.name.arn()),
                Some(token) => request.next_token(token),
            };
            let answer = request.send().await.map_err(|error| port_error(SHARDS, error))?;
            listed.extend(answer.shards.unwrap_or_default());
            token = answer.next_token;
            if token.is_none() {
                return Ok(parents_first(listed));
            }
        }
        let detail = format!("the listing has more than {} pages", limits::KINESIS_LIST_PAGES_MAX);
        Err(PortError::new(PortErrorKind::Unavailable, SHARDS, detail))
    }
}

/// In the order of the listing, but for children, which wait for what they came from. A parent whose retention is over is
/// listed no more, and named by no child.
fn parents_first(listed: Vec<Listed>) -> Vec<Shard> {
    let there: HashSet<String> = listed.iter().map(|shard| shard.shard_id.clone()).collect();
    let mut waiting: Vec<Shard> = listed.into_iter().map(|listed| shard(listed, &there)).collect();
    let (mut ordered, mut placed) = (Vec::with_capacity(waiting.len()), HashSet::new());
    while !waiting.is_empty() {
        let (ready, rest): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|shard| shard.parents.iter().all(|parent| placed.contains(parent)));
        if ready.is_empty() {
            // Shards that descend from one another in a ring are no order at all: as they were listed.
            ordered.extend(rest);
            break;
        }
        placed.extend(ready.iter().map(|shard| shard.id.clone()));
        ordered.extend(ready);
        waiting = rest;
    }
    ordered
}

fn shard(listed: Listed, there: &HashSet<String>) -> Shard {
    let parents = [listed.parent_shard_id, listed.adjacent_parent_shard_id].into_iter().flatten();
    let parents = parents.filter(|parent| there.contains(parent)).map(|parent| ShardId(parent.into())).collect();
    Shard { id: ShardId(listed.shard_id.into()), parents }
}
