//! `cargo xtask lambda`: the functions as they are deployed.
//!
//! `sam build` makes the bootstraps of both templates for an architecture, each is measured as a zip, and the one for arm64
//! answers an invocation under qemu. All functions share one target folder, which is apart from that of ordinary builds:
//! cargo-lambda's flags would otherwise throw each other's work away.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::read::DeflateEncoder;

use crate::failure::{Context, Failure, print};
use crate::peers::{Places, install, needs};
use crate::process;
use crate::template::sam;

/// Bytes of a function's zip: Lambda fetches and unpacks it before a cold start.
const ZIP_BYTES_MAX: u64 = 5_000_000;

/// Longest time for building the functions of one template for one architecture, from nothing and on a busy machine.
const BUILD_LIMIT: Duration = Duration::from_secs(2400);

/// Longest time for the test that runs a bootstrap under qemu.
const TEST_LIMIT: Duration = Duration::from_secs(1200);

/// What functions are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// Graviton, the templates' default.
    Arm64,
    /// Everything else.
    X86_64,
}

impl Architecture {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::X86_64, Self::Arm64];

    /// As the templates' parameter names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }

    /// The architecture of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|architecture| architecture.name() == name)
    }
}

/// Builds the functions, measures them, and has one of arm64's answer.
///
/// # Errors
/// If the machine lacks something, a function does not build or is too large, or the arm64 one does not answer.
pub(crate) fn run(architectures: &[Architecture]) -> Result<(), Failure> {
    needs::lambda("cargo xtask lambda", architectures.contains(&Architecture::Arm64))?;
    let places = Places::new()?;
    print("installing sam\n")?;
    install::pip(&places.sources.join("sam"), &places.peer("sam")?, &places)?;
    for architecture in architectures {
        build(*architecture, &places)?;
    }
    if architectures.contains(&Architecture::Arm64) {
        invoke(&places)?;
    }
    Ok(())
}

/// Where `sam build` puts the functions of one template: `target/sam/<architecture>/<stack>/<function>/bootstrap`.
fn build_folder(places: &Places, architecture: Architecture, stack: &str) -> PathBuf {
    places.root.join("target").join("sam").join(architecture.name()).join(stack)
}

fn build(architecture: Architecture, places: &Places) -> Result<(), Failure> {
    for (stack, template) in [("core", "infra/core.yaml"), ("region", "template.yaml")] {
        let began = Instant::now();
        let folder = build_folder(places, architecture, stack);
        let mut sam = sam(places);
        sam.args(["build", "--config-env", "none", "--template-file", template, "--build-dir"]).arg(&folder);
        sam.arg("--parameter-overrides").arg(format!("Architecture={}", architecture.name()));
        // One folder for all functions and both templates, apart from that of ordinary builds.
        sam.env("CARGO_TARGET_DIR", places.root.join("target").join("lambda-build"));
        let doing = format!("sam build {template} for {}", architecture.name());
        process::run(&doing, &mut sam, &places.log("sam-build"), BUILD_LIMIT)?;
        print(&format!("{doing}: {} s\n", began.elapsed().as_secs()))?;
        measure(&folder, architecture)?;
    }
    Ok(())
}

/// Prints the size of every function's zip.
fn measure(folder: &Path, architecture: Architecture) -> Result<(), Failure> {
    let mut measured = 0;
    for entry in std::fs::read_dir(folder).context(format_args!("reading {}", folder.display()))? {
        let function = entry.context("reading a folder")?.path();
        let bootstrap = function.join("bootstrap");
        if !bootstrap.is_file() {
            continue;
        }
        let name = function.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = zipped_bytes(&bootstrap)?;
        print(&format!("{name} for {}: {bytes} bytes zipped\n", architecture.name()))?;
        if bytes > ZIP_BYTES_MAX {
            return Err(Failure::new(format!("{name}: {bytes} bytes zipped, more than {ZIP_BYTES_MAX}")));
        }
        measured += 1;
    }
    if measured == 0 {
        return Err(Failure::new(format!("no bootstrap in {}", folder.display())));
    }
    Ok(())
}

/// Bytes of a zip that holds the file alone: deflated at zip's own level of 6, and some 200 bytes around it.
fn zipped_bytes(file: &Path) -> Result<u64, Failure> {
    const AROUND: u64 = 200;
    let bootstrap = File::open(file).context(format_args!("opening {}", file.display()))?;
    let mut deflated = DeflateEncoder::new(bootstrap, Compression::new(6));
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = AROUND;
    loop {
        match deflated.read(&mut buffer).context(format_args!("reading {}", file.display()))? {
            0 => return Ok(bytes),
            read => bytes += u64::try_from(read).unwrap_or(u64::MAX),
        }
    }
}

/// Runs the test that has the arm64 bootstraps answer under qemu.
fn invoke(places: &Places) -> Result<(), Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut test = Command::new(cargo);
    test.args(["test", "--package", "tributary-rig", "--features", "arm64", "--test", "arm64"])
        .current_dir(&places.root);
    process::run("an invocation of arm64 under qemu", &mut test, &places.log("arm64"), TEST_LIMIT)?;
    print("an invocation of arm64 under qemu: answered\n")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn architectures_have_the_templates_names() {
        assert_eq!(Architecture::named("arm64"), Some(Architecture::Arm64));
        assert_eq!(Architecture::named("x86_64"), Some(Architecture::X86_64));
        assert_eq!(Architecture::named("riscv64"), None);
    }

    #[test]
    fn a_zip_is_measured_and_an_empty_build_is_none() {
        let folder = std::env::temp_dir().join(format!("xtask-lambda-{}", std::process::id()));
        let function = folder.join("Collector");
        std::fs::create_dir_all(&function).unwrap();
        assert!(measure(&folder, Architecture::Arm64).is_err());
        File::create(function.join("bootstrap")).unwrap().write_all(&[0; 1_000_000]).unwrap();
        let bytes = zipped_bytes(&function.join("bootstrap")).unwrap();
        assert!((200..3_000).contains(&bytes), "{bytes}");
        measure(&folder, Architecture::Arm64).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
