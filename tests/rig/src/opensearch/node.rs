use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use tempfile::TempDir;

use super::home::Home;
use crate::process::{Process, free_port};

/// Root is refused by the server; whoever is root here runs it as `nobody`.
const NOBODY: u32 = 65_534;

const ZONES: [&str; 3] = ["a", "b", "c"];

const LOGGING: &str = "status = error
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
";

/// Nodes know each other by a certificate; clients come without one, over plain HTTP, with a password.
const SECURITY: &str = "plugins.security.ssl.transport.pemcert_filepath: node.pem
plugins.security.ssl.transport.pemkey_filepath: node.key
plugins.security.ssl.transport.pemtrustedcas_filepath: ca.pem
plugins.security.ssl.transport.enforce_hostname_verification: false
plugins.security.ssl.http.enabled: false
plugins.security.nodes_dn: [\"CN=node\"]
plugins.security.allow_default_init_securityindex: true
plugins.security.restapi.roles_enabled: [all_access]
";

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Tests: many of them beside each other, soon there, soon gone.
    Tested,
    /// A measurement: as it is run in earnest, on the processors of whoever starts it.
    Measured,
}

impl Form {
    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Tested => &["-Xmx512m", "-XX:TieredStopAtLevel=1"],
            Self::Measured => &["-Xmx1g"],
        }
    }

    const fn settings(self) -> &'static str {
        match self {
            Self::Tested => "node.processors: 2\n",
            Self::Measured => "",
        }
    }
}

/// One process of a cluster.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) port: u16,
    home: Home,
    form: Form,
    /// None only while it is started again.
    process: Option<Process>,
}

impl Node {
    pub(super) fn start_all(home: &Home, count: usize, form: Form) -> Vec<Self> {
        let ports: Vec<(u16, u16)> = (0..count).map(|_| (free_port(), free_port())).collect();
        (0..count).map(|number| Self::start(home, number, &ports, form)).collect()
    }

    fn start(home: &Home, number: usize, ports: &[(u16, u16)], form: Form) -> Self {
        let folder = tempfile::tempdir().expect("a node's folder");
        for part in ["conf", "data", "logs", "tmp"] {
            fs::create_dir(folder.path().join(part)).expect("a part of a node's folder");
        }
        let conf = folder.path().join("conf");
        write(&conf.join("log4j2.properties"), LOGGING);
        let mut settings = settings(folder.path(), number, ports);
        settings.push_str(form.settings());
        if home.security_settings().exists() {
            settings.push_str(SECURITY);
            secure(&conf, &home.security_settings());
        }
        write(&conf.join("opensearch.yml"), &settings);
        if is_root() {
            give_away(folder.path());
        }
        let process =
            Process::start_in(&format!("OpenSearch node {number}"), &mut command(home, folder.path(), form), folder);
        Self { port: ports[number].0, home: home.clone(), form, process: Some(process) }
    }

    pub(super) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a node's process")
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("a node's process").signal(signal);
    }

    /// Ends the process, if it has not ended, and starts another on its data.
    pub(super) fn restart(&mut self) {
        let folder: TempDir = self.process.take().expect("a node's process").kill();
        let mut command = command(&self.home, folder.path(), self.form);
        self.process = Some(Process::start_in("OpenSearch node", &mut command, folder));
    }
}

fn settings(folder: &Path, number: usize, ports: &[(u16, u16)]) -> String {
    let (http, transport) = ports[number];
    let joined = |texts: Vec<String>| texts.join(", ");
    let seeds = joined(ports.iter().map(|(_, transport)| format!("\"127.0.0.1:{transport}\"")).collect());
    let names = joined((0..ports.len()).map(|number| format!("n{number}")).collect());
    let zones = ZONES[..ports.len()].join(",");
    let folder = folder.display();
    format!(
        "cluster.name: rig
node.name: n{number}
node.attr.zone: {}
path.data: {folder}/data
path.logs: {folder}/logs
network.host: 127.0.0.1
http.port: {http}
transport.port: {transport}
discovery.seed_hosts: [{seeds}]
cluster.initial_cluster_manager_nodes: [{names}]
cluster.routing.allocation.awareness.attributes: zone
cluster.routing.allocation.awareness.force.zone.values: {zones}
cluster.routing.allocation.disk.threshold_enabled: false
",
        ZONES[number]
    )
}

fn command(home: &Home, folder: &Path, form: Form) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xms128m", "-Xss1m", "-XX:+UseSerialGC"]).args(form.options());
    command.args(["-Djna.nosys=true", "-Dlog4j2.disable.jmx=true", "-Dopensearch.distribution.type=tar"]);
    command.arg(format!("-Djava.io.tmpdir={}", folder.join("tmp").display()));
    command.arg(format!("-Dopensearch.path.home={}", home.folder.display()));
    command.arg(format!("-Dopensearch.path.conf={}", folder.join("conf").display()));
    command.arg("-cp").arg(format!("{}/*", home.folder.join("lib").display()));
    command.arg("org.opensearch.bootstrap.OpenSearch");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A certificate for the node, its authority, and the plug-in's own settings.
fn secure(conf: &Path, settings: &Path) {
    let named = |name: &str| {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut ca = named("ca");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (ca_key, node_key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let ca_certificate = ca.self_signed(&ca_key).expect("an authority");
    let node_certificate = named("node").signed_by(&node_key, &Issuer::new(ca, ca_key)).expect("a certificate");
    write(&conf.join("ca.pem"), &ca_certificate.pem());
    write(&conf.join("node.pem"), &node_certificate.pem());
    write(&conf.join("node.key"), &node_key.serialize_pem());
    let copied = conf.join("opensearch-security");
    fs::create_dir(&copied).expect("the plug-in's settings");
    for entry in fs::read_dir(settings).expect("the plug-in's settings") {
        let path = entry.expect("one of them").path();
        fs::copy(&path, copied.join(path.file_name().expect("its name"))).expect("a copy of it");
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

fn give_away(folder: &Path) {
    chown(folder, Some(NOBODY), Some(NOBODY)).expect("a file given away");
    if folder.is_dir() {
        for entry in fs::read_dir(folder).expect("a folder") {
            give_away(&entry.expect("an entry").path());
        }
    }
}

/// Writes a file.
#[expect(clippy::disallowed_methods, reason = "a file that nobody reads before the process that it is for starts")]
pub(super) fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
}
