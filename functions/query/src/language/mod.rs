//! The query language: text to a typed [`Filter`]. `docs/query-language.md` is its reference.
//!
//! ```text
//! or    = and { "OR" and }
//! and   = not { ["AND"] not }
//! not   = ("-" | "NOT") not | "(" or ")" | term
//! term  = field ":" [">" | ">=" | "<" | "<="] value | word | phrase
//! ```
//!
//! Nothing of a user's text reaches an engine's own syntax: what is not in the grammar is refused, with the column.

mod error;
mod fields;
mod numbers;
mod scanner;
mod terms;
#[cfg(test)]
mod tests;

use tributary_model::limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX};
use tributary_ports::search::Filter;

pub use error::QueryError;
use error::Wrong;
use scanner::Scanner;

/// Reads a query. An empty one, or one of blanks, is [`Filter::All`].
///
/// # Errors
/// If the text is not in the language, or has more than [`QUERY_BYTES_MAX`] bytes, [`QUERY_TERMS_MAX`] terms or
/// [`QUERY_DEPTH_MAX`] levels; the error points at the column.
pub fn parse(text: &str) -> Result<Filter, QueryError> {
    let mut parser = Parser { scanner: Scanner::new(text), depth: 0, terms: 0 };
    parser.query().map_err(|wrong| QueryError::new(text, wrong))
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    depth: usize,
    terms: usize,
}

impl Parser<'_> {
    fn query(&mut self) -> Result<Filter, Wrong> {
        let bytes = self.scanner.text().len();
        if bytes > QUERY_BYTES_MAX {
            return Err(Wrong::new(0, format!("the query has {bytes} bytes; the limit is {QUERY_BYTES_MAX}")));
        }
        self.scanner.skip_blanks();
        if self.scanner.at_end() {
            return Ok(Filter::All);
        }
        let filter = self.or()?;
        if self.scanner.peek() == Some(')') {
            return Err(self.scanner.wrong("this parenthesis closes nothing"));
        }
        Ok(filter)
    }

    fn or(&mut self) -> Result<Filter, Wrong> {
        let mut any = vec![self.and()?];
        while self.scanner.keyword("OR") {
            any.push(self.and()?);
        }
        Ok(one_or(any, Filter::Or))
    }

    fn and(&mut self) -> Result<Filter, Wrong> {
        let mut all = vec![self.not()?];
        while self.scanner.keyword("AND") || !self.group_ends() {
            all.push(self.not()?);
        }
        Ok(one_or(all, Filter::And))
    }

    /// Whether nothing more is joined by AND here.
    fn group_ends(&mut self) -> bool {
        self.scanner.skip_blanks();
        self.scanner.at_end() || self.scanner.peek() == Some(')') || self.scanner.sees_keyword("OR")
    }

    fn not(&mut self) -> Result<Filter, Wrong> {
        self.scanner.skip_blanks();
        if self.scanner.keyword("NOT") || self.minus()? {
            let inner = self.deeper(Self::not)?;
            return Ok(Filter::Not(Box::new(inner)));
        }
        match self.scanner.peek() {
            Some('(') => self.deeper(Self::parentheses),
            Some(_) if !self.sees_operator() => self.term(),
            _ => Err(self.scanner.wrong("a term is expected here, such as function:checkout or a word")),
        }
    }

    fn sees_operator(&self) -> bool {
        self.scanner.peek() == Some(')') || self.scanner.sees_keyword("OR") || self.scanner.sees_keyword("AND")
    }

    fn minus(&mut self) -> Result<bool, Wrong> {
        if !self.scanner.take('-') {
            return Ok(false);
        }
        if self.scanner.at_boundary() {
            return Err(self.scanner.wrong("a term must follow the - without a space, such as -label:vip"));
        }
        Ok(true)
    }

    fn parentheses(&mut self) -> Result<Filter, Wrong> {
        let opened = self.scanner.position();
        self.scanner.take('(');
        let inner = self.or()?;
        if self.scanner.take(')') {
            return Ok(inner);
        }
        Err(Wrong::new(opened, "this parenthesis is not closed"))
    }

    fn deeper(&mut self, inner: fn(&mut Self) -> Result<Filter, Wrong>) -> Result<Filter, Wrong> {
        if self.depth == QUERY_DEPTH_MAX {
            let message = format!("parentheses and negations are nested at most {QUERY_DEPTH_MAX} deep");
            return Err(self.scanner.wrong(message));
        }
        self.depth += 1;
        let filter = inner(self)?;
        self.depth -= 1;
        Ok(filter)
    }

    fn term(&mut self) -> Result<Filter, Wrong> {
        if self.terms == QUERY_TERMS_MAX {
            return Err(self.scanner.wrong(format!("a query has at most {QUERY_TERMS_MAX} terms")));
        }
        self.terms += 1;
        terms::term(&mut self.scanner)
    }
}

/// A list of one is that one.
fn one_or(mut filters: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match (filters.pop(), filters.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            filters.extend(last);
            join(filters)
        }
    }
}
