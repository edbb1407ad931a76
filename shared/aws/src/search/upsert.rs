//! Writing documents by version.
//!
//! A document goes with its version as an external one, so that a greater version replaces a lesser and everything else
//! is a conflict. What stands there then is asked for by id, since the cluster tells it elsewhere only in a sentence; and
//! it is asked of a replica: what a replica has, the primary has too, so that "already there" never rests on one copy
//! whose own write may still be under way.
//!
//! What the cluster could not take is sent again, and nothing else. What it refuses is sent once more without the
//! customer's fields in the index. An item of an answer belongs to a document by its place; an answer with another number
//! of items belongs to none, and its whole page is sent again.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tributary_model::limits::{SEARCH_ATTEMPTS_MAX, SEARCH_READ_TIMEOUT, SEARCH_UPSERT_TIMEOUT};
use tributary_model::{ReportId, Version};
use tributary_ports::search::Document;
use tributary_ports::{PortError, Upserted};

use super::bulk::{self, Form, Item, Page};
use super::client::{Asking, Client, pause};
use super::failure::Failure;
use super::{document, index};

const OPERATION: &str = "search.upsert";

/// Writes the documents and answers for each, in their order. What is written is durable: the cluster answers a write
/// after every copy in service has it in its synced log (`translog.durability`).
pub(super) async fn upsert(
    client: &Client,
    page_bytes: usize,
    documents: Vec<Document>,
) -> Result<Vec<Upserted>, PortError> {
    let mut call = Call::new(client, page_bytes, documents);
    let written = tokio::time::timeout(SEARCH_UPSERT_TIMEOUT, call.write_all()).await;
    written.unwrap_or(Err(Failure::TimedOut)).map_err(|failure| failure.port_error(OPERATION))?;
    // Each has its answer once all are written.
    let answers: Option<Vec<Upserted>> = call.writes.into_iter().map(|write| write.answer).collect();
    answers.ok_or_else(|| Failure::Malformed.port_error(OPERATION))
}

/// One document of a call.
struct Write {
    document: Document,
    form: Form,
    answer: Option<Upserted>,
}

struct Call<'a> {
    client: &'a Client,
    writes: Vec<Write>,
    page: Page,
}

/// What is left of one sending, by position.
#[derive(Default)]
struct Left {
    /// To be sent again.
    again: Vec<usize>,
    /// To be compared with what stands there.
    conflicts: Vec<usize>,
    /// Why some of `again` could not be taken.
    failure: Option<Failure>,
}

impl Left {
    /// Keeps positions for the next sending; fails if no further one can mend the failure.
    fn keep(&mut self, positions: impl IntoIterator<Item = usize>, failure: Failure) -> Result<(), Failure> {
        if !failure.is_passing() {
            return Err(failure);
        }
        self.again.extend(positions);
        self.failure = Some(failure);
        Ok(())
    }
}

impl<'a> Call<'a> {
    fn new(client: &'a Client, page_bytes: usize, documents: Vec<Document>) -> Self {
        let write = |mut document: Document| {
            document::unsign_zeros(&mut document.invocation);
            Write { document, form: Form::Indexed, answer: None }
        };
        Self { client, writes: documents.into_iter().map(write).collect(), page: Page::new(page_bytes) }
    }

    async fn write_all(&mut self) -> Result<(), Failure> {
        for round in self.rounds() {
            self.write(round).await?;
        }
        Ok(())
    }

    /// Positions in rounds, in each of which an id comes once: writes of one id go one after the other. A worker's plan
    /// has one round.
    fn rounds(&self) -> Vec<Vec<usize>> {
        let mut rounds: Vec<Vec<usize>> = Vec::new();
        let mut seen: HashMap<ReportId, usize> = HashMap::with_capacity(self.writes.len());
        for (position, write) in self.writes.iter().enumerate() {
            let round = seen.entry(write.document.invocation.id).or_default();
            match rounds.get_mut(*round) {
                Some(positions) => positions.push(position),
                None => rounds.push(vec![position]),
            }
            *round += 1;
        }
        rounds
    }

    /// Sends what is open until each has its answer.
    async fn write(&mut self, mut open: Vec<usize>) -> Result<(), Failure> {
        let mut failures = 0;
        while !open.is_empty() {
            let left = self.send(open).await?;
            open = left.again;
            if let Some(failure) = left.failure {
                failures += 1;
                if failures >= SEARCH_ATTEMPTS_MAX {
                    return Err(failure);
                }
                pause(failures).await;
            }
        }
        Ok(())
    }

    /// Sends what is open once, in pages.
    async fn send(&mut self, open: Vec<usize>) -> Result<Left, Failure> {
        let mut left = Left::default();
        let mut waiting = open.into_iter();
        while let Some((positions, asking)) = self.next_page(&mut waiting)? {
            match self.client.send(&asking).await {
                Ok(answer) => self.read(positions, &answer, &mut left)?,
                // What has no page yet waits with it: the cluster is in no state for more.
                Err(failure) => left.keep(positions.into_iter().chain(waiting.by_ref()), failure)?,
            }
        }
        self.compare(&mut left).await?;
        Ok(left)
    }

    /// The next page of what waits, if anything does.
    fn next_page(
        &mut self,
        waiting: &mut impl Iterator<Item = usize>,
    ) -> Result<Option<(Vec<usize>, Asking)>, Failure> {
        let mut positions = Vec::new();
        while !self.page.is_full()
            && let Some(position) = waiting.next()
        {
            if let Some(write) = self.writes.get(position) {
                self.page.add(&write.document, &write.form).map_err(|_| Failure::NotMade)?;
                positions.push(position);
            }
        }
        if positions.is_empty() {
            return Ok(None);
        }
        let asking = self.page.take().map_err(|_| Failure::NotMade)?;
        Ok(Some((positions, asking)))
    }

    /// Takes a page's answer, item by item.
    fn read(&mut self, positions: Vec<usize>, answer: &[u8], left: &mut Left) -> Result<(), Failure> {
        let Some(items) = bulk::items(answer).filter(|items| items.len() == positions.len()) else {
            return left.keep(positions, Failure::Malformed);
        };
        for (position, item) in positions.into_iter().zip(items) {
            match item {
                Item::Applied => self.answer(position, Upserted::Applied),
                Item::Conflict => left.conflicts.push(position),
                Item::Refused(name) => self.refuse(position, &name, left),
                Item::Failed(cause) => left.keep([position], Failure::Answered(cause))?,
            }
        }
        Ok(())
    }

    fn answer(&mut self, position: usize, answer: Upserted) {
        if let Some(write) = self.writes.get_mut(position) {
            write.answer = Some(answer);
        }
    }

    /// The first time a document is sent again without the customer's fields in the index, the second time it is refused.
    fn refuse(&mut self, position: usize, name: &str, left: &mut Left) {
        let Some(write) = self.writes.get_mut(position) else { return };
        let reason = format!("the index refused it: {name}");
        if write.form == Form::Indexed {
            write.form = Form::Unindexed(reason);
            left.again.push(position);
        } else {
            write.answer = Some(Upserted::Refused(reason));
        }
    }

    /// Answers for conflicts by what stands there.
    async fn compare(&mut self, left: &mut Left) -> Result<(), Failure> {
        let conflicts = std::mem::take(&mut left.conflicts);
        if conflicts.is_empty() {
            return Ok(());
        }
        let documents = conflicts.iter().filter_map(|position| self.writes.get(*position)).map(|write| &write.document);
        let standing = standing(self.client, documents).await?;
        if standing.len() != conflicts.len() {
            return left.keep(conflicts, Failure::Malformed);
        }
        for (position, standing) in conflicts.into_iter().zip(standing) {
            let ours = self.writes.get(position).map(|write| write.document.version);
            if standing.is_some() && standing == ours {
                self.answer(position, Upserted::AlreadyThere);
            } else if standing > ours {
                self.answer(position, Upserted::Superseded);
            } else {
                // Deleted since, or not yet on the copy that was asked.
                left.keep([position], Failure::Changed)?;
            }
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Place {
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_id")]
    id: ReportId,
    #[serde(rename = "_source")]
    source: bool,
}

#[derive(Deserialize)]
struct Standing {
    docs: Vec<Stands>,
}

#[derive(Deserialize)]
struct Stands {
    #[serde(rename = "_version")]
    version: Option<u64>,
}

/// The versions that stand where these documents belong, in their order.
async fn standing(
    client: &Client,
    documents: impl Iterator<Item = &Document>,
) -> Result<Vec<Option<Version>>, Failure> {
    let place = |document: &Document| {
        let id = document.invocation.id;
        Place { index: index::name(document.retention, id.day), id, source: false }
    };
    let places: Vec<Place> = documents.map(place).collect();
    let body = serde_json::to_vec(&serde_json::json!({ "docs": places })).map_err(|_| Failure::NotMade)?;
    // The id is always there, so that no entry can be missing.
    let path = "/_mget?preference=_replica_first&filter_path=docs._id,docs._version,error.type";
    let answer = client.answer(&Asking::json(http::Method::POST, path, body, SEARCH_READ_TIMEOUT)).await?;
    let standing: Standing = serde_json::from_slice(&answer).map_err(|_| Failure::Malformed)?;
    Ok(standing.docs.into_iter().map(|stands| stands.version.map(Version::from_u64)).collect())
}
