//! One contract suite per port. An adapter's tests call each function with a way to make a fresh, empty store; a case
//! that fails panics with what it expected.

#[expect(clippy::expect_used, clippy::panic, reason = "a contract suite is test code")]
pub mod control;
#[expect(clippy::expect_used, reason = "a contract suite is test code")]
pub mod keys;
#[expect(clippy::expect_used, clippy::indexing_slicing, reason = "a contract suite is test code")]
pub mod ledger;
#[expect(clippy::expect_used, reason = "a contract suite is test code")]
pub mod objects;
#[expect(clippy::expect_used, clippy::indexing_slicing, reason = "a contract suite is test code")]
pub mod search;
#[expect(clippy::expect_used, clippy::panic, reason = "a contract suite is test code")]
pub mod stream;
