//! Readable code differs in its tails: no function over 70 lines, no file over 500 without its tests.
//!
//! A ratchet: what was over the limit is listed with its size and may only shrink; a list entry that is no longer
//! needed fails too.

use crate::source::{self, Source};

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 500;

/// `path` or `path:function`, and the lines it may have.
const RATCHET: &[(&str, usize)] = &[];

#[test]
fn no_function_and_no_file_grows_too_long() {
    let mut found: Vec<(String, usize)> = Vec::new();
    for file in source::files(".rs").iter().filter(|file| !file.is_test()) {
        let lines = file.without_tests().lines().count();
        if lines > FILE_LINES_MAX {
            found.push((file.path.clone(), lines));
        }
        found.extend(long_functions(file));
    }
    for (place, lines) in &found {
        let allowed = RATCHET.iter().find(|(listed, _)| listed == place).map_or(0, |(_, lines)| *lines);
        assert!(
            *lines <= allowed,
            "{place} has {lines} lines; split it (files: {FILE_LINES_MAX}, functions: {FUNCTION_LINES_MAX})"
        );
    }
    for (listed, _) in RATCHET {
        assert!(found.iter().any(|(place, _)| place == listed), "{listed} is short enough now: take it off the list");
    }
}

/// Functions of `file` that are too long, by the indentation that rustfmt gives: a function ends at the first line that
/// closes a brace in the column where `fn`'s line begins.
fn long_functions(file: &Source) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut open: Option<(String, usize, usize)> = None;
    for (number, line) in file.without_tests().lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match &open {
            None => open = function_name(line).map(|name| (name, indent, number)),
            Some((name, at, start)) if indent == *at && line.trim_start().starts_with('}') => {
                let lines = number - start + 1;
                if lines > FUNCTION_LINES_MAX {
                    found.push((format!("{}:{name}", file.path), lines));
                }
                open = None;
            }
            Some((_, at, _)) if indent == *at && line.ends_with(';') => open = None,
            Some(_) => {}
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let (before, after) = line.split_once("fn ")?;
    let modifiers =
        before.split_whitespace().all(|word| ["pub", "pub(crate)", "pub(super)", "async", "const"].contains(&word));
    let one_line = line.ends_with(';') || line.ends_with('}');
    (modifiers && !one_line).then(|| after.split(['(', '<']).next().unwrap_or_default().to_owned())
}

#[test]
fn a_long_function_is_noticed() {
    let body = "    let x = 1;\n".repeat(80);
    let file = Source {
        path: "a.rs".into(),
        text: format!("fn short() {{\n}}\n\npub async fn long(\n    x: u8,\n) {{\n{body}}}\n"),
    };
    assert_eq!(long_functions(&file), [("a.rs:long".to_owned(), 84)]);
}
