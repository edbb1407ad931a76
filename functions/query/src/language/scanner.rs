//! A place in the query's text, and what can be read from there.

use super::error::Wrong;

/// Ends a bare word, a field's name and a bare value.
fn ends_word(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '(' | ')' | '"')
}

pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) const fn text(&self) -> &'a str {
        self.text
    }

    /// The byte at which the scanner stands.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// A fault at this place.
    pub(super) fn wrong(&self, message: impl Into<String>) -> Wrong {
        Wrong::new(self.at, message)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// Whether a term could end here.
    pub(super) fn at_boundary(&self) -> bool {
        self.peek().is_none_or(|letter| letter.is_whitespace() || letter == ')')
    }

    pub(super) fn skip_blanks(&mut self) {
        self.take_while(char::is_whitespace);
    }

    pub(super) fn take(&mut self, letter: char) -> bool {
        let there = self.peek() == Some(letter);
        if there {
            self.at += letter.len_utf8();
        }
        there
    }

    /// Takes the first of `texts` that stands here.
    pub(super) fn take_any(&mut self, texts: &[&'static str]) -> Option<&'static str> {
        let found = texts.iter().find(|text| self.rest().starts_with(**text))?;
        self.at += found.len();
        Some(found)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = rest.split(|letter| !wanted(letter)).next().unwrap_or_default();
        self.at += taken.len();
        taken
    }

    /// A bare word or a field's name; empty if none stands here.
    pub(super) fn take_word(&mut self) -> &'a str {
        self.take_while(|letter| !ends_word(letter) && letter != ':')
    }

    /// A bare value; empty if none stands here.
    pub(super) fn take_value(&mut self) -> &'a str {
        self.take_while(|letter| !ends_word(letter))
    }

    /// Whether the capital word `word` stands here, alone.
    pub(super) fn sees_keyword(&self, word: &str) -> bool {
        let after = self.rest().strip_prefix(word).map(|rest| rest.chars().next());
        after.is_some_and(|next| next.is_none_or(|letter| letter.is_whitespace() || matches!(letter, '(' | ')')))
    }

    /// Takes the capital word `word`, behind blanks, if it stands alone.
    pub(super) fn keyword(&mut self, word: &str) -> bool {
        self.skip_blanks();
        let there = self.sees_keyword(word);
        if there {
            self.at += word.len();
        }
        there
    }

    /// The text of a quoted value, if a quote stands here.
    pub(super) fn take_quoted(&mut self) -> Result<Option<String>, Wrong> {
        let opened = self.at;
        if !self.take('"') {
            return Ok(None);
        }
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|letter| letter != '"' && letter != '\\'));
            if self.take('"') {
                return Ok(Some(text));
            }
            if !self.take('\\') {
                return Err(Wrong::new(opened, "this quote is not closed"));
            }
            text.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, Wrong> {
        const ESCAPES: [(char, char); 5] = [('"', '"'), ('\\', '\\'), ('n', '\n'), ('r', '\r'), ('t', '\t')];
        let letter = ESCAPES.into_iter().find(|(letter, _)| self.take(*letter));
        let wrong = || self.wrong(r#"after a backslash only ", \, n, r or t is understood"#);
        letter.map(|(_, meaning)| meaning).ok_or_else(wrong)
    }
}
