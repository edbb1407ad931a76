//! The project's own files.

use std::fs;
use std::path::{Path, PathBuf};

/// The checkout's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_owned()
}

/// A file of ours: its path within the checkout, with `/`, and its text.
pub(crate) struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    /// The text before the tests that stand at the end of a Rust file.
    pub(crate) fn without_tests(&self) -> &str {
        self.text.split_once("\n#[cfg(test)]\nmod ").map_or(&self.text, |(code, _)| code)
    }

    /// Whether all of it is test code or a bench.
    pub(crate) fn is_test(&self) -> bool {
        ["tests/", "benches/", "/tests/", "/benches/", "fuzz/", "/contract"].iter().any(|part| self.path.contains(part))
            || self.path.ends_with("/tests.rs")
    }
}

/// All our files with this ending, sorted by path.
pub(crate) fn files(ending: &str) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    collect(&root, &root, ending, &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty(), "no {ending} file below {}", root.display());
    found
}

fn collect(root: &Path, folder: &Path, ending: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the checkout") {
        let path = entry.expect("a folder's entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            let foreign = ["target", "node_modules", "corpus", "artifacts"].contains(&name.as_str());
            if !foreign && !name.starts_with('.') {
                collect(root, &path, ending, found);
            }
        } else if name.ends_with(ending) {
            let text = fs::read_to_string(&path).expect("UTF-8 text");
            let path = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
            found.push(Source { path, text });
        }
    }
}
