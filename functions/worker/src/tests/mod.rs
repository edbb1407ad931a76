//! The worker against stores that fail.

mod cases;
mod dead_letters;
pub(crate) mod doubles;
mod histories;
