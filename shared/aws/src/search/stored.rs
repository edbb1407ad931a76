//! What is stored, whoever it belongs to: versions by id, and whole indices by age.

use std::collections::{BTreeMap, HashMap};

use serde::de::IgnoredAny;
use serde_json::json;
use tributary_model::limits::{
    SEARCH_INDICES_DELETED_MAX, SEARCH_READ_TIMEOUT, SEARCH_VERSIONS_MAX, SEARCH_WRITE_TIMEOUT,
};
use tributary_model::{Day, ReportId, Version};

use super::client::{Asking, Client};
use super::failure::Failure;
use super::{index, read};

/// For each id the versions that stand in any index, of whatever class.
pub(super) async fn versions(client: &Client, ids: &[ReportId]) -> Result<Vec<Vec<Version>>, Failure> {
    let mut stored: HashMap<ReportId, Vec<Version>> = HashMap::new();
    for part in ids.chunks(SEARCH_VERSIONS_MAX) {
        let mut wanted = part.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|id| !stored.contains_key(id));
        let mut days: Vec<Day> = wanted.iter().map(|id| id.day).collect();
        days.dedup();
        let body = json!({
            "size": SEARCH_VERSIONS_MAX * 10,
            "track_total_hits": false,
            "_source": false,
            "version": true,
            "query": { "bool": { "filter": { "ids": { "values": wanted } } } },
        });
        for hit in read::hits(client, &index::of_days(&days), &body).await? {
            stored.entry(hit.id).or_default().push(hit.version()?);
        }
    }
    Ok(ids.iter().map(|id| stored.get(id).cloned().unwrap_or_default()).collect())
}

/// Deletes the indices of which every document is past its retention on the day `today`.
pub(super) async fn expire(client: &Client, today: Day) -> Result<(), Failure> {
    let path = format!("/{}/_settings?filter_path=%2A.settings.index.uuid", index::ALL);
    let answer = client.answer(&Asking::json(http::Method::GET, path, "", SEARCH_READ_TIMEOUT)).await?;
    let indices: BTreeMap<String, IgnoredAny> = serde_json::from_slice(&answer).map_err(|_| Failure::Malformed)?;
    let is_expired = |name: &String| index::parse(name).is_some_and(|(class, last)| class.expired(last, today));
    let expired: Vec<String> = indices.into_keys().filter(is_expired).collect();
    for names in expired.chunks(SEARCH_INDICES_DELETED_MAX) {
        let path = format!("/{}?ignore_unavailable=true", names.join("%2C"));
        client.answer(&Asking::json(http::Method::DELETE, path, "", SEARCH_WRITE_TIMEOUT)).await?;
    }
    Ok(())
}
