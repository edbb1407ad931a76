//! What the templates must hold, whoever changes them. Each check answers the problems that it finds; a second test beside
//! it spoils the templates in one place each, and expects to hear of it.
#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use serde_json::Value;

mod alarms;
mod buckets;
mod encryption;
mod mappings;
mod names;
mod rights;
mod settings;
mod stores;
mod template;
mod wildcards;

use template::Template;

/// What the checks look at.
#[derive(Clone)]
pub(crate) struct Project {
    /// The checkout.
    pub root: PathBuf,
    /// One region's stack.
    pub region: Template,
    /// The core's.
    pub core: Template,
}

impl Project {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_owned();
        let (region, core) = (Template::read(&root, "template.yaml"), Template::read(&root, "infra/core.yaml"));
        Self { root, region, core }
    }

    /// Both templates.
    pub(crate) fn templates(&self) -> [&Template; 2] {
        [&self.region, &self.core]
    }
}

/// Finds problems, each a line that names the resource.
pub(crate) type Check = fn(&Project) -> Vec<String>;

/// The templates as they are have no problem.
pub(crate) fn holds(check: Check) {
    let problems = check(&Project::read());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Which template is spoilt.
#[derive(Clone, Copy)]
pub(crate) enum In {
    Region,
    Core,
}

/// Each of these changes, made alone, is found, and the first problem names the resource. A change is a place below
/// `Resources`, as a JSON pointer, and what stands there instead; null removes it.
pub(crate) fn finds(check: Check, changes: &[(In, &str, Value)]) {
    let whole = Project::read();
    for (place, pointer, value) in changes {
        let mut project = whole.clone();
        let template = match place {
            In::Region => &mut project.region,
            In::Core => &mut project.core,
        };
        change(&mut template.document["Resources"], pointer, value.clone());
        let problems = check(&project);
        let name = pointer.split('/').nth(1).expect("a resource");
        assert!(problems.iter().any(|problem| problem.contains(name)), "{pointer} = {value}: {problems:?}");
    }
}

/// Sets what stands at the pointer, or removes it. All but its last part must be there.
pub(crate) fn change(document: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}"));
    match parent {
        Value::Array(items) => {
            let index: usize = key.parse().expect("an index");
            if value.is_null() { drop(items.remove(index)) } else { items[index] = value }
        }
        _ if value.is_null() => {
            let removed = parent.as_object_mut().expect("an object").remove(key);
            assert!(removed.is_some(), "nothing at {pointer}");
        }
        _ => parent[key] = value,
    }
}
