//! The table `token`.

use serde::{Deserialize, Serialize};
use tributary_model::directory::Scopes;
use tributary_model::{ProjectId, TimestampMs, TokenId};
use tributary_ports::PortError;
use tributary_ports::ledger::TokenRow;

use super::call::{Database, number_parameter, text_parameter};

const INSERT: &str = "
    INSERT INTO token (id, project, scopes, kid, issued_at, expires_at)
    SELECT id, project, scopes, kid, issued_at, expires_at
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS input(
        id text, project text, scopes text[], kid text, issued_at bigint, expires_at bigint)
    ON CONFLICT (id) DO NOTHING";

const SELECT: &str = "SELECT id, project, scopes, kid, issued_at, expires_at FROM token";

/// The latest first.
const LATEST_FIRST: &str = "
    WHERE project = :project AND (issued_at, id) < (:issued_at, :id)
    ORDER BY issued_at DESC, id DESC LIMIT :limit";

/// A row as it is sent and read.
#[derive(Debug, Serialize, Deserialize)]
struct Columns {
    id: TokenId,
    project: ProjectId,
    scopes: Scopes,
    kid: String,
    issued_at: i64,
    expires_at: i64,
}

impl From<TokenRow> for Columns {
    fn from(row: TokenRow) -> Self {
        let TokenRow { id, project, scopes, kid, issued_at, expires_at } = row;
        Self { id, project, scopes, kid, issued_at: issued_at.0, expires_at: expires_at.0 }
    }
}

impl From<Columns> for TokenRow {
    fn from(columns: Columns) -> Self {
        let Columns { id, project, scopes, kid, issued_at, expires_at } = columns;
        Self { id, project, scopes, kid, issued_at: TimestampMs(issued_at), expires_at: TimestampMs(expires_at) }
    }
}

/// Writes one, unless it is there already.
pub(super) async fn insert(database: &Database, row: TokenRow) -> Result<(), PortError> {
    database.write("ledger.insert_token", INSERT, &[Columns::from(row)]).await
}

/// The one of this id.
pub(super) async fn find(database: &Database, id: &TokenId) -> Result<Option<TokenRow>, PortError> {
    let query = format!("{SELECT} WHERE id = :id");
    let page = database.page::<Columns>("ledger.token", &query, vec![text_parameter("id", id.as_str())]).await?;
    Ok(page.rows.into_iter().next().map(TokenRow::from))
}

/// Those of a project, the latest first, behind `after`.
pub(super) async fn list(
    database: &Database,
    project: &ProjectId,
    after: Option<&TokenRow>,
    limit: usize,
) -> Result<Vec<TokenRow>, PortError> {
    // No token is issued at the end of time.
    let after = after.map_or((i64::MAX, ""), |row| (row.issued_at.0, row.id.as_str()));
    let parameters = |last: Option<&Columns>, limit| {
        let (issued_at, id) = last.map_or(after, |row| (row.issued_at, row.id.as_str()));
        vec![
            text_parameter("project", project.as_str()),
            number_parameter("issued_at", issued_at),
            text_parameter("id", id),
            number_parameter("limit", limit),
        ]
    };
    let rows = database.list("ledger.tokens", &format!("{SELECT} {LATEST_FIRST}"), limit, parameters).await?;
    Ok(rows.into_iter().map(TokenRow::from).collect())
}
