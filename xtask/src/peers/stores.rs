//! Installing what stands for AWS, under `target/peers`: Kinesis's peers, PostgreSQL, OpenSearch, and the mocks of S3, KMS
//! and Lambda. `tests/rig` starts them.

use super::{Places, install};
use crate::failure::{Context, Failure, print};

/// The client that installs a peer; its manifest lies in `peers/<name>`.
enum Registry {
    /// `package-lock.json`
    Npm,
    /// `requirements.txt`
    PyPi,
    /// `pom.xml`, into `lib/`
    Maven,
}

const STORES: &[(&str, Registry)] = &[
    ("kinesis", Registry::Npm),
    ("postgres", Registry::Npm),
    ("mocks", Registry::PyPi),
    ("opensearch", Registry::Maven),
];

/// Installs all of them. What is installed already, from the same manifest, is not fetched again.
///
/// # Errors
/// If a registry can't be reached or a client fails; the error quotes the end of the client's output.
pub(crate) fn install_all(places: &Places) -> Result<(), Failure> {
    for (name, registry) in STORES {
        print(&format!("installing {name}\n"))?;
        let source = places.sources.join(name);
        let target = places.target.join(name);
        std::fs::create_dir_all(&target).context(format_args!("creating {}", target.display()))?;
        match registry {
            Registry::Npm => install::npm(&source, &target, places)?,
            Registry::PyPi => install::pip(&source, &target, places)?,
            Registry::Maven => install::maven(&source, &target, places)?,
        }
    }
    Ok(())
}
