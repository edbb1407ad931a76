//! Fields: the Data API's values, to PostgreSQL and back.

use std::error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::error::ApiError;

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Field {
    IsNull(bool),
    BooleanValue(bool),
    LongValue(i64),
    DoubleValue(f64),
    StringValue(String),
    BlobValue(String),
}

/// A parameter as it is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) value: Field,
    pub(super) type_hint: Option<String>,
}

impl Parameter {
    /// What PostgreSQL is told that it is: without a hint a text is a varchar, as the Data API binds it.
    pub(super) fn postgres_type(&self) -> Result<Type, ApiError> {
        Ok(match (&self.value, self.type_hint.as_deref()) {
            (Field::IsNull(_), _) => Type::UNKNOWN,
            (Field::BooleanValue(_), _) => Type::BOOL,
            (Field::LongValue(_), _) => Type::INT8,
            (Field::DoubleValue(_), _) => Type::FLOAT8,
            (Field::BlobValue(_), _) => Type::BYTEA,
            (Field::StringValue(_), None) => Type::VARCHAR,
            (Field::StringValue(_), Some("JSON")) => Type::JSON,
            (Field::StringValue(_), Some("UUID")) => Type::UUID,
            (Field::StringValue(_), Some("TIMESTAMP")) => Type::TIMESTAMP,
            (Field::StringValue(_), Some("DATE")) => Type::DATE,
            (Field::StringValue(_), Some("TIME")) => Type::TIME,
            (Field::StringValue(_), Some("DECIMAL")) => Type::NUMERIC,
            (_, Some(hint)) => return Err(ApiError::bad_request(format!("{hint} is no type hint"))),
        })
    }
}

impl ToSql for Field {
    /// Everything goes as text, which PostgreSQL reads as the type that it was told.
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let text = match self {
            Self::IsNull(_) => return Ok(IsNull::Yes),
            Self::BooleanValue(value) => value.to_string(),
            Self::LongValue(value) => value.to_string(),
            Self::DoubleValue(value) => value.to_string(),
            Self::StringValue(value) => value.clone(),
            Self::BlobValue(value) => {
                let hex: String = STANDARD.decode(value)?.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("\\x{hex}")
            }
        };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// A text of any type whose binary form is the text itself.
struct Text(String);

impl<'a> FromSql<'a> for Text {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        // The first byte of a jsonb is its form's version.
        let raw = if *ty == Type::JSONB { raw.get(1..).unwrap_or_default() } else { raw };
        Ok(Self(std::str::from_utf8(raw)?.to_owned()))
    }

    fn accepts(ty: &Type) -> bool {
        [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::JSON, Type::JSONB, Type::UNKNOWN].contains(ty)
    }
}

/// The columns of a row. Types that this rig's statements have no use for are refused, as the Data API refuses its own.
pub(super) fn fields(row: &Row) -> Result<Vec<Field>, ApiError> {
    (0..row.len()).map(|at| field(row, at)).collect()
}

fn field(row: &Row, at: usize) -> Result<Field, ApiError> {
    let found = match *row.columns()[at].type_() {
        Type::BOOL => row.get::<_, Option<bool>>(at).map(Field::BooleanValue),
        Type::INT2 => row.get::<_, Option<i16>>(at).map(|number| Field::LongValue(number.into())),
        Type::INT4 => row.get::<_, Option<i32>>(at).map(|number| Field::LongValue(number.into())),
        Type::INT8 => row.get::<_, Option<i64>>(at).map(Field::LongValue),
        Type::FLOAT4 => row.get::<_, Option<f32>>(at).map(|number| Field::DoubleValue(number.into())),
        Type::FLOAT8 => row.get::<_, Option<f64>>(at).map(Field::DoubleValue),
        Type::BYTEA => row.get::<_, Option<Vec<u8>>>(at).map(|bytes| Field::BlobValue(STANDARD.encode(bytes))),
        // What a function without a result answers.
        Type::VOID => Some(Field::StringValue(String::new())),
        ref other if <Text as FromSql<'_>>::accepts(other) => {
            row.get::<_, Option<Text>>(at).map(|text| Field::StringValue(text.0))
        }
        ref other => {
            let message = format!("The result contains the unsupported data type {}", other.name());
            return Err(ApiError::new("UnsupportedResultException", message));
        }
    };
    Ok(found.unwrap_or(Field::IsNull(true)))
}

/// A field as `formatRecordsAs: JSON` has it.
pub(super) fn plain(field: &Field) -> Value {
    match field {
        Field::IsNull(_) => Value::Null,
        Field::BooleanValue(value) => (*value).into(),
        Field::LongValue(value) => (*value).into(),
        Field::DoubleValue(value) => (*value).into(),
        Field::StringValue(value) | Field::BlobValue(value) => value.clone().into(),
    }
}
