//! Every document that a query does not match.
//!
//! The engine's own exclusion asks the excluded query about documents that it has already passed, which a phrase of the
//! engine's version 0.27 answers with a panic where debug assertions are on (`Exclude::contains`, `PhraseScorer::
//! seek_danger`). A set of a segment's documents, one bit each, needs no such question.

use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{BitSet, DocId, Score, SegmentReader};

#[derive(Debug)]
pub(super) struct Not(pub(super) Box<dyn Query>);

impl Clone for Not {
    fn clone(&self) -> Self {
        Self(self.0.box_clone())
    }
}

impl Query for Not {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(NotWeight(self.0.weight(scoring)?)))
    }
}

struct NotWeight(Box<dyn Weight>);

impl Weight for NotWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut documents = BitSet::with_max_value_and_full(reader.max_doc());
        self.0.for_each_no_score(reader, &mut |excluded| {
            excluded.iter().for_each(|document| documents.remove(*document));
        })?;
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(documents), boost)))
    }

    fn explain(&self, _reader: &SegmentReader, _document: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("every document that the query does not match", 1.0))
    }
}
