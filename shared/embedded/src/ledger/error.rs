//! SQLite's failures as a caller decides on them.

use std::path::Path;

use rusqlite::{Error, ErrorCode};
use tributary_model::limits::LEDGER_RETRY_AFTER;
use tributary_ports::{PortError, PortErrorKind};

/// The failure of `operation` on the ledger in `file`.
pub(super) fn failed(operation: &'static str, file: &Path) -> impl FnOnce(Error) -> PortError {
    move |error| {
        let kind = kind_of(&error);
        let failed = PortError::new(kind, operation, format!("{}: {error}", file.display()));
        if kind == PortErrorKind::Throttled { failed.retry_after(LEDGER_RETRY_AFTER) } else { failed }
    }
}

fn kind_of(error: &Error) -> PortErrorKind {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => PortErrorKind::Throttled,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::AuthorizationForStatementDenied) => {
            PortErrorKind::Denied
        }
        Some(ErrorCode::Unknown | ErrorCode::ApiMisuse | ErrorCode::ParameterOutOfRange) => PortErrorKind::Invalid,
        // A full disk, a broken one, a damaged file, or a value in it that no version of ours wrote.
        _ => PortErrorKind::Unavailable,
    }
}

/// Why the store can't hold this row, if it is the row's fault and no other row's.
pub(super) fn refusal(error: &Error) -> Option<String> {
    let row = match error {
        Error::ToSqlConversionFailure(_) => true,
        _ => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
        ),
    };
    row.then(|| format!("the ledger can't hold a value of the row: {error}"))
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn a_caller_learns_what_to_do_by_sqlites_code() {
        let kind = |code| kind_of(&Error::SqliteFailure(ffi::Error::new(code), None));
        for (code, expected) in [
            (ffi::SQLITE_BUSY, PortErrorKind::Throttled),
            (ffi::SQLITE_BUSY_SNAPSHOT, PortErrorKind::Throttled),
            (ffi::SQLITE_LOCKED, PortErrorKind::Throttled),
            (ffi::SQLITE_READONLY, PortErrorKind::Denied),
            (ffi::SQLITE_PERM, PortErrorKind::Denied),
            (ffi::SQLITE_AUTH, PortErrorKind::Denied),
            (ffi::SQLITE_FULL, PortErrorKind::Unavailable),
            (ffi::SQLITE_IOERR_FSYNC, PortErrorKind::Unavailable),
            (ffi::SQLITE_CORRUPT, PortErrorKind::Unavailable),
            (ffi::SQLITE_NOTADB, PortErrorKind::Unavailable),
            (ffi::SQLITE_CANTOPEN, PortErrorKind::Unavailable),
            (ffi::SQLITE_NOMEM, PortErrorKind::Unavailable),
            (ffi::SQLITE_ERROR, PortErrorKind::Invalid),
        ] {
            assert_eq!(kind(code), expected, "{code}");
        }
    }

    #[test]
    fn only_a_rows_own_fault_is_a_refusal() {
        let refused = |code| refusal(&Error::SqliteFailure(ffi::Error::new(code), None)).is_some();
        assert!(refused(ffi::SQLITE_TOOBIG) && refused(ffi::SQLITE_CONSTRAINT_CHECK));
        assert!(!refused(ffi::SQLITE_FULL) && !refused(ffi::SQLITE_BUSY) && !refused(ffi::SQLITE_CORRUPT));
    }
}
