//! The table `token`.

use rusqlite::{OptionalExtension, Row, Transaction, named_params};
use tributary_model::directory::{Scope, Scopes};
use tributary_model::{ProjectId, TimestampMs, TokenId};
use tributary_ports::ledger::TokenRow;

use super::read::{damaged, read, row_limit};

const INSERT: &str = "
    INSERT INTO token VALUES (:id, :project, :scopes, :kid, :issued_at, :expires_at)
    ON CONFLICT (id) DO NOTHING";

/// The latest first.
pub(super) const LIST: &str = "
    SELECT * FROM token WHERE project = ?1 AND (issued_at, id) < (?2, ?3)
    ORDER BY issued_at DESC, id DESC LIMIT ?4";

/// Writes one, unless it is there already.
pub(super) fn insert(transaction: &Transaction<'_>, row: &TokenRow) -> rusqlite::Result<()> {
    let scopes: Vec<&str> = row.scopes.iter().map(|scope| scope.as_str()).collect();
    transaction.prepare_cached(INSERT)?.execute(named_params! {
        ":id": row.id.as_str(),
        ":project": row.project.as_str(),
        ":scopes": scopes.join(" "),
        ":kid": row.kid,
        ":issued_at": row.issued_at.0,
        ":expires_at": row.expires_at.0,
    })?;
    Ok(())
}

/// The one of this id.
pub(super) fn find(transaction: &Transaction<'_>, id: &TokenId) -> rusqlite::Result<Option<TokenRow>> {
    transaction.prepare_cached("SELECT * FROM token WHERE id = ?1")?.query_row([id.as_str()], from_row).optional()
}

/// Those of a project, the latest first, behind `after`.
pub(super) fn list(
    transaction: &Transaction<'_>,
    project: &ProjectId,
    after: Option<&TokenRow>,
    limit: usize,
) -> rusqlite::Result<Vec<TokenRow>> {
    // No token is issued at the end of time.
    let (issued_at, id) = after.map_or((i64::MAX, ""), |row| (row.issued_at.0, row.id.as_str()));
    let parameters = (project.as_str(), issued_at, id, row_limit(limit));
    transaction.prepare_cached(LIST)?.query_map(parameters, from_row)?.collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow {
        id: read(row, "id")?,
        project: read(row, "project")?,
        scopes: scopes(row)?,
        kid: row.get("kid")?,
        issued_at: TimestampMs(row.get("issued_at")?),
        expires_at: TimestampMs(row.get("expires_at")?),
    })
}

fn scopes(row: &Row<'_>) -> rusqlite::Result<Scopes> {
    let scope = |name| Scope::ALL.into_iter().find(|scope| scope.as_str() == name);
    let names = row.get_ref("scopes")?.as_str()?.split_whitespace();
    names.map(|name| scope(name).ok_or_else(|| damaged(row, "scopes", "not a scope"))).collect()
}
