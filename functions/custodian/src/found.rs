//! What lies under a key that a chore works off.

use tributary_ports::{PortError, PortErrorKind};

/// What an object turns out to be.
pub(crate) enum Found<T> {
    /// What the chore is for.
    Whole(T),
    /// Nothing: another run has taken it.
    Gone,
    /// Something else. It stays where it is, and is counted at every run.
    Unreadable,
}

impl<T> Found<T> {
    /// Of a store's answer, by `read`.
    ///
    /// # Errors
    /// The answer's, if it is bad luck.
    pub(crate) fn of<A>(
        answer: Result<Option<A>, PortError>,
        read: impl FnOnce(A) -> Option<T>,
    ) -> Result<Self, PortError> {
        match answer {
            Ok(Some(data)) => Ok(read(data).map_or(Self::Unreadable, Self::Whole)),
            Ok(None) => Ok(Self::Gone),
            Err(error) if error.kind == PortErrorKind::Invalid => Ok(Self::Unreadable),
            Err(error) => Err(error),
        }
    }
}
