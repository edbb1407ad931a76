//! Named parameters: `:name` in the Data API, `$1` in PostgreSQL.

use std::collections::HashMap;

/// The SQL with `$n` for each parameter, and the parameters' names in the order of their numbers.
pub(super) fn numbered(sql: &str) -> (String, Vec<String>) {
    let mut numbered = String::with_capacity(sql.len());
    let mut names: Vec<String> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut rest = sql;
    while !rest.is_empty() {
        let piece = piece(rest);
        match piece.strip_prefix(':').filter(|name| name.starts_with(is_start)) {
            Some(name) => {
                let number = *numbers.entry(name.to_owned()).or_insert_with(|| {
                    names.push(name.to_owned());
                    names.len()
                });
                numbered.push_str(&format!("${number}"));
            }
            None => numbered.push_str(piece),
        }
        rest = &rest[piece.len()..];
    }
    (numbered, names)
}

/// The next piece of SQL: a literal, a quoted name, a comment, a cast's `::`, a parameter, or one character.
fn piece(sql: &str) -> &str {
    let end = |found: Option<usize>, length: usize| found.map_or(sql.len(), |at| at + length);
    let length = match sql.as_bytes() {
        [b'\'', ..] => end(sql[1..].find('\''), 2),
        [b'"', ..] => end(sql[1..].find('"'), 2),
        [b'-', b'-', ..] => end(sql.find('\n'), 1),
        [b'/', b'*', ..] => end(sql.find("*/"), 2),
        [b':', b':', ..] => 2,
        [b':', ..] => 1 + sql[1..].find(|letter| !is_part(letter)).unwrap_or(sql.len() - 1),
        [b'$', ..] => dollar_quoted(sql).unwrap_or(1),
        _ => sql.chars().next().map_or(0, char::len_utf8),
    };
    &sql[..length]
}

/// Bytes of a text between `$tag$` and `$tag$`.
fn dollar_quoted(sql: &str) -> Option<usize> {
    let tag_end = 1 + sql[1..].find('$')?;
    let tag = &sql[..=tag_end];
    if !tag[1..tag_end].chars().all(is_part) {
        return None;
    }
    let body = sql[tag.len()..].find(tag)?;
    Some(tag.len() + body + tag.len())
}

fn is_start(letter: char) -> bool {
    letter.is_ascii_alphabetic() || letter == '_'
}

fn is_part(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_numbers_and_what_is_no_name_stays() {
        for (sql, expected, names) in [
            ("SELECT 1", "SELECT 1", &[][..]),
            ("SELECT :a, :b_2, :a", "SELECT $1, $2, $1", &["a", "b_2"]),
            ("SELECT :a::jsonb, b::text", "SELECT $1::jsonb, b::text", &["a"]),
            ("SELECT ':a', 'it''s :b', \":c\", :d", "SELECT ':a', 'it''s :b', \":c\", $1", &["d"]),
            ("SELECT 1 -- :a\n, :b /* :c */", "SELECT 1 -- :a\n, $1 /* :c */", &["b"]),
            ("DO $$ x := :a $$", "DO $$ x := :a $$", &[]),
            ("$x$ :a $$ :b $x$ :c", "$x$ :a $$ :b $x$ $1", &["c"]),
            ("x[1:2] ünï :a", "x[1:2] ünï $1", &["a"]),
            ("'unfinished :a", "'unfinished :a", &[]),
            ("a :", "a :", &[]),
        ] {
            assert_eq!(numbered(sql), (expected.to_owned(), names.iter().map(ToString::to_string).collect()), "{sql}");
        }
    }
}
