//! The index's fields. The schema is strict: a customer's field can't add to it.
//!
//! A field's number is its place in [`schema`]. Texts that are compared exactly are one term each; numbers are columns
//! ("fast fields"); what is only shown is stored. One document is:
//!
//! | field | kind | holds |
//! |---|---|---|
//! | one per [`TextField`] | exact texts | [`TextField::of`]; `id` is what documents are replaced by |
//! | one per [`BoolField`] | exact | [`BoolField::of`] |
//! | one per [`NumberField`] | column | [`NumberField::of`] |
//! | `project` | exact text | the project |
//! | `has_error` | exact | whether any error was reported |
//! | `errors`, `coldstarts` | column | 1 or 0, since the engine sums numbers only |
//! | `metric` | exact bytes, many | the custom metrics, see [`super::metric`] |
//! | `words` | words with their places, many | `Filter::texts` |
//! | `timestamp`, `received_at` | column | milliseconds since 1970 |
//! | `doc_version` | column, stored | the version that decides which of two writes wins |
//! | `id_day`, `id_high`, `id_low` | column | the id in three numbers, for the order of equal sort keys |
//! | `invocation` | stored | the invocation as JSON |
//! | `report` | stored | the report as it was received, compressed |
//! | `retention_days` | column, stored | the retention class |
//! | `report_kind`, `report_codec`, `report_bytes` | stored | the rest of the document |

use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{LowerCaser, SimpleTokenizer, TextAnalyzer};
use tributary_ports::search::{BoolField, NumberField, SortKey, TextField};

const BOOLS: u32 = TextField::Token as u32 + 1;
const NUMBERS: u32 = BOOLS + BoolField::Removed as u32 + 1;
const OTHERS: u32 = NUMBERS + NumberField::MemoryUsedPercent as u32 + 1;

pub(super) const PROJECT: Field = Field::from_field_id(OTHERS);
pub(super) const HAS_ERROR: Field = Field::from_field_id(OTHERS + 1);
pub(super) const ERRORS: Field = Field::from_field_id(OTHERS + 2);
pub(super) const COLDSTARTS: Field = Field::from_field_id(OTHERS + 3);
pub(super) const METRIC: Field = Field::from_field_id(OTHERS + 4);
pub(super) const WORDS: Field = Field::from_field_id(OTHERS + 5);
pub(super) const TIMESTAMP: Field = Field::from_field_id(OTHERS + 6);
pub(super) const RECEIVED_AT: Field = Field::from_field_id(OTHERS + 7);
pub(super) const DOC_VERSION: Field = Field::from_field_id(OTHERS + 8);
pub(super) const ID_DAY: Field = Field::from_field_id(OTHERS + 9);
pub(super) const ID_HIGH: Field = Field::from_field_id(OTHERS + 10);
pub(super) const ID_LOW: Field = Field::from_field_id(OTHERS + 11);
pub(super) const INVOCATION: Field = Field::from_field_id(OTHERS + 12);
pub(super) const REPORT: Field = Field::from_field_id(OTHERS + 13);
pub(super) const REPORT_KIND: Field = Field::from_field_id(OTHERS + 14);
pub(super) const REPORT_CODEC: Field = Field::from_field_id(OTHERS + 15);
pub(super) const REPORT_BYTES: Field = Field::from_field_id(OTHERS + 16);
pub(super) const RETENTION_DAYS: Field = Field::from_field_id(OTHERS + 17);

/// The name under which the analyzer of `words` is registered.
pub(super) const WORDS_ANALYZER: &str = "words";

/// Columns are opened by their names.
pub(super) mod column {
    pub(in super::super) const FUNCTION: &str = "function";
    pub(in super::super) const ERRORS: &str = "errors";
    pub(in super::super) const COLDSTARTS: &str = "coldstarts";
    pub(in super::super) const DURATION_MS: &str = "duration_ms";
    pub(in super::super) const MEMORY_USED_PERCENT: &str = "memory_used_percent";
    pub(in super::super) const TIMESTAMP: &str = "timestamp";
    pub(in super::super) const DOC_VERSION: &str = "doc_version";
    pub(in super::super) const RETENTION_DAYS: &str = "retention_days";
    pub(in super::super) const ID_DAY: &str = "id_day";
    pub(in super::super) const ID_HIGH: &str = "id_high";
    pub(in super::super) const ID_LOW: &str = "id_low";
}

pub(super) const fn text(field: TextField) -> Field {
    Field::from_field_id(field as u32)
}

pub(super) const fn bool(field: BoolField) -> Field {
    Field::from_field_id(BOOLS + field as u32)
}

pub(super) const fn number(field: NumberField) -> Field {
    Field::from_field_id(NUMBERS + field as u32)
}

/// The column of a sort key.
pub(super) const fn sort_column(key: SortKey) -> &'static str {
    match key {
        SortKey::Timestamp => column::TIMESTAMP,
        SortKey::DurationMs => column::DURATION_MS,
        SortKey::MemoryUsedPercent => column::MEMORY_USED_PERCENT,
    }
}

/// The schema of this build. An index with another one has to be made anew from the stream.
pub(super) fn schema() -> Schema {
    let mut builder = Schema::builder();
    for field in TextField::ALL {
        builder.add_text_field(text_name(field), if field == TextField::Function { exact() | FAST } else { exact() });
    }
    for field in BoolField::ALL {
        builder.add_bool_field(bool_name(field), INDEXED);
    }
    for field in NumberField::ALL {
        builder.add_f64_field(number_name(field), FAST);
    }
    add_others(&mut builder);
    builder.build()
}

/// In the order of the constants above.
fn add_others(builder: &mut SchemaBuilder) {
    builder.add_text_field("project", exact());
    builder.add_bool_field("has_error", INDEXED);
    builder.add_u64_field(column::ERRORS, FAST);
    builder.add_u64_field(column::COLDSTARTS, FAST);
    builder.add_bytes_field("metric", INDEXED);
    builder.add_text_field("words", words());
    builder.add_i64_field(column::TIMESTAMP, FAST);
    builder.add_i64_field("received_at", FAST);
    builder.add_u64_field(column::DOC_VERSION, FAST | STORED);
    builder.add_u64_field(column::ID_DAY, FAST);
    builder.add_u64_field(column::ID_HIGH, FAST);
    builder.add_u64_field(column::ID_LOW, FAST);
    builder.add_bytes_field("invocation", STORED);
    builder.add_bytes_field("report", STORED);
    for name in ["report_kind", "report_codec", "report_bytes"] {
        builder.add_u64_field(name, STORED);
    }
    builder.add_u64_field(column::RETENTION_DAYS, FAST | STORED);
}

fn exact() -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer("raw")
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    TextOptions::default().set_indexing_options(indexing)
}

fn words() -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(WORDS_ANALYZER)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions)
        .set_fieldnorms(false);
    TextOptions::default().set_indexing_options(indexing)
}

/// Splits a text into words: runs of letters and digits, in lower case. Documents and filters go through the same.
pub(super) fn words_analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default()).filter(LowerCaser).build()
}

const fn text_name(field: TextField) -> &'static str {
    match field {
        TextField::Id => "id",
        TextField::Function => column::FUNCTION,
        TextField::Version => "version",
        TextField::Region => "region",
        TextField::RequestId => "request_id",
        TextField::ProcessId => "process_id",
        TextField::ErrorName => "error_name",
        TextField::ErrorFingerprint => "error_fingerprint",
        TextField::Label => "label",
        TextField::AgentRuntime => "agent_runtime",
        TextField::AgentVersion => "agent_version",
        TextField::EventSource => "event_source",
        TextField::StepFunction => "step_function",
        TextField::AwsAccount => "aws_account_id",
        TextField::TraceId => "aws_trace_id",
        TextField::Token => "token",
    }
}

const fn bool_name(field: BoolField) -> &'static str {
    match field {
        BoolField::Coldstart => "coldstart",
        BoolField::Timeout => "timeout",
        BoolField::Signed => "signed",
        BoolField::Removed => "removed",
    }
}

const fn number_name(field: NumberField) -> &'static str {
    match field {
        NumberField::DurationMs => column::DURATION_MS,
        NumberField::MemoryUsedMib => "memory_used_mib",
        NumberField::MemoryUsedPercent => column::MEMORY_USED_PERCENT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_the_places_in_the_schema() {
        let schema = schema();
        let named = |field: Field| schema.get_field_name(field).to_owned();
        for field in TextField::ALL {
            assert_eq!(named(text(field)), text_name(field));
        }
        for field in BoolField::ALL {
            assert_eq!(named(bool(field)), bool_name(field));
        }
        for field in NumberField::ALL {
            assert_eq!(named(number(field)), number_name(field));
        }
        let others = [
            (PROJECT, "project"),
            (HAS_ERROR, "has_error"),
            (ERRORS, "errors"),
            (COLDSTARTS, "coldstarts"),
            (METRIC, "metric"),
            (WORDS, "words"),
            (TIMESTAMP, "timestamp"),
            (RECEIVED_AT, "received_at"),
            (DOC_VERSION, "doc_version"),
            (ID_DAY, "id_day"),
            (ID_HIGH, "id_high"),
            (ID_LOW, "id_low"),
            (INVOCATION, "invocation"),
            (REPORT, "report"),
            (REPORT_KIND, "report_kind"),
            (REPORT_CODEC, "report_codec"),
            (REPORT_BYTES, "report_bytes"),
            (RETENTION_DAYS, "retention_days"),
        ];
        for (field, name) in others {
            assert_eq!(named(field), name);
        }
        assert_eq!(schema.fields().count(), OTHERS as usize + others.len());
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        let mut analyzer = words_analyzer();
        let mut stream = analyzer.token_stream("ÉTÉ-42, connection_Refused (日本語)!");
        let mut words = Vec::new();
        while stream.advance() {
            words.push(stream.token().text.clone());
        }
        assert_eq!(words, ["été", "42", "connection", "refused", "日本語"]);
    }
}
