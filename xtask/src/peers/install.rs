//! Installing the agents, each with its language's ordinary client, under `target/peers`.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Places;
use super::agent::Agent;
use crate::failure::{Context, Failure};
use crate::process;

/// Longest time for one installation on a slow line.
const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// Longest time for compiling a driver.
const COMPILE_LIMIT: Duration = Duration::from_secs(300);

/// Installs the agent and builds its driver. What is installed already, from the same manifest, is not fetched again.
///
/// # Errors
/// If a registry can't be reached or a client fails; the error quotes the end of the client's output.
pub(crate) fn install(agent: Agent, places: &Places) -> Result<(), Failure> {
    let source = places.sources.join(agent.runtime());
    let target = places.target.join(agent.runtime());
    std::fs::create_dir_all(&target).context(format_args!("creating {}", target.display()))?;
    match agent {
        Agent::NodeJs => nodejs(&source, &target, places),
        Agent::Python => pip(&source, &target, places),
        Agent::Java => java(&source, &target, places),
        Agent::Go => go(&source, &target, places),
    }
}

/// Where the Java agent and what it needs are.
pub(crate) fn java_class_path(target: &Path) -> String {
    format!("{}:{}/*", target.join("classes").display(), target.join("lib").display())
}

/// The interpreter that finds the Python agent.
pub(crate) fn python_program(target: &Path) -> PathBuf {
    target.join("venv").join("bin").join("python")
}

fn nodejs(source: &Path, target: &Path, places: &Places) -> Result<(), Failure> {
    copy(&source.join("driver.js"), &target.join("driver.js"))?;
    npm(source, target, places)
}

/// What `package-lock.json` names, into `node_modules`.
pub(crate) fn npm(source: &Path, target: &Path, places: &Places) -> Result<(), Failure> {
    for file in ["package.json", "package-lock.json"] {
        copy(&source.join(file), &target.join(file))?;
    }
    once(target, &[source.join("package-lock.json")], || {
        // No package here needs its scripts run.
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(target);
        process::run("installing from npm", &mut npm, &places.log("npm"), INSTALL_LIMIT)
    })
}

/// What `requirements.txt` names, into `venv`.
pub(crate) fn pip(source: &Path, target: &Path, places: &Places) -> Result<(), Failure> {
    let requirements = source.join("requirements.txt");
    once(target, std::slice::from_ref(&requirements), || {
        let mut venv = Command::new("python3.11");
        venv.args(["-m", "venv", "--clear"]).arg(target.join("venv"));
        process::run("making a Python environment", &mut venv, &places.log("venv"), INSTALL_LIMIT)?;
        let mut pip = Command::new(python_program(target));
        pip.args(["-m", "pip", "install", "--requirement"]).arg(&requirements);
        process::run("installing from PyPI", &mut pip, &places.log("pip"), INSTALL_LIMIT)
    })
}

fn java(source: &Path, target: &Path, places: &Places) -> Result<(), Failure> {
    maven(source, target, places)?;
    let mut javac = Command::new("javac");
    javac.args(["-encoding", "UTF-8", "-cp", &java_class_path(target), "-d"]).arg(target.join("classes"));
    javac.arg(source.join("Driver.java"));
    process::run("compiling the Java driver", &mut javac, &places.log("javac"), COMPILE_LIMIT)
}

/// What `pom.xml` names and what that needs, into `lib`.
pub(crate) fn maven(source: &Path, target: &Path, places: &Places) -> Result<(), Failure> {
    let pom = source.join("pom.xml");
    let lib = target.join("lib");
    once(target, std::slice::from_ref(&pom), || {
        // Another version's archives would stand beside the new ones in the class path.
        if lib.exists() {
            std::fs::remove_dir_all(&lib).context(format_args!("removing {}", lib.display()))?;
        }
        let mut maven = Command::new("mvn");
        maven.args(["--batch-mode", "--no-transfer-progress", "--file"]).arg(&pom);
        maven.arg("dependency:copy-dependencies").arg(format!("-DoutputDirectory={}", lib.display()));
        process::run("installing from Maven", &mut maven, &places.log("maven"), INSTALL_LIMIT)
    })
}

/// `go build` fetches what go.sum names and checks it; its own caches make a second time short.
fn go(source: &Path, target: &Path, places: &Places) -> Result<(), Failure> {
    let mut build = Command::new("go");
    build.args(["build", "-trimpath", "-mod=readonly", "-o"]).arg(target.join("driver")).arg(".").current_dir(source);
    process::run("building the Go driver", &mut build, &places.log("go"), INSTALL_LIMIT)
}

/// Runs `install` unless it already succeeded in `target` with the same manifests.
fn once(target: &Path, manifests: &[PathBuf], install: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let mut wanted = String::new();
    for manifest in manifests {
        let text = std::fs::read_to_string(manifest).context(format_args!("reading {}", manifest.display()))?;
        wanted.push_str(&text);
    }
    let stamp = target.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    install()?;
    File::create(&stamp)
        .and_then(|mut file| file.write_all(wanted.as_bytes()))
        .context(format_args!("writing {}", stamp.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::copy(from, to).map(drop).context(format_args!("copying {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_installed_once_and_again_when_it_changes() {
        let folder = std::env::temp_dir().join(format!("xtask-install-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let manifest = folder.join("manifest");
        let mut installed = 0;
        for text in ["one", "one", "two"] {
            File::create(&manifest).unwrap().write_all(text.as_bytes()).unwrap();
            once(&folder, std::slice::from_ref(&manifest), || {
                installed += 1;
                Ok(())
            })
            .unwrap();
        }
        let refused = once(&folder, &[folder.join("absent")], || Ok(()));
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(installed, 2);
        assert!(refused.is_err());
    }
}
