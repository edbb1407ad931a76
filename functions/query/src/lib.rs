//! Search request to a page: the read API and its query language.

mod language;

pub use language::{QueryError, parse};
