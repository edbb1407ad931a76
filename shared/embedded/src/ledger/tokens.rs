//! The table `token`.

use rusqlite::{Row, Transaction, named_params};
use tributary_model::directory::{Scope, Scopes};
use tributary_model::{ProjectId, TimestampMs};
use tributary_ports::ledger::TokenRow;

use super::read::{damaged, read};

const INSERT: &str = "
    INSERT INTO token VALUES (:id, :project, :scopes, :kid, :issued_at, :expires_at)
    ON CONFLICT (id) DO NOTHING";

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

/// All of a project, the latest first.
pub(super) fn list(transaction: &Transaction<'_>, project: &ProjectId) -> rusqlite::Result<Vec<TokenRow>> {
    let sql = "SELECT * FROM token WHERE project = ?1 ORDER BY issued_at DESC, id";
    transaction.prepare_cached(sql)?.query_map([project.as_str()], from_row)?.collect()
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
