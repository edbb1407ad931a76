//! The data folder: what is where, and the first start.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tributary_access::{Authority, DirectoryCache, ProjectRequest, TokenRequest};
use tributary_access::{add_project, ensure_directory, issue_token};
use tributary_embedded::keys::KeyFile;
use tributary_embedded::ledger::SqliteLedger;
use tributary_embedded::objects::FileObjects;
use tributary_model::directory::{OBJECT_KEY, Scope, Scopes};
use tributary_model::limits::{SAVED_TOKEN_REST_MIN, TOKEN_BYTES_MAX, TOKEN_LIFETIME};
use tributary_model::{AccountId, Directory, ProjectId, RetentionClass, TimestampMs};
use tributary_ports::{Keys, Ledger, Objects};

use crate::failure::{Context, Failure};
use crate::files;

/// Who issued a token (`iss`), on one machine.
pub(crate) const ISSUER: &str = "tributary-local";
/// The project that a first start makes.
pub(crate) const DEFAULT_PROJECT: &str = "default";
/// The account that owns it.
pub(crate) const DEFAULT_ACCOUNT: &str = "local";

/// A data folder. Making one does nothing to the disk.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
}

/// Where a running `up` listens: `up.json`, there from when it listens until it stops cleanly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpFile {
    /// `http://127.0.0.1:8080`
    pub http: String,
    /// `https://localhost:8443`, if it speaks HTTPS.
    pub https: Option<String>,
    /// The certificate authority to trust for it.
    pub ca: Option<PathBuf>,
    /// Its process.
    pub pid: u32,
}

/// The ports that commands work on; any number of processes may have them open.
pub(crate) struct Stores {
    /// Where the directory and dead letters are.
    pub(crate) objects: Arc<dyn Objects>,
    /// What signs tokens.
    pub(crate) keys: Arc<dyn Keys>,
    /// Rows.
    pub(crate) ledger: Arc<dyn Ledger>,
    /// The directory as it is now.
    pub(crate) directory: Directory,
    /// Who issues tokens.
    pub(crate) issuer: String,
}

/// Keeps a second `up` out for as long as it lives, or its process.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Folder {
    /// The folder at `root`.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its path.
    #[must_use]
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The path of something in it.
    #[must_use]
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Opens the ports that every command may use; makes folder, signing key, directory and default project if they are
    /// not there.
    ///
    /// # Errors
    /// If one of them can't be opened or written.
    pub(crate) async fn open(&self, now: TimestampMs) -> Result<Stores, Failure> {
        files::make_folder(&self.root).map_err(|error| Failure::file(&self.root, &error))?;
        let objects = FileObjects::open(&self.path("objects")).context("objects")?;
        let keys = KeyFile::open(&self.path("keys")).context("keys")?;
        let ledger = SqliteLedger::open(&self.path("ledger")).context("ledger")?;
        let mut directory = ensure_directory(&*objects, &*keys, ISSUER, now).await.context("directory")?;
        if directory.projects.is_empty() {
            directory = add_project(&*objects, &default_project()?, now).await.context("directory")?;
        }
        Ok(Stores { objects, keys, ledger, directory, issuer: ISSUER.to_owned() })
    }

    /// Takes the folder for one `up`.
    ///
    /// # Errors
    /// If another process has it, which the message names; or if the lock can't be had at all.
    pub(crate) fn lock(&self) -> Result<Lock, Failure> {
        files::make_folder(&self.root).map_err(|error| Failure::file(&self.root, &error))?;
        let path = self.path("lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|error| Failure::file(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(self.taken(&mut file)),
            Err(TryLockError::Error(error)) => return Err(Failure::file(&path, &error)),
        }
        let written = file.set_len(0).and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
        written.map_err(|error| Failure::file(&path, &error))?;
        Ok(Lock { _file: file })
    }

    fn taken(&self, file: &mut File) -> Failure {
        let mut pid = String::new();
        let who = match file.read_to_string(&mut pid) {
            Ok(_) if !pid.is_empty() => format!("process {pid}"),
            _ => "another process".to_owned(),
        };
        Failure::new(format!("the data folder {} is in use by {who}", self.root.display()))
            .hint("stop it, or take another folder with --data DIR")
    }

    /// Whether an `up` has the folder.
    #[must_use]
    pub(crate) fn is_taken(&self) -> bool {
        let file = OpenOptions::new().read(true).write(true).open(self.path("lock"));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// What a running `up` says of itself; none if none runs.
    #[must_use]
    pub(crate) fn up_file(&self) -> Option<UpFile> {
        if !self.is_taken() {
            return None; // left over from one that was killed
        }
        serde_json::from_slice(&fs::read(self.path("up.json")).ok()?).ok()
    }

    /// Says where this process listens.
    ///
    /// # Errors
    /// If the file can't be written.
    pub(crate) fn write_up_file(&self, up: &UpFile) -> Result<(), Failure> {
        let path = self.path("up.json");
        let bytes = serde_json::to_vec_pretty(up).context("up.json")?;
        files::write(&path, &bytes).map_err(|error| Failure::file(&path, &error))
    }

    /// Takes that back.
    pub(crate) fn remove_up_file(&self) {
        let _ = fs::remove_file(self.path("up.json")); // one that stays is not believed without the lock
    }

    /// A token of the folder's own, if there is one.
    ///
    /// # Errors
    /// If it is there and can't be read.
    pub(crate) fn saved_token(&self, saved: SavedToken) -> Result<Option<String>, Failure> {
        let path = self.token_path(saved);
        match fs::read_to_string(&path) {
            Ok(token) if token.len() <= TOKEN_BYTES_MAX => Ok(Some(token.trim().to_owned())),
            Ok(_) => Err(Failure::new(format!("{} holds no token", path.display())).hint("remove it")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::file(&path, &error)),
        }
    }

    fn token_path(&self, saved: SavedToken) -> PathBuf {
        self.path("keys").join(saved.file())
    }

    /// The token of [`Folder::saved_token`], issued anew if there is none, or if it will not be valid for long.
    ///
    /// # Errors
    /// If no token can be issued or written.
    pub(crate) async fn ensure_token(
        &self,
        saved: SavedToken,
        stores: &Stores,
        now: TimestampMs,
    ) -> Result<String, Failure> {
        if let Some(token) = self.saved_token(saved)?
            && is_valid(&token, saved, stores, now).await
        {
            return Ok(token);
        }
        let request = TokenRequest {
            project: ProjectId::new(DEFAULT_PROJECT).context("project")?,
            scopes: saved.scopes(),
            lifetime: TOKEN_LIFETIME,
        };
        let token =
            issue_token(&*stores.keys, &*stores.objects, &*stores.ledger, &stores.directory, &request, now).await;
        let token = token.context("token of the data folder")?;
        let path = self.token_path(saved);
        files::write_secret(&path, token.as_bytes()).map_err(|error| Failure::file(&path, &error))?;
        Ok(token)
    }
}

/// Tokens of the default project that are kept in the folder's `keys/`, for commands on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SavedToken {
    /// Sends and reads; this one is printed.
    Local,
    /// Operates.
    Operator,
}

impl SavedToken {
    const fn file(self) -> &'static str {
        match self {
            Self::Local => "local.token",
            Self::Operator => "operator.token",
        }
    }

    fn scopes(self) -> Scopes {
        match self {
            Self::Local => Scopes::from([Scope::Ingest, Scope::Read]),
            Self::Operator => Scopes::from([Scope::Operate]),
        }
    }
}

fn default_project() -> Result<ProjectRequest, Failure> {
    Ok(ProjectRequest {
        project: ProjectId::new(DEFAULT_PROJECT).context("project")?,
        account: AccountId::new(DEFAULT_ACCOUNT).context("account")?,
        retention: RetentionClass::DEFAULT,
        signed_only: false,
    })
}

/// Whether the token will still be good in a while. The directory is taken for as new as that.
async fn is_valid(token: &str, saved: SavedToken, stores: &Stores, now: TimestampMs) -> bool {
    let later = now.plus_ms(i64::try_from(SAVED_TOKEN_REST_MIN.as_millis()).unwrap_or(i64::MAX));
    let directories = DirectoryCache::new(Arc::clone(&stores.objects), OBJECT_KEY);
    if directories.refresh(later).await.is_err() {
        return false;
    }
    let authority = Authority::new(directories);
    saved.scopes().into_iter().all(|scope| authority.verify_held(token, scope, later).is_ok())
}
