use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;

/// Modules that a node can't do without or that our index uses, the class that each begins with, and the modules whose
/// classes it uses.
const MODULES: [(&str, &str, &str); 3] = [
    ("transport-netty4", "org.opensearch.transport.Netty4Plugin", ""),
    ("lang-painless", "org.opensearch.painless.PainlessPlugin", ""),
    ("analysis-common", "org.opensearch.analysis.common.CommonAnalysisPlugin", "lang-painless"),
];

/// What a security manager of 2.x lets a module do.
const POLICY: &str = "grant { permission java.security.AllPermission; };\n";

/// An ordinary home of OpenSearch: `lib`, `modules`, `plugins`.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) folder: PathBuf,
}

impl Home {
    /// The home with or without the security plug-in, put together if it is not there.
    ///
    /// # Panics
    /// If the peer is not installed, or the home can't be made.
    pub(super) fn open(secured: bool) -> Self {
        let peer = process::peer("opensearch");
        let mut archives: Vec<PathBuf> = fs::read_dir(peer.join("lib"))
            .expect("the peer's archives")
            .map(|entry| entry.expect("one").path())
            .collect();
        archives.sort();
        let mut hasher = DefaultHasher::new();
        archives.iter().map(|path| path.file_name()).collect::<Vec<_>>().hash(&mut hasher);
        let kind = if secured { "secured" } else { "plain" };
        let folder = peer.join(format!("home-{kind}-{:016x}", hasher.finish()));
        if !folder.exists() {
            assemble(&archives, secured, &folder);
        }
        Self { folder }
    }

    /// The plug-in's own settings: its users, roles and so on.
    pub(super) fn security_settings(&self) -> PathBuf {
        self.folder.join("plugins/opensearch-security/config")
    }
}

/// Makes the home beside its place and moves it there whole: of several tests that do so at once, one wins.
fn assemble(archives: &[PathBuf], secured: bool, folder: &Path) {
    let parent = folder.parent().expect("a folder of the peer's");
    let made = tempfile::tempdir_in(parent).expect("a folder beside the home");
    for part in ["bin", "lib", "modules", "plugins"] {
        fs::create_dir(made.path().join(part)).expect("a folder of the home");
    }
    let version = version(archives);
    for archive in archives {
        let name = file_name(archive);
        if name.ends_with(".zip") {
            if secured {
                unpack(archive, &made.path().join("plugins/opensearch-security"));
            }
            continue;
        }
        let place =
            module_of(name).map_or_else(|| made.path().join("lib"), |module| made.path().join("modules").join(module));
        fs::create_dir_all(&place).expect("a module's folder");
        fs::hard_link(archive, place.join(name)).expect("a link to an archive");
    }
    for (module, class, extended) in MODULES {
        describe(&made.path().join("modules").join(module), module, class, extended, &version);
    }
    open_to_others(made.path());
    if fs::rename(made.path(), folder).is_err() {
        assert!(folder.exists(), "the home can't be moved to its place");
    }
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("an archive's name")
}

/// The module that an archive belongs to; none if it is the server's own.
fn module_of(archive: &str) -> Option<&'static str> {
    let begins = |names: &[&str]| names.iter().any(|name| archive.starts_with(name));
    if begins(&["transport-netty4", "netty-"]) {
        return Some("transport-netty4");
    }
    if begins(&["lang-painless", "opensearch-scripting-painless-spi", "antlr4-runtime", "asm-"]) {
        return Some("lang-painless");
    }
    begins(&["analysis-common"]).then_some("analysis-common")
}

/// The server's version, which a module has to name.
fn version(archives: &[PathBuf]) -> String {
    let server = archives.iter().map(|path| file_name(path)).find_map(|name| {
        let version = name.strip_prefix("opensearch-")?.strip_suffix(".jar")?;
        version.starts_with(|first: char| first.is_ascii_digit()).then_some(version)
    });
    server.expect("the server's archive").to_owned()
}

fn describe(folder: &Path, module: &str, class: &str, extended: &str, version: &str) {
    let description = format!(
        "name={module}\ndescription={module}\nversion={version}\nopensearch.version={version}\njava.version=11\n\
         extended.plugins={extended}\nclassname={class}\n"
    );
    super::node::write(&folder.join("plugin-descriptor.properties"), &description);
    super::node::write(&folder.join("plugin-security.policy"), POLICY);
}

/// `jar` comes with every JDK, which the server needs anyway.
fn unpack(archive: &Path, folder: &Path) {
    fs::create_dir_all(folder).expect("a plug-in's folder");
    let unpacked = Command::new("jar").arg("xf").arg(archive).current_dir(folder).status();
    assert!(unpacked.expect("`jar` of a JDK").success(), "{} can't be unpacked", archive.display());
}

/// The server runs as an ordinary user, who only reads.
fn open_to_others(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("leave for others to read");
}
