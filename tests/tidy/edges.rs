//! Dependencies point one way: model <- pipeline, ports, config, telemetry <- functions. Only the program names an adapter.

use std::collections::{BTreeMap, BTreeSet};

use crate::source;

/// Who may depend on whom, tests aside. An edge that is not here is refused; one that is not used is refused as well.
const ALLOWED: &[(&str, &[&str])] = &[
    ("tributary-model", &[]),
    ("tributary-pipeline", &["tributary-model"]),
    ("tributary-ports", &["tributary-model"]),
    ("tributary-config", &["tributary-model"]),
    ("tributary-telemetry", &["tributary-model"]),
    ("tributary-access", &["tributary-model", "tributary-ports"]),
    ("tributary-aws", &["tributary-model", "tributary-ports"]),
    ("tributary-embedded", &["tributary-model", "tributary-ports"]),
    ("tributary-lambda", &["tributary-access", "tributary-model", "tributary-ports", "tributary-telemetry"]),
    ("tributary-rig", &["tributary-aws", "tributary-model", "tributary-ports"]),
    (
        "tributary-collector",
        &[
            "tributary-access",
            "tributary-aws",
            "tributary-config",
            "tributary-lambda",
            "tributary-model",
            "tributary-pipeline",
            "tributary-ports",
            "tributary-telemetry",
        ],
    ),
    (
        "tributary-worker",
        &[
            "tributary-aws",
            "tributary-config",
            "tributary-lambda",
            "tributary-model",
            "tributary-pipeline",
            "tributary-ports",
            "tributary-telemetry",
        ],
    ),
    (
        "tributary-replay",
        &[
            "tributary-access",
            "tributary-aws",
            "tributary-config",
            "tributary-lambda",
            "tributary-model",
            "tributary-pipeline",
            "tributary-ports",
            "tributary-telemetry",
            "tributary-worker",
        ],
    ),
    (
        "tributary-query",
        &[
            "tributary-access",
            "tributary-aws",
            "tributary-config",
            "tributary-lambda",
            "tributary-model",
            "tributary-pipeline",
            "tributary-ports",
            "tributary-replay",
            "tributary-telemetry",
        ],
    ),
    (
        "tributary-custodian",
        &[
            "tributary-access",
            "tributary-aws",
            "tributary-config",
            "tributary-lambda",
            "tributary-model",
            "tributary-ports",
            "tributary-telemetry",
            "tributary-worker",
        ],
    ),
    (
        "tributary-simulation",
        &[
            "tributary-access",
            "tributary-collector",
            "tributary-custodian",
            "tributary-model",
            "tributary-pipeline",
            "tributary-ports",
            "tributary-replay",
            "tributary-worker",
        ],
    ),
    (
        "tributary",
        &[
            "tributary-access",
            "tributary-aws",
            "tributary-collector",
            "tributary-config",
            "tributary-custodian",
            "tributary-embedded",
            "tributary-model",
            "tributary-ports",
            "tributary-query",
            "tributary-replay",
            "tributary-telemetry",
            "tributary-worker",
        ],
    ),
    ("tributary-tests", &["tributary"]),
    (
        "tributary-benches",
        &[
            "tributary",
            "tributary-access",
            "tributary-config",
            "tributary-embedded",
            "tributary-model",
            "tributary-pipeline",
            "tributary-ports",
            "tributary-replay",
            "tributary-rig",
        ],
    ),
    ("xtask", &[]),
];

#[test]
fn packages_depend_only_on_what_the_table_allows() {
    let packages = packages();
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ALLOWED.iter().map(|(name, edges)| (*name, edges.iter().copied().collect())).collect();
    assert_eq!(
        packages.keys().map(String::as_str).collect::<Vec<_>>(),
        allowed.keys().copied().collect::<Vec<_>>(),
        "the table and the workspace name different packages"
    );
    for (name, edges) in &packages {
        let edges: BTreeSet<&str> = edges.iter().map(String::as_str).collect();
        assert_eq!(edges, allowed[name.as_str()], "{name} depends on other packages of ours than the table says");
    }
}

/// What a function's binary alone may name: its library takes what it works with through the ports.
const WIRING: &[&str] = &["tributary_aws", "tributary_config", "tributary_lambda", "tributary_embedded"];

#[test]
fn only_a_functions_main_names_an_adapter() {
    let libraries = source::files(".rs")
        .into_iter()
        .filter(|file| file.path.starts_with("functions/") && !file.is_test() && !file.path.ends_with("/main.rs"));
    for file in libraries {
        for name in WIRING {
            assert!(!file.without_tests().contains(name), "{} names {name}", file.path);
        }
    }
}

/// Each package of the workspace and the packages of ours in its `[dependencies]`.
fn packages() -> BTreeMap<String, Vec<String>> {
    let manifests = source::files("Cargo.toml")
        .into_iter()
        .filter(|file| file.path != "Cargo.toml" && !file.path.starts_with("fuzz/"));
    manifests.map(|manifest| (name(&manifest.text), edges(&manifest.text))).collect()
}

fn name(manifest: &str) -> String {
    let line = manifest.lines().find_map(|line| line.strip_prefix("name = ")).expect("a package has a name");
    line.trim_matches('"').to_owned()
}

fn edges(manifest: &str) -> Vec<String> {
    let mut in_dependencies = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line == "[dependencies]";
        } else if in_dependencies && line.starts_with("tributary") {
            found.push(line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned());
        }
    }
    found
}
