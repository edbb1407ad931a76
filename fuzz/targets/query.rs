//! A query's text through the parser: it reads it, or points at a column of it.

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = tributary_query::parse(text) {
        let columns = 1..=text.chars().count() + 1;
        assert!(columns.contains(&error.column()), "column {} of {text:?}", error.column());
        assert!(!error.to_string().is_empty());
    }
}
