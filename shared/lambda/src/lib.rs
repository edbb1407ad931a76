//! Between the Lambda runtime and a function's `handle`: HTTP and Kinesis events in, answers out.
//!
//! ```text
//! runtime/invocation/next -> Request<Bytes>  -> handle -> Response<Bytes> -> the answer that the trigger wants
//!                         -> Batch           -> handle -> sequence numbers to redeliver
//! ```
//!
//! The events have types of our own, which borrow from the payload and name only what is used: they are read and thrown
//! away once per invocation (`docs/adr/0008-own-event-types.md`). An event that is none of these is a function error: the
//! trigger is set up wrongly, and nothing of it may count as handled.

mod clock;
mod function_error;
pub mod http;
pub mod kinesis;
mod program;
mod serve;

pub use clock::Invoked;
pub use function_error::FunctionError;
pub use program::{Error, run};
pub use serve::{serve_batches, serve_http, serve_schedule};
