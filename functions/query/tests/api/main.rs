//! The read API from request to answer, on the embedded stores, into which the worker brings what is read.

mod answers;
mod dead_letters;
mod fixture;
mod pages;
mod refusals;
