//! What is known of stored documents by their columns.

use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, Searcher, SegmentReader, TERMINATED, Term};
use tributary_model::{Day, ReportId, RetentionClass, Version};
use tributary_ports::search::TextField;

use super::document::id_of_numbers;
use super::schema::{self, column};

/// The term that an id's document is found and replaced by.
pub(super) fn id_term(id: ReportId) -> Term {
    Term::from_field_text(schema::text(TextField::Id), &id.to_string())
}

/// The versions of an id in the last commit: one, or none.
pub(super) fn versions(searcher: &Searcher, id: ReportId) -> tantivy::Result<Vec<Version>> {
    let term = id_term(id);
    let mut found = Vec::new();
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(term.field())?;
        let Some(mut documents) = index.read_postings(&term, IndexRecordOption::Basic)? else { continue };
        while documents.doc() != TERMINATED {
            if !segment.is_deleted(documents.doc()) {
                let version = segment.fast_fields().u64(column::DOC_VERSION)?.first(documents.doc());
                found.extend(version.map(Version::from_u64));
            }
            documents.advance();
        }
    }
    Ok(found)
}

/// The ids of the last commit's documents that are past their retention on the day `today`.
pub(super) fn expired(searcher: &Searcher, today: Day) -> tantivy::Result<Vec<ReportId>> {
    let mut found = Vec::new();
    for segment in searcher.segment_readers() {
        add_expired(segment, today, &mut found)?;
    }
    Ok(found)
}

fn add_expired(segment: &SegmentReader, today: Day, found: &mut Vec<ReportId>) -> tantivy::Result<()> {
    let columns = segment.fast_fields();
    let retention = columns.u64(column::RETENTION_DAYS)?;
    let id = [columns.u64(column::ID_DAY)?, columns.u64(column::ID_HIGH)?, columns.u64(column::ID_LOW)?];
    for document in segment.doc_ids_alive() {
        let id = id_of_numbers(id.each_ref().map(|column| column.first(document).unwrap_or_default()));
        let days = retention.first(document).and_then(|days| u16::try_from(days).ok());
        let class = days.and_then(|days| RetentionClass::from_days(days).ok());
        if class.is_some_and(|class| class.expired(id.day, today)) {
            found.push(id);
        }
    }
    Ok(())
}
