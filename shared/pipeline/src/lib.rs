//! decode, admit, pack/unpack, normalize, plan: pure steps without IO, clock or async.
//!
//! The way of one report: the collector [`decode`](decode::decode)s the body, reads it as a
//! [`Report`](tributary_model::Report), [`admit`](admit::admit)s it, takes the [token out](admit::without_token) and
//! [`pack`](pack::pack)s it into a record. A worker [`unpack`](unpack::unpack)s the record,
//! [`normalize`](normalize::normalize)s the report and [`plan`](plan::plan)s the writes of its whole batch.

pub mod admit;
pub mod decode;
pub mod normalize;
pub mod pack;
pub mod plan;
pub mod unpack;
