//! The reader of the flat tape: a state machine without recursion.

use super::{Node, Type};
use crate::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX};
use crate::rejection::{Reason, Rejection};

/// Reads a text once from its beginning to its end.
pub(super) struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
}

impl<'a> Parser<'a> {
    /// The nodes of a text below 4 GiB.
    pub(super) fn read(text: &'a str) -> Result<Vec<Node>, Rejection> {
        let nodes = Vec::with_capacity(text.len() / 12 + 8); // captured reports have a value every 13 bytes
        let mut parser = Self { bytes: text.as_bytes(), at: 0, nodes };
        parser.document()?;
        Ok(parser.nodes)
    }

    /// Iterative, so that depth costs no stack: `open` holds the indices of the containers around the current value.
    fn document(&mut self) -> Result<(), Rejection> {
        let mut open: Vec<usize> = Vec::with_capacity(JSON_DEPTH_MAX);
        loop {
            self.skip_space();
            let opened = self.value()?;
            match opened {
                Some(container) if !self.closes_at_once(container) => {
                    if open.len() == JSON_DEPTH_MAX {
                        return Err(self.too_large("is nested deeper than", JSON_DEPTH_MAX));
                    }
                    open.push(container);
                    self.key_if_object(container)?;
                    continue;
                }
                _ => {}
            }
            if !self.close_or_continue(&mut open)? {
                break;
            }
        }
        self.skip_space();
        if self.at < self.bytes.len() {
            return Err(self.malformed("there is more text after the JSON value"));
        }
        Ok(())
    }

    /// After a complete value: closes containers that end here. Whether another value follows.
    fn close_or_continue(&mut self, open: &mut Vec<usize>) -> Result<bool, Rejection> {
        while let Some(&container) = open.last() {
            self.skip_space();
            let close = if self.type_at(container) == Type::Object { b'}' } else { b']' };
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.key_if_object(container)?;
                    return Ok(true);
                }
                Some(byte) if byte == close => {
                    self.at += 1;
                    self.finish(container);
                    open.pop();
                }
                _ => return Err(self.malformed("a comma or the end of an array or object was expected")),
            }
        }
        Ok(false)
    }

    /// Reads one scalar, or the opening bracket of a container whose index is answered.
    fn value(&mut self) -> Result<Option<usize>, Rejection> {
        match self.peek() {
            Some(b'"') => self.string().map(|()| None),
            Some(b'{') => self.container(Type::Object).map(Some),
            Some(b'[') => self.container(Type::Array).map(Some),
            Some(b't') => self.literal("true", Type::Bool),
            Some(b'f') => self.literal("false", Type::Bool),
            Some(b'n') => self.literal("null", Type::Null),
            Some(b'N') => self.literal("NaN", Type::Number),
            Some(b'I') => self.literal("Infinity", Type::Number),
            Some(b'-') if self.bytes.get(self.at + 1) == Some(&b'I') => self.literal("-Infinity", Type::Number),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.malformed("a JSON value was expected")),
            None => Err(self.malformed("the text ends where a JSON value was expected")),
        }
    }

    fn key_if_object(&mut self, container: usize) -> Result<(), Rejection> {
        if self.type_at(container) != Type::Object {
            return Ok(());
        }
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.malformed("an object's key was expected"));
        }
        self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.malformed("a colon was expected after an object's key"));
        }
        self.at += 1;
        Ok(())
    }

    fn container(&mut self, what: Type) -> Result<usize, Rejection> {
        let index = self.nodes.len();
        self.push(self.at, self.at + 1, what, false)?;
        self.at += 1;
        Ok(index)
    }

    fn closes_at_once(&mut self, container: usize) -> bool {
        self.skip_space();
        let close = if self.type_at(container) == Type::Object { b'}' } else { b']' };
        let empty = self.peek() == Some(close);
        if empty {
            self.at += 1;
            self.finish(container);
        }
        empty
    }

    fn finish(&mut self, container: usize) {
        let next = as_u32(self.nodes.len());
        let end = as_u32(self.at);
        if let Some(node) = self.nodes.get_mut(container) {
            node.end = end;
            node.next = next;
        }
    }

    fn string(&mut self) -> Result<(), Rejection> {
        let start = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += plain_bytes(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                None => return Err(self.malformed("the text ends within a string")),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.malformed("a control character stands unescaped in a string")),
            }
        }
        self.at += 1;
        self.push(start, self.at, Type::String, escaped)
    }

    fn escape(&mut self) -> Result<(), Rejection> {
        let taken = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let hex = self.bytes.get(self.at + 2..self.at + 6).unwrap_or_default();
                if hex.len() < 4 || !hex.iter().all(u8::is_ascii_hexdigit) {
                    return Err(self.malformed("\\u must be followed by four hexadecimal digits"));
                }
                6
            }
            _ => return Err(self.malformed("a backslash is followed by no known escape")),
        };
        self.at += taken;
        Ok(())
    }

    fn literal(&mut self, literal: &str, what: Type) -> Result<Option<usize>, Rejection> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(literal.as_bytes()) {
            return Err(self.malformed("a JSON value was expected"));
        }
        self.push(self.at, self.at + literal.len(), what, false)?;
        self.at += literal.len();
        Ok(None)
    }

    fn number(&mut self) -> Result<Option<usize>, Rejection> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let integer_digits = self.digits();
        let mut right = integer_digits > 0 && !(leading_zero && integer_digits > 1);
        if self.peek() == Some(b'.') {
            self.at += 1;
            right &= self.digits() > 0;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            right &= self.digits() > 0;
        }
        if !right {
            return Err(self.malformed("a number is not well-formed"));
        }
        self.push(start, self.at, Type::Number, false)?;
        Ok(None)
    }

    fn digits(&mut self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn push(&mut self, start: usize, end: usize, what: Type, escaped: bool) -> Result<(), Rejection> {
        if self.nodes.len() == JSON_VALUES_MAX {
            return Err(self.too_large("has more values than", JSON_VALUES_MAX));
        }
        let next = as_u32(self.nodes.len() + 1);
        self.nodes.push(Node { start: as_u32(start), end: as_u32(end), next, what, escaped });
        Ok(())
    }

    fn type_at(&self, index: usize) -> Type {
        self.nodes.get(index).map_or(Type::Null, |node| node.what)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn malformed(&self, what: &str) -> Rejection {
        Rejection::new(Reason::Malformed, format!("not JSON at byte {}: {what}", self.at))
    }

    fn too_large(&self, what: &str, limit: usize) -> Rejection {
        Rejection::new(Reason::TooLarge, format!("the JSON {what} the limit of {limit}, at byte {}", self.at))
    }
}

/// How many bytes come before a quote, a backslash or a control character; all of them if there is none. Eight at a time:
/// most of a report is strings.
fn plain_bytes(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    // The lowest byte that is 0 has its high bit set in the answer; higher ones may be set wrongly.
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGH
    }
    let mut rest = text;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = controls | zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c));
        if found != 0 {
            return text.len() - rest.len() + found.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let in_rest = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
    text.len() - rest.len() + in_rest.unwrap_or(rest.len())
}

/// A position in a text that was checked to be below 4 GiB.
#[expect(clippy::cast_possible_truncation, reason = "Document::parse refuses texts of 4 GiB and more")]
const fn as_u32(position: usize) -> u32 {
    position as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_ends_at_the_first_byte_that_is_not_plain() {
        for before in 0..20 {
            for (end, plain) in [
                ("\"", false),
                ("\\", false),
                ("\n", false),
                ("\u{1f}", false),
                (" ", true),
                ("é", true),
                ("\u{7f}", true),
            ] {
                let text = format!("{}{end}\"\n\\", "!".repeat(before));
                let expected = if plain { before + end.len() } else { before };
                assert_eq!(plain_bytes(text.as_bytes()), expected, "{text:?}");
            }
            assert_eq!(plain_bytes("~".repeat(before).as_bytes()), before);
        }
    }
}
