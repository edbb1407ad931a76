//! A page: the first documents in an order, behind a place in it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader, f64_to_u64};
use tributary_ports::search::{After, Sort};

use super::document::id_numbers;
use super::metric::unsigned_zero;
use super::schema::{column, sort_column};

/// A document's place by its sort key alone: documents without one come last, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct KeyRank {
    missing: bool,
    key: u64,
}

/// A document's place in the order of a page; the id, as three numbers, decides between equal keys. Less comes first:
/// the numbers of a descending order are inverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    key: KeyRank,
    id: [u64; 3],
}

/// Turns values into ranks of an order.
#[derive(Debug, Clone, Copy)]
struct Ranking {
    descending: bool,
}

impl Ranking {
    fn key(self, key: Option<f64>) -> KeyRank {
        let ranked = key.map(|key| self.directed(f64_to_u64(unsigned_zero(key))));
        KeyRank { missing: ranked.is_none(), key: ranked.unwrap_or_default() }
    }

    fn id(self, numbers: [u64; 3]) -> [u64; 3] {
        numbers.map(|number| self.directed(number))
    }

    fn directed(self, number: u64) -> u64 {
        if self.descending { !number } else { number }
    }
}

/// Collects a page of at most `limit` documents, in their order.
pub(super) struct Page {
    sort: Sort,
    after: Option<Rank>,
    limit: usize,
}

impl Page {
    pub(super) fn new(sort: Sort, after: Option<After>, limit: usize) -> Self {
        let ranking = Ranking { descending: sort.descending };
        let after = after.map(|after| Rank { key: ranking.key(after.key), id: ranking.id(id_numbers(after.id)) });
        Self { sort, after, limit }
    }
}

impl Collector for Page {
    type Fruit = Vec<DocAddress>;
    type Child = SegmentPage;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<SegmentPage> {
        let columns = reader.fast_fields();
        let id = [columns.u64(column::ID_DAY)?, columns.u64(column::ID_HIGH)?, columns.u64(column::ID_LOW)?];
        let key = KeyColumn::open(self.sort, reader)?;
        let ranking = Ranking { descending: self.sort.descending };
        Ok(SegmentPage { segment, key, id, ranking, after: self.after, limit: self.limit, first: BinaryHeap::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<Vec<(Rank, DocAddress)>>) -> tantivy::Result<Vec<DocAddress>> {
        let mut ranked: Vec<_> = segments.into_iter().flatten().collect();
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        Ok(ranked.into_iter().take(self.limit).map(|(_, address)| address).collect())
    }
}

/// The column of the sort key; none in a segment in which no document has one.
enum KeyColumn {
    Instant(Column<i64>),
    Number(Option<Column<f64>>),
}

impl KeyColumn {
    fn open(sort: Sort, reader: &SegmentReader) -> tantivy::Result<Self> {
        let name = sort_column(sort.key);
        if name == column::TIMESTAMP {
            return Ok(Self::Instant(reader.fast_fields().i64(name)?));
        }
        Ok(Self::Number(reader.fast_fields().column_opt(name)?))
    }

    fn of(&self, document: DocId) -> Option<f64> {
        match self {
            Self::Instant(column) => column.first(document).map(|ms| ms as f64),
            Self::Number(column) => column.as_ref()?.first(document),
        }
    }
}

/// Keeps a segment's first documents of the page.
pub(super) struct SegmentPage {
    segment: SegmentOrdinal,
    key: KeyColumn,
    id: [Column<u64>; 3],
    ranking: Ranking,
    after: Option<Rank>,
    limit: usize,
    /// The last of the documents on top.
    first: BinaryHeap<(Rank, Reverse<DocId>)>,
}

impl SegmentPage {
    /// The last rank that still has a place on the page, once the page is full.
    fn last(&self) -> Option<Rank> {
        self.first.peek().filter(|_| self.first.len() >= self.limit).map(|(rank, _)| *rank)
    }

    /// Keys first: most documents need no look at the columns of their id.
    fn rank(&self, document: DocId) -> Option<Rank> {
        let key = self.ranking.key(self.key.of(document));
        let last = self.last();
        if self.after.is_some_and(|after| key < after.key) || last.is_some_and(|last| key > last.key) {
            return None;
        }
        let id = self.id.each_ref().map(|column| column.first(document).unwrap_or_default());
        let rank = Rank { key, id: self.ranking.id(id) };
        let behind = self.after.is_none_or(|after| rank > after);
        (behind && last.is_none_or(|last| rank < last)).then_some(rank)
    }
}

impl SegmentCollector for SegmentPage {
    type Fruit = Vec<(Rank, DocAddress)>;

    fn collect(&mut self, document: DocId, _score: Score) {
        let Some(rank) = self.rank(document) else { return };
        self.first.push((rank, Reverse(document)));
        if self.first.len() > self.limit {
            self.first.pop();
        }
    }

    fn harvest(self) -> Self::Fruit {
        let segment = self.segment;
        self.first.into_iter().map(|(rank, Reverse(document))| (rank, DocAddress::new(segment, document))).collect()
    }
}
