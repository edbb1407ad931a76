//! Every limit is a named constant of one module, `shared/model/src/limits.rs` and the files of its parts.

use std::collections::HashSet;

use crate::source;

const HOME: &str = "shared/model/src/limits";

/// Endings that make a constant's name a limit's or a default's.
const ENDINGS: &[&str] = &["_MAX", "_MIN", "_LIMIT", "_TIMEOUT", "_INTERVAL", "_LIFETIME", "_RETENTION", "_CAPACITY"];

#[test]
fn limits_live_in_one_module() {
    for file in source::files(".rs")
        .iter()
        .filter(|file| !file.is_test() && !file.path.starts_with(HOME) && !file.path.starts_with("xtask/"))
    {
        for (number, line) in file.without_tests().lines().enumerate() {
            if let Some(name) = limit(line) {
                panic!("{}:{}: {name} is a limit; limits live in {HOME}", file.path, number + 1);
            }
        }
    }
}

#[test]
fn every_limit_is_used() {
    let files = source::files(".rs");
    let (home, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.path.starts_with(HOME));
    let words = |text: &str| -> Vec<String> {
        let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
        text.split(|character| !is_part(character)).map(str::to_owned).collect()
    };
    let used: HashSet<String> = files.iter().flat_map(|file| words(&file.text)).collect();
    for name in home
        .iter()
        .flat_map(|file| file.text.lines())
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
    {
        assert!(used.contains(name), "{name} limits nothing; take it out of {HOME}");
    }
}

/// The name of the limit that this line defines as a number or a time of its own. One that is made of another constant
/// (`const ARRIVAL_MAX: u64 = (1 << ARRIVAL_BITS) - 1`) is none.
fn limit(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("const ")?;
    if !before.trim().is_empty() && !before.trim_start().starts_with("pub") {
        return None;
    }
    let (name, definition) = after.split_once(':')?;
    let (_, value) = definition.split_once('=')?;
    let own = value.trim_start().starts_with(|first: char| first.is_ascii_digit()) || value.contains("Duration::from");
    (own && ENDINGS.iter().any(|ending| name.ends_with(ending))).then_some(name)
}

#[test]
fn a_limit_elsewhere_is_noticed() {
    assert_eq!(limit("    pub const BODY_BYTES_MAX: usize = 10;"), Some("BODY_BYTES_MAX"));
    assert_eq!(limit("const READ_TIMEOUT: Duration = Duration::from_secs(1);"), Some("READ_TIMEOUT"));
    assert_eq!(limit("const ARRIVAL_MAX: u64 = (1 << BITS) - 1;"), None);
    assert_eq!(limit("    let x = 1; // const X_MAX: u8 = 1"), None);
}
