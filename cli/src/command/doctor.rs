//! `tributary doctor`: looks at everything, changes nothing, and says how to mend what is wrong.

use std::fmt::Display;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use tributary_config::{LocalSettings, Problems, environment};
use tributary_embedded::keys::KeyFile;
use tributary_embedded::ledger::SqliteLedger;
use tributary_embedded::objects::FileObjects;
use tributary_embedded::{search, stream};
use tributary_model::Directory;
use tributary_model::directory::OBJECT_KEY;
use tributary_model::limits::{CONNECTIONS_MAX, DISK_FREE_BYTES_MIN, OPEN_FILES_BESIDES_MAX};
use tributary_ports::Objects;

use crate::failure::Failure;
use crate::folder::Folder;
use crate::output::Output;

/// What was found of one thing.
struct Finding {
    what: &'static str,
    state: State,
}

enum State {
    Well(String),
    /// Not wrong, but to be known.
    Note(String),
    Wrong {
        detail: String,
        mend: String,
    },
}

impl Finding {
    fn well(what: &'static str, detail: impl Display) -> Self {
        Self { what, state: State::Well(detail.to_string()) }
    }

    fn note(what: &'static str, detail: impl Display) -> Self {
        Self { what, state: State::Note(detail.to_string()) }
    }

    fn wrong(what: &'static str, detail: impl Display, mend: impl Display) -> Self {
        Self { what, state: State::Wrong { detail: detail.to_string(), mend: mend.to_string() } }
    }
}

pub(super) async fn run(folder: &Folder, output: &Output) -> Result<(), Failure> {
    let running = folder.is_taken();
    let mut findings = settings(running);
    findings.push(open_files());
    if folder.root().is_dir() {
        findings.extend(inspect(folder, running).await);
    } else {
        findings
            .push(Finding::note("data folder", format_args!("{} is made at the first start", folder.root().display())));
    }
    let wrong = findings.iter().filter(|finding| matches!(finding.state, State::Wrong { .. })).count();
    for finding in &findings {
        print(output, finding)?;
    }
    if wrong == 0 { Ok(()) } else { Err(Failure::new(format!("{wrong} of {} things are wrong", findings.len()))) }
}

fn print(output: &Output, finding: &Finding) -> Result<(), Failure> {
    match &finding.state {
        State::Well(detail) => output.line(format_args!("ok     {:<12} {detail}", finding.what)),
        State::Note(detail) => output.line(format_args!("note   {:<12} {detail}", finding.what)),
        State::Wrong { detail, mend } => {
            output.line(format_args!("{}  {:<12} {detail}", output.bold("WRONG"), finding.what))?;
            output.line(format_args!("       {:<12} mend it: {mend}", ""))
        }
    }
}

async fn inspect(folder: &Folder, running: bool) -> Vec<Finding> {
    let mut findings = vec![permissions(folder.root()), lock(folder, running), space(folder.root())];
    let objects = folder.path("objects");
    if objects.is_dir() {
        findings.push(directory(&objects).await);
    }
    let keys = folder.path("keys");
    if keys.is_dir() {
        findings.push(signing_keys(&keys));
        findings.push(secrets(&keys));
    }
    let ledger_folder = folder.path("ledger");
    if ledger_folder.is_dir() {
        findings.push(ledger(&ledger_folder).await);
    }
    let stream_folder = folder.path("stream");
    if stream_folder.is_dir() {
        findings.push(stream_files(&stream_folder));
    }
    let search_folder = folder.path("search");
    if search_folder.is_dir() {
        findings.push(search_index(&search_folder, running));
    }
    findings
}

/// The variables, and the addresses that they name. Flags of `up` are not known here.
fn settings(running: bool) -> Vec<Finding> {
    match LocalSettings::read(environment) {
        Err(Problems(problems)) => problems
            .iter()
            .map(|problem| {
                let mend = format!("{}={}, for example", problem.variable, problem.example);
                Finding::wrong("settings", format_args!("{} {}", problem.variable, problem.problem), mend)
            })
            .collect(),
        Ok(settings) => {
            let addresses = [Some(settings.http), settings.https].into_iter().flatten();
            let well = Finding::well("settings", "every variable that is set can be read");
            std::iter::once(well).chain(addresses.map(|address| port(address, running))).collect()
        }
    }
}

/// Raises nothing: `up` does that itself as far as it may.
fn open_files() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let needed = (CONNECTIONS_MAX + OPEN_FILES_BESIDES_MAX) as u64;
    match limit {
        Some(limit) if limit < needed => Finding::wrong(
            "open files",
            format_args!("the system allows {limit}; {CONNECTIONS_MAX} connections need up to {needed}"),
            format_args!("ulimit -Hn {needed}, or a higher limit in the service's settings"),
        ),
        limit => Finding::well("open files", limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())),
    }
}

fn port(address: SocketAddr, running: bool) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) if address.ip().is_loopback() => Finding::well("address", format_args!("{address} is free")),
        Ok(_) => Finding::note(
            "address",
            format_args!("{address} is free, and reached from other machines: /metrics and /healthz need no token"),
        ),
        Err(error) if running => Finding::note("address", format_args!("{address}: {error}; a `tributary up` runs")),
        Err(error) => Finding::wrong(
            "address",
            format_args!("{address}: {error}"),
            "take another with --http ADDR or --https ADDR",
        ),
    }
}

fn permissions(root: &Path) -> Finding {
    use std::os::unix::fs::PermissionsExt;
    let mend = format!("chmod 700 {}", root.display());
    match root.metadata() {
        Err(error) => Finding::wrong("data folder", format_args!("{}: {error}", root.display()), mend),
        Ok(metadata) if metadata.permissions().mode() & 0o022 != 0 => {
            Finding::wrong("data folder", format_args!("others may write to {}", root.display()), mend)
        }
        Ok(metadata) if metadata.permissions().readonly() => {
            Finding::wrong("data folder", format_args!("{} can't be written to", root.display()), mend)
        }
        Ok(_) => Finding::well("data folder", root.display()),
    }
}

fn lock(folder: &Folder, running: bool) -> Finding {
    match folder.up_file() {
        Some(up) => Finding::note("running", format_args!("process {} listens on {}", up.pid, up.http)),
        None if running => Finding::note("running", "a `tributary up` is starting or stopping"),
        None if folder.path("up.json").exists() => {
            Finding::note("running", "nothing runs; the last `tributary up` was killed, which loses nothing")
        }
        None => Finding::well("running", "nothing runs on the folder"),
    }
}

fn space(root: &Path) -> Finding {
    const MIB: u64 = 1024 * 1024;
    match rustix::fs::statvfs(root) {
        Err(error) => Finding::wrong("disk", error, "see that the disk is there and can be read"),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let text = format!("{} MiB free", free / MIB);
            if free >= DISK_FREE_BYTES_MIN {
                return Finding::well("disk", text);
            }
            let mend = format!("free {} MiB and more; a full disk refuses every report", DISK_FREE_BYTES_MIN / MIB);
            Finding::wrong("disk", text, mend)
        }
    }
}

async fn directory(folder: &Path) -> Finding {
    const MEND: &str = "put back a copy of objects/directory.json; without one, remove it: projects are then made anew";
    let objects = match FileObjects::open(folder) {
        Ok(objects) => objects,
        Err(error) => return Finding::wrong("directory", error, "see that you may read and write the folder"),
    };
    match objects.get(OBJECT_KEY).await {
        Err(error) => Finding::wrong("directory", error, MEND),
        Ok(None) => Finding::note("directory", "is written at the first start"),
        Ok(Some(object)) => match serde_json::from_slice::<Directory>(&object.bytes) {
            Err(error) => Finding::wrong("directory", error, MEND),
            Ok(directory) => Finding::well("directory", format_args!("{} projects", directory.projects.len())),
        },
    }
}

fn signing_keys(folder: &Path) -> Finding {
    if !folder.join("keys.json").exists() {
        return Finding::note("keys", "are made at the first start");
    }
    match KeyFile::open(folder) {
        Ok(_) => Finding::well("keys", "the signing key can be read by its owner alone"),
        Err(error) => Finding::wrong("keys", error, "what the message says, or put back a copy of keys/"),
    }
}

/// The other files in `keys/`: the certificate authority's key and the folder's own tokens.
fn secrets(folder: &Path) -> Finding {
    use std::os::unix::fs::PermissionsExt;
    let files = folder.read_dir().into_iter().flatten().flatten();
    let open = files.filter(|file| file.metadata().is_ok_and(|data| data.permissions().mode() & 0o077 != 0));
    let open: Vec<String> = open.map(|file| file.path().display().to_string()).collect();
    if open.is_empty() {
        return Finding::well("secrets", "no file of keys/ can be read by others");
    }
    let open = open.join(" ");
    Finding::wrong("secrets", format_args!("others may read {open}"), format_args!("chmod 600 {open}"))
}

async fn ledger(folder: &Path) -> Finding {
    const MEND: &str = "stop `tributary up`, move ledger/ away and start again: the stream brings back 7 days";
    let checked = match SqliteLedger::open(folder) {
        Ok(ledger) => ledger.check().await,
        Err(error) => Err(error),
    };
    match checked {
        Err(error) => Finding::wrong("ledger", error, MEND),
        Ok(problems) if problems.is_empty() => Finding::well("ledger", "whole"),
        Ok(problems) => Finding::wrong("ledger", problems.join("; "), MEND),
    }
}

fn stream_files(folder: &Path) -> Finding {
    const MEND: &str = "nothing brings back what was in a damaged place: put back a copy, and see to the disk";
    match stream::check(folder) {
        Err(error) => Finding::wrong("stream", error, "see that you may read the folder"),
        Ok(report) if report.problems.is_empty() => Finding::well(
            "stream",
            format_args!("{} records, {} bytes, {} segments", report.records, report.bytes, report.segments),
        ),
        Ok(report) => {
            let problems: Vec<String> = report
                .problems
                .iter()
                .map(|problem| {
                    let at = problem.offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default();
                    format!("{}{at}: {}", problem.path.display(), problem.detail)
                })
                .collect();
            Finding::wrong("stream", problems.join("; "), MEND)
        }
    }
}

fn search_index(folder: &Path, running: bool) -> Finding {
    if running {
        return Finding::note("search", "is in use; stop `tributary up` to have its files checked");
    }
    match search::verify(folder) {
        Ok(()) => Finding::well("search", "whole"),
        Err(error) => Finding::wrong(
            "search",
            error,
            "move search/ and stream/consumers/search* away and start again: the stream brings back 7 days",
        ),
    }
}
