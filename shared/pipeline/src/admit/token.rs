//! The token's removal: whoever reads a report later may not learn it.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memmem};
use tributary_model::json::Value;
use tributary_model::{Report, TokenId};

/// The report with the value of every top-level `client_id`, whatever it is, replaced by `"<jti>"`, and with the jti in
/// place of any other occurrence of `token` in a string or a key, however it is escaped there. No other byte changes,
/// so that the result is JSON again. `body` is what `report` was read from; it is copied once, and only if anything is
/// replaced.
#[must_use]
pub fn without_token(body: &Bytes, report: &Report<'_>, token: Option<&str>, jti: &TokenId) -> Bytes {
    let mut found = Vec::new();
    for (key, value) in report.root().entries() {
        if key.is_text("client_id") {
            found.push(Found { span: value.span(), whole_value: true });
        }
    }
    if let Some(token) = token.filter(|token| !token.is_empty()) {
        find_elsewhere(report, token, &mut found);
    }
    if found.is_empty() { body.clone() } else { replace(body, &found, jti) }
}

/// Bytes of the token's end that are looked for first; the end of a signature is as good as random.
const TOKEN_END_BYTES: usize = 32;

/// Bytes that give way to the jti.
struct Found {
    span: Range<usize>,
    /// A JSON value, in place of which the jti stands in quotes; else a part of a string.
    whole_value: bool,
}

fn find_elsewhere(report: &Report<'_>, token: &str, found: &mut Vec<Found>) {
    let text = report.document().text();
    let values = found.len();
    let outside = |at: usize, found: &[Found]| !found.iter().take(values).any(|value| value.span.contains(&at));
    // Where the token's end does not stand, the token does not; to prepare a search for 384 bytes costs more than the
    // search, and nearly every report holds the token in `client_id` alone.
    let end = token.as_bytes().get(token.len().saturating_sub(TOKEN_END_BYTES)..).unwrap_or_default();
    let plain = memmem::find_iter(text.as_bytes(), end).any(|at| outside(at, found));
    let finder = plain.then(|| memmem::Finder::new(token));
    if !plain && memchr(b'\\', text.as_bytes()).is_none() {
        return;
    }
    for string in report.document().strings() {
        let span = string.span();
        if string.is_escaped() {
            if outside(span.start, found) {
                find_in_escaped(string, token, found);
            }
        } else if let Some(finder) = finder.as_ref().filter(|_| outside(span.start, found)) {
            let at = span.start + 1;
            let hits = finder.find_iter(inner(string).as_bytes());
            found.extend(hits.map(|hit| Found { span: at + hit..at + hit + token.len(), whole_value: false }));
        }
    }
    found.sort_by_key(|found| found.span.start);
}

/// A string's bytes between its quotes.
fn inner<'a>(string: Value<'_, 'a>) -> &'a str {
    let raw = string.raw();
    raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()
}

/// Finds the token in a string in which something is escaped: compared is what is meant, replaced what is written.
fn find_in_escaped(string: Value<'_, '_>, token: &str, found: &mut Vec<Found>) {
    let Some(meant) = string.as_str().filter(|meant| meant.contains(token)) else { return };
    let start = string.span().start + 1;
    let written = written_ends(inner(string));
    let end_of =
        |character: usize| start + character.checked_sub(1).and_then(|at| written.get(at)).copied().unwrap_or(0);
    for (at, hit) in meant.match_indices(token) {
        let before = meant.get(..at).map_or(0, |text| text.chars().count());
        let span = end_of(before)..end_of(before + hit.chars().count());
        found.push(Found { span, whole_value: false });
    }
}

/// Where each character of a string ends as it is written, in bytes from the first.
fn written_ends(written: &str) -> Vec<usize> {
    let mut ends = Vec::with_capacity(written.len());
    let mut rest = written;
    while !rest.is_empty() {
        let taken = written_character(rest);
        rest = rest.get(taken..).unwrap_or_default();
        ends.push(written.len() - rest.len());
    }
    ends
}

/// Bytes of the first character as it is written: itself, `\n`, `\u00e9`, or a pair of surrogates.
fn written_character(text: &str) -> usize {
    let unit = |at: usize| {
        let escape = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(escape, 16).ok()
    };
    match (unit(0), unit(6)) {
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
        (Some(_), _) => 6,
        _ if text.starts_with('\\') => 2,
        _ => text.chars().next().map_or(1, char::len_utf8),
    }
}

fn replace(body: &Bytes, found: &[Found], jti: &TokenId) -> Bytes {
    let jti = jti.as_str().as_bytes(); // letters, digits, - and _: nothing to escape
    let mut out = BytesMut::with_capacity(body.len() + found.len() * (jti.len() + 2));
    let mut done = 0;
    for Found { span, whole_value } in found {
        let quote: &[u8] = if *whole_value { b"\"" } else { b"" };
        let before = body.get(done..span.start).unwrap_or_default();
        for part in [before, quote, jti, quote] {
            out.extend_from_slice(part);
        }
        done = span.end;
    }
    out.extend_from_slice(body.get(done..).unwrap_or_default());
    out.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Tree;

    use super::*;

    fn jti() -> TokenId {
        TokenId::new("t_1").expect("a token's id")
    }

    fn report(fields: &str) -> Bytes {
        format!(r#"{{"processId":"p","aws":{{"awsRequestId":"r"}},"timestamp":1{fields}}}"#).into()
    }

    fn removed(body: &Bytes, token: Option<&str>) -> String {
        let report = Report::parse(body).expect("a report");
        let without = without_token(body, &report, token, &jti());
        Report::parse(&without).expect("still a report");
        String::from_utf8(without.to_vec()).expect("text")
    }

    #[test]
    fn every_client_id_gives_way_to_the_jti_whatever_it_is() {
        for (fields, expected) in [
            (r#","client_id":"secret""#, r#","client_id":"t_1""#),
            (r#", "client_id" : "s\u0065cret" , "x":1"#, r#", "client_id" : "t_1" , "x":1"#),
            (r#","client_id":"secret","client_id":"other""#, r#","client_id":"t_1","client_id":"t_1""#),
            (r#","client_id":17"#, r#","client_id":"t_1""#),
            (r#","client_id":{"a":["secret"]}"#, r#","client_id":"t_1""#),
            (r#","client\u005fid":null"#, r#","client\u005fid":"t_1""#),
        ] {
            assert_eq!(removed(&report(fields), Some("secret")), report(expected), "{fields}");
        }
    }

    #[test]
    fn the_token_gives_way_wherever_it_stands() {
        for (fields, expected) in [
            (r#","labels":["secret","a secret secret"]"#, r#","labels":["t_1","a t_1 t_1"]"#),
            (r#","x":{"the secret":"\"secret\""}"#, r#","x":{"the t_1":"\"t_1\""}"#),
            (r#","x":"é\n\ud83d\ude80\ud83d s\u0065cret\u0021""#, r#","x":"é\n\ud83d\ude80\ud83d t_1\u0021""#),
            (r#","client_id":"secret","y":"secret""#, r#","client_id":"t_1","y":"t_1""#),
            (r#","y":"secret","client_id":"secret""#, r#","y":"t_1","client_id":"t_1""#),
        ] {
            assert_eq!(removed(&report(fields), Some("secret")), report(expected), "{fields}");
        }
    }

    #[test]
    fn only_strings_are_searched() {
        let body = report(r#","x":[true,12,"\ntrue"]"#);
        assert_eq!(removed(&body, Some("n")), report(r#","x":[true,12,"\ntrue"]"#));
        assert_eq!(removed(&body, Some("true")), report(r#","x":[true,12,"\nt_1"]"#));
        assert_eq!(removed(&body, Some("2")), report(r#","x":[true,12,"\ntrue"]"#));
    }

    #[test]
    fn nothing_is_copied_when_nothing_is_replaced() {
        let body = report(r#","aws.client_id":"x","y":{"client_id":"z"}"#);
        for token in [None, Some("secret"), Some("")] {
            let read = Report::parse(&body).expect("a report");
            assert_eq!(without_token(&body, &read, token, &jti()).as_ptr(), body.as_ptr());
        }
    }

    /// What removal means, said over trees: the top-level `client_id` is the jti, and every string has the jti for the token.
    fn expected(tree: Tree, token: &str, top: bool) -> Tree {
        match tree {
            Tree::String(text) => Tree::String(text.replace(token, "t_1")),
            Tree::Array(items) => items.into_iter().map(|item| expected(item, token, false)).collect(),
            Tree::Object(entries) => {
                let entry = |(key, value): (String, Tree)| match (top, key.as_str()) {
                    (true, "client_id") => (key, Tree::String("t_1".to_owned())),
                    _ => (key.replace(token, "t_1"), expected(value, token, false)),
                };
                Tree::Object(entries.into_iter().map(entry).collect())
            }
            other => other,
        }
    }

    /// Writes a text as JSON with some characters escaped that need not be.
    fn escaped(text: &str, which: u64) -> String {
        let escape = |(at, unit): (usize, u16)| match char::from_u32(u32::from(unit)) {
            Some(plain) if which >> (at % 64) & 1 == 0 && plain != '"' && plain != '\\' && plain >= ' ' => {
                plain.to_string()
            }
            _ => format!("\\u{unit:04x}"),
        };
        format!("\"{}\"", text.encode_utf16().enumerate().map(escape).collect::<String>())
    }

    proptest! {
        #[test]
        fn nothing_but_the_token_changes(
            texts in proptest::collection::vec(("[a-cé🚀\"\n]{0,6}", "(abc|a\"b|é🚀)?", "[a-c]{0,4}", any::<u64>()), 1..6),
            token in "(abc|a\"b|é🚀)",
            client_id in proptest::option::of("[a-c]{0,6}"),
        ) {
            let mut fields = client_id.map(|id| format!(",\"client_id\":\"{id}\"")).unwrap_or_default();
            for (at, (before, middle, after, which)) in texts.iter().enumerate() {
                let text = escaped(&format!("{before}{middle}{after}"), *which);
                fields.push_str(&format!(",\"x{at}\":[{text},{{{text}:null}}]"));
            }
            let body = report(&fields);
            let without = removed(&body, Some(&token));
            let before: Tree = serde_json::from_slice(&body).expect("JSON");
            let after: Tree = serde_json::from_str(&without).expect("JSON");
            prop_assert_eq!(after, expected(before, &token, true));
            let read = Report::parse(without.as_bytes()).expect("a report");
            let again = without_token(&Bytes::from(without.clone()), &read, Some(&token), &jti());
            prop_assert_eq!(again, Bytes::from(without));
        }
    }
}
