//! The nouns of Tributary: [`Report`] (what an agent sends), [`Record`] (one element of the stream, carrying one
//! report), [`Invocation`] (the normal form that engineers search), the ids that name them, and every limit.
//!
//! This crate depends on nothing else of ours, does no IO and reads no clock.

pub mod dead_letter;
pub mod directory;
pub mod duration;
pub mod id;
pub mod invocation;
pub mod json;
pub mod level;
pub mod limits;
pub mod outages;
pub mod outcome;
pub mod overflow;
pub mod problem;
pub mod record;
pub mod rejection;
pub mod replays;
pub mod report;
pub mod store_settings;
pub mod target;
pub mod time;

pub use directory::Directory;
pub use id::{AccountId, ProjectId, Region, ReportId, RetentionClass, TokenId, Version};
pub use invocation::Invocation;
pub use level::Level;
pub use outcome::{Outcome, Outcomes};
pub use problem::Problem;
pub use record::{Kind, Record};
pub use rejection::{ErrorClass, Reason, Rejection};
pub use report::Report;
pub use store_settings::StoreSettings;
pub use target::Target;
pub use time::{Day, TimestampMs};
