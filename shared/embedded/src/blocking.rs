//! Work that blocks, off the runtime's own threads.

use tributary_ports::{PortError, PortErrorKind};

/// Runs `work` where it may block. A panic in it, or a runtime that ends, makes the port unavailable.
pub(crate) async fn run<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, PortError> + Send + 'static,
) -> Result<T, PortError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(PortError::new(PortErrorKind::Unavailable, operation, error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_makes_the_port_unavailable() {
        let done = run::<()>("test.panic", || panic!("a bug")).await;
        let error = done.expect_err("a failure");
        assert_eq!((error.kind, error.operation), (PortErrorKind::Unavailable, "test.panic"));
    }
}
