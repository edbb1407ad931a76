//! Values of ours out of a row, and rows' number into a query. A value that is not as it was written is a damaged file.

use std::error::Error;
use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};
use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::StrDeserializer;
use tributary_model::RetentionClass;

/// The column `column`, a text, as what it stands for.
pub(super) fn read<T: FromStr<Err: Error + Send + Sync + 'static>>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| damaged(row, column, error))
}

/// The column `column`, a text or null, as what it stands for.
pub(super) fn read_optional<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => read(row, column).map(Some),
    }
}

/// The column `column`, one of the names of an enum.
pub(super) fn read_name<T: for<'de> Deserialize<'de>>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let name: StrDeserializer<'_, serde::de::value::Error> = row.get_ref(column)?.as_str()?.into_deserializer();
    T::deserialize(name).map_err(|error| damaged(row, column, error))
}

/// The column `column`, a number of days, as a retention class.
pub(super) fn retention_class(row: &Row<'_>, column: &str) -> rusqlite::Result<RetentionClass> {
    RetentionClass::from_days(row.get(column)?).map_err(|error| damaged(row, column, error))
}

/// The column `column`, a number that is never negative.
pub(super) fn number(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|error| damaged(row, column, error))
}

/// `limit` as SQLite takes it.
pub(super) fn row_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A count as SQLite takes it.
pub(super) fn saturated(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The value of `column` is none that was ever written.
pub(super) fn damaged(row: &Row<'_>, column: &str, error: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or_default();
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, error.into())
}
