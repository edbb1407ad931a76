//! Search request to a page: the read API and its query language.
//!
//! | route | scope | answers |
//! |---|---|---|
//! | `GET /v1/invocations` | read | a page of invocations |
//! | `GET /v1/invocations/{id}` | read | one, with its report as it was received |
//! | `GET /v1/functions` | read | the functions of a search, with counts and durations |
//! | `GET /v1/dead-letters` | operate | a page of dead letters |
//! | `GET /v1/dead-letters/{id}` | operate | one, with its record's bytes |
//! | `POST /v1/dead-letters/{id}/retry` | operate | what became of it, applied again, edited or not |
//! | `POST /v1/dead-letters/retry` | operate | the same for a page of those that match |
//! | `DELETE /v1/dead-letters/{id}` | operate | it, given up |
//! | `POST /v1/replays` | operate | a replay or an audit, started |
//! | `GET /v1/replays` | operate | a page of replays, in the order of their starts |
//! | `GET /v1/replays/{id}` | operate | one, with how far it is |
//! | `POST /v1/replays/{id}/pause`, `.../resume`, `DELETE /v1/replays/{id}` | operate | the same, steered |
//! | `GET /v1/replays/{id}/findings` | operate | a page of what an audit found |
//! | `POST /v1/receipts` | operate | what the stores have of these reports |
//!
//! A caller sees their token's project only: what another project has is answered like what nobody has.
//! `docs/query-language.md` is the reference of the parameters.

mod answer;
mod cursor;
mod dead_letters;
mod failure;
mod functions;
mod handle;
mod invocations;
mod language;
mod opened;
mod parameters;
mod replays;
mod search;
mod time_range;

pub use handle::{Handled, Query, handle};
pub use language::{QueryError, parse};
