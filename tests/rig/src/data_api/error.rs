//! The Data API's errors: a name in `x-amzn-errortype`, a status, a text.

use tokio_postgres::Error as PostgresError;
use tokio_postgres::error::SqlState;

/// One failure as it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The status.
    pub status: u16,
    /// The name.
    pub name: &'static str,
    /// The text.
    pub message: String,
}

/// Every error of the Data API with its status, and those of request signing.
pub const ERRORS: &[(u16, &str)] = &[
    (400, "BadRequestException"),
    (400, "DatabaseErrorException"),
    (400, "DatabaseResumingException"),
    (400, "HttpEndpointNotEnabledException"),
    (400, "InvalidResourceStateException"),
    (400, "InvalidSecretException"),
    (400, "SecretsErrorException"),
    (400, "StatementTimeoutException"),
    (400, "ThrottlingException"),
    (400, "UnsupportedResultException"),
    (403, "AccessDeniedException"),
    (403, "ExpiredTokenException"),
    (403, "ForbiddenException"),
    (403, "UnrecognizedClientException"),
    (404, "DatabaseNotFoundException"),
    (404, "NotFoundException"),
    (404, "TransactionNotFoundException"),
    (500, "InternalServerErrorException"),
    (503, "ServiceUnavailableError"),
    (504, "DatabaseUnavailableException"),
];

impl ApiError {
    /// The error of this name.
    ///
    /// # Panics
    /// If it is not in [`ERRORS`].
    #[must_use]
    pub fn new(name: &str, message: impl Into<String>) -> Self {
        let (status, name) = ERRORS.iter().find(|(_, known)| *known == name).expect("an error of the Data API");
        Self { status: *status, name, message: message.into() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new("BadRequestException", message)
    }
}

impl From<PostgresError> for ApiError {
    fn from(error: PostgresError) -> Self {
        let Some(failure) = error.as_db_error() else {
            return Self::new("DatabaseUnavailableException", error.to_string());
        };
        let name = match *failure.code() {
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => "InvalidSecretException",
            SqlState::INVALID_CATALOG_NAME => "DatabaseNotFoundException",
            SqlState::QUERY_CANCELED => "StatementTimeoutException",
            SqlState::CANNOT_CONNECT_NOW | SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN => {
                "DatabaseUnavailableException"
            }
            _ => "DatabaseErrorException",
        };
        Self::new(name, format!("ERROR: {}; SQLState: {}", failure.message(), failure.code().code()))
    }
}
