//! How far a consumer has come: one file for each, `<target>.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tributary_ports::stream::{Position, SequenceNumber, ShardId};
use tributary_ports::{PortError, Target};

use crate::{blocking, files};

/// How far a shard is handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Progress {
    /// All records up to this one.
    After(SequenceNumber),
    /// The shard has ended, and all its records.
    Finished,
}

/// The progress of all shards. It is never ahead of what was handled. A file that is lost or can't be read counts as
/// empty: all that the stream keeps comes again, which is harmless, whereas what is left out is lost.
#[derive(Debug)]
pub(super) struct Checkpoints {
    dir: PathBuf,
    name: String,
    shards: Mutex<BTreeMap<ShardId, Progress>>,
}

impl Checkpoints {
    pub(super) fn open(dir: &Path, target: Target) -> Arc<Self> {
        let name = format!("{}.json", target.as_str());
        let read = fs::read(dir.join(&name)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Arc::new(Self { dir: dir.to_owned(), name, shards: Mutex::new(read.unwrap_or_default()) })
    }

    pub(super) fn get(&self, shard: &ShardId) -> Option<Progress> {
        self.lock().get(shard).cloned()
    }

    pub(super) fn is_finished(&self, shard: &ShardId) -> bool {
        self.get(shard) == Some(Progress::Finished)
    }

    /// Where to read for what is not handled yet.
    pub(super) fn position(&self, shard: &ShardId) -> Position {
        match self.get(shard) {
            Some(Progress::After(number)) => Position::After(number),
            Some(Progress::Finished) | None => Position::Horizon,
        }
    }

    /// Forgets the shards that are not among these.
    pub(super) fn keep(&self, listed: &BTreeSet<&ShardId>) {
        self.lock().retain(|shard, _| listed.contains(shard));
    }

    /// Writes down how far a shard is handled.
    ///
    /// The file is replaced atomically and not synced: the checkpoint that a loss of power brings back is an older one,
    /// or none, and a sync of it would hold up the stream's.
    pub(super) async fn put(self: &Arc<Self>, shard: ShardId, progress: Progress) -> Result<(), PortError> {
        let checkpoints = Arc::clone(self);
        blocking::run("poller.checkpoint", move || {
            let mut shards = checkpoints.lock();
            shards.insert(shard, progress);
            checkpoints.write(&shards).map_err(files::failed("poller.checkpoint", &checkpoints.dir))
        })
        .await
    }

    fn write(&self, shards: &BTreeMap<ShardId, Progress>) -> io::Result<()> {
        // Always the same name: nothing piles up when the process ends halfway.
        let unfinished = self.dir.join(format!("{}.unfinished", self.name));
        File::create(&unfinished)?.write_all(&serde_json::to_vec(shards)?)?;
        fs::rename(unfinished, self.dir.join(&self.name))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, Progress>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(name: &str) -> ShardId {
        ShardId(name.into())
    }

    #[tokio::test]
    async fn progress_survives_and_an_unreadable_file_begins_at_the_horizon() {
        let folder = tempfile::tempdir().unwrap();
        let after = Progress::After(SequenceNumber("49590338271490256608559692538361571095".into()));
        let checkpoints = Checkpoints::open(folder.path(), Target::Search);
        checkpoints.put(shard("a"), after.clone()).await.unwrap();
        checkpoints.put(shard("b"), Progress::Finished).await.unwrap();

        let reopened = Checkpoints::open(folder.path(), Target::Search);
        assert_eq!((reopened.get(&shard("a")), reopened.is_finished(&shard("b"))), (Some(after), true));
        assert_eq!(Checkpoints::open(folder.path(), Target::Ledger).get(&shard("a")), None);

        let file = files::prepare(folder.path(), br#"{"a":{"aft"#).unwrap();
        files::publish(file, folder.path(), "search.json").unwrap();
        assert_eq!(Checkpoints::open(folder.path(), Target::Search).position(&shard("a")), Position::Horizon);
    }

    #[test]
    fn shards_that_are_gone_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(folder.path(), Target::Search);
        checkpoints.lock().insert(shard("a"), Progress::Finished);
        checkpoints.lock().insert(shard("b"), Progress::Finished);
        checkpoints.keep(&BTreeSet::from([&shard("b")]));
        assert_eq!((checkpoints.get(&shard("a")), checkpoints.is_finished(&shard("b"))), (None, true));
    }
}
