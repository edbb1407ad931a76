//! HTTP by way of Lambda: requests out of the events of Application Load Balancers, Function URLs and HTTP APIs, and the
//! answers that each of them wants.

mod answer;
mod event;
mod form;
mod uri;

pub use answer::HttpAnswer;
pub use event::{HttpEvent, read};
pub use form::Form;

#[cfg(test)]
mod tests;
