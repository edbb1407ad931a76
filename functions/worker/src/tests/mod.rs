//! The worker against stores that fail.

mod cases;
mod dead_letters;
mod doubles;
mod histories;
