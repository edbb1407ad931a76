//! `cargo xtask template`: the linters of the templates, all of which must be content.
//!
//! `sam validate --lint` and `cfn-lint` know what CloudFormation takes; `checkov` knows what is careless. An exception to a
//! rule stands with its reason in the metadata of the resource that it is about.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, print};
use crate::peers::{Places, install, needs};
use crate::process;

/// The core's template, and a region's.
pub(crate) const TEMPLATES: [&str; 2] = ["infra/core.yaml", "template.yaml"];

/// Longest time for one linter on a busy machine; checkov takes 15 s.
const LINT_LIMIT: Duration = Duration::from_secs(300);

/// Installs the linters and runs them.
///
/// # Errors
/// If the machine lacks something, a linter can't be installed, or one is not content; the error quotes what it said.
pub(crate) fn run() -> Result<(), Failure> {
    needs::python("cargo xtask template")?;
    let places = Places::new()?;
    check(&places)
}

/// The same on a machine that is known to have what it needs.
pub(crate) fn check(places: &Places) -> Result<(), Failure> {
    for name in ["sam", "checkov"] {
        print(&format!("installing {name}\n"))?;
        install::pip(&places.sources.join(name), &places.peer(name)?, places)?;
    }
    for template in TEMPLATES {
        let mut sam = sam(places);
        sam.args(["validate", "--lint", "--region", "us-east-1", "--template-file", template]);
        lint("sam validate --lint", template, &mut sam, places)?;
        let mut cfn_lint = tool(places, "sam", "cfn-lint");
        lint("cfn-lint", template, cfn_lint.arg(template), places)?;
        let mut checkov = tool(places, "checkov", "checkov");
        checkov.args(["--skip-download", "--quiet", "--compact", "--framework", "cloudformation", "--file", template]);
        lint("checkov", template, &mut checkov, places)?;
    }
    Ok(())
}

/// `sam`, which otherwise tells its makers that it runs.
pub(crate) fn sam(places: &Places) -> Command {
    let mut sam = tool(places, "sam", "sam");
    sam.env("SAM_CLI_TELEMETRY", "0");
    sam
}

/// A program of a Python environment, run from the checkout's root.
fn tool(places: &Places, environment: &str, program: &str) -> Command {
    let bin = places.target.join(environment).join("venv").join("bin");
    let mut tool = Command::new(bin.join(program));
    tool.current_dir(&places.root).env("PATH", with_path(&bin));
    tool
}

/// `folder` before the PATH that there is: sam looks there for cargo-lambda, and that for zig.
fn with_path(folder: &Path) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&path));
    // No part of a PATH holds the separator.
    std::env::join_paths(folders).unwrap_or(path)
}

fn lint(linter: &str, template: &str, command: &mut Command, places: &Places) -> Result<(), Failure> {
    process::run(&format!("{linter} {template}"), command, &places.log("lint"), LINT_LIMIT)?;
    print(&format!("{linter} {template}: clean\n"))
}
