//! Control over the pollers of this machine: one file for each consumer, which says whether it is paused.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tributary_model::store_settings::Batches;
use tributary_ports::{ConsumerState, Control, PortError, PortErrorKind, Target};

use crate::{blocking, files};

const OPEN: &str = "control.open";

/// The switches of all consumers. A state that was asked for is durable before the answer; how batches are given is told
/// again by whoever starts the pollers.
#[derive(Debug)]
pub struct FileControl {
    dir: PathBuf,
    search: Arc<Switch>,
    ledger: Arc<Switch>,
    /// Held while a file and its switch change together.
    changing: Mutex<()>,
}

/// What the file of a consumer says.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    paused: bool,
}

/// What a consumer's control and its poller share.
#[derive(Debug)]
pub(crate) struct Switch {
    paused: watch::Sender<bool>,
    /// How the consumer is given its batches; none while nobody has said.
    batches: watch::Sender<Option<Batches>>,
    /// Batches under way.
    busy: AtomicUsize,
}

/// A batch under way.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Switch>);

impl FileControl {
    /// The control whose files are in `dir`, which is created if it is not there. Blocks on the disk.
    ///
    /// # Errors
    /// `Invalid` if a file is not one of this kind; otherwise what the disk says.
    pub fn open(dir: &Path) -> Result<Arc<Self>, PortError> {
        files::make_folder(dir).map_err(files::failed(OPEN, dir))?;
        let [search, ledger] = Target::ALL.map(|consumer| Switch::read(&dir.join(name(consumer))));
        Ok(Arc::new(Self { dir: dir.to_owned(), search: search?, ledger: ledger?, changing: Mutex::new(()) }))
    }

    /// The folder of the files, where the pollers keep their checkpoints, too.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) const fn switch(&self, consumer: Target) -> &Arc<Switch> {
        match consumer {
            Target::Search => &self.search,
            Target::Ledger => &self.ledger,
        }
    }

    async fn set(&self, consumer: Target, paused: bool) -> Result<(), PortError> {
        let _changing = self.changing.lock().await;
        let dir = self.dir.clone();
        blocking::run("control.set", move || {
            let content = format!("{{\"paused\":{paused}}}\n");
            files::prepare(&dir, content.as_bytes())
                .and_then(|file| files::publish(file, &dir, name(consumer)))
                .map_err(files::failed("control.set", &dir))
        })
        .await?;
        self.switch(consumer).paused.send_replace(paused);
        Ok(())
    }
}

#[async_trait]
impl Control for FileControl {
    async fn pause(&self, consumer: Target) -> Result<(), PortError> {
        self.set(consumer, true).await
    }

    async fn resume(&self, consumer: Target) -> Result<(), PortError> {
        self.set(consumer, false).await
    }

    async fn state(&self, consumer: Target) -> Result<ConsumerState, PortError> {
        let switch = self.switch(consumer);
        Ok(match (*switch.paused.borrow(), switch.busy.load(Ordering::SeqCst)) {
            (false, _) => ConsumerState::Running,
            (true, 0) => ConsumerState::Paused,
            (true, _) => ConsumerState::Pausing,
        })
    }

    async fn set_batches(&self, consumer: Target, batches: Batches) -> Result<(), PortError> {
        self.switch(consumer).batches.send_if_modified(|told| told.replace(batches) != Some(batches));
        Ok(())
    }
}

impl Switch {
    fn read(path: &Path) -> Result<Arc<Self>, PortError> {
        let wanted = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                PortError::new(PortErrorKind::Invalid, OPEN, format!("{}: {error}; delete it", path.display()))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Wanted { paused: false },
            Err(error) => return Err(files::failed(OPEN, path)(error)),
        };
        Ok(Arc::new(Self {
            paused: watch::Sender::new(wanted.paused),
            batches: watch::Sender::new(None),
            busy: AtomicUsize::new(0),
        }))
    }

    /// Begins a batch; none while the consumer is paused. The count goes up before the switch is looked at, so once it is
    /// off and the count is 0, no batch begins.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<Busy> {
        self.busy.fetch_add(1, Ordering::SeqCst);
        let busy = Busy(Arc::clone(self));
        (!self.is_paused()).then_some(busy)
    }

    pub(crate) fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Tells how the consumer is to be given its batches.
    pub(crate) fn batches(&self) -> watch::Receiver<Option<Batches>> {
        self.batches.subscribe()
    }

    /// Tells when the consumer is paused or resumed.
    pub(crate) fn changes(&self) -> watch::Receiver<bool> {
        self.paused.subscribe()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

const fn name(consumer: Target) -> &'static str {
    match consumer {
        Target::Search => "search.control.json",
        Target::Ledger => "ledger.control.json",
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tributary_ports::contract;

    use super::*;

    #[tokio::test]
    async fn it_keeps_to_the_contract() {
        let folders = RefCell::new(Vec::new());
        contract::control::all(async || {
            let folder = tempfile::tempdir().unwrap();
            let control: Arc<dyn Control> = FileControl::open(folder.path()).unwrap();
            folders.borrow_mut().push(folder);
            control
        })
        .await;
    }

    #[tokio::test]
    async fn a_state_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        FileControl::open(folder.path()).unwrap().pause(Target::Search).await.unwrap();
        let control = FileControl::open(folder.path()).unwrap();
        assert_eq!(control.state(Target::Search).await.unwrap(), ConsumerState::Paused);
        assert_eq!(control.state(Target::Ledger).await.unwrap(), ConsumerState::Running);
        control.resume(Target::Search).await.unwrap();
        let control = FileControl::open(folder.path()).unwrap();
        assert_eq!(control.state(Target::Search).await.unwrap(), ConsumerState::Running);
    }

    #[tokio::test]
    async fn a_consumer_is_pausing_until_its_batch_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let control = FileControl::open(folder.path()).unwrap();
        let busy = control.switch(Target::Ledger).begin().unwrap();
        control.pause(Target::Ledger).await.unwrap();
        assert_eq!(control.state(Target::Ledger).await.unwrap(), ConsumerState::Pausing);
        assert!(control.switch(Target::Ledger).begin().is_none());
        drop(busy);
        assert_eq!(control.state(Target::Ledger).await.unwrap(), ConsumerState::Paused);
    }

    #[test]
    fn a_file_that_says_neither_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = files::prepare(folder.path(), b"{").unwrap();
        files::publish(file, folder.path(), name(Target::Search)).unwrap();
        assert_eq!(FileControl::open(folder.path()).unwrap_err().kind, PortErrorKind::Invalid);
    }
}
