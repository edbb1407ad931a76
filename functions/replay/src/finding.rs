//! What an audit found, by name.

use serde::{Deserialize, Serialize};
use tributary_model::{ProjectId, Target};
use tributary_ports::kept::encode;
use tributary_ports::objects::Condition;
use tributary_ports::{PortError, PortErrorKind};

use crate::Replays;
use crate::state::Part;

/// What is wrong with a report in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// It is not there, nor a dead letter, though the stream has it.
    Missing,
    /// It is there in an older version than the stream's record gives it.
    Differing,
    /// It is there more than once, in whatever versions. Applying its record does not mend that: a copy has to go.
    Doubled,
}

/// A report with which something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its id; of a record that can't be read, the id that its dead letter has.
    pub id: String,
    /// Its project, if its record can be read.
    pub project: Option<ProjectId>,
    /// The store.
    pub target: Target,
    /// What.
    pub problem: Problem,
}

/// A part of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingsPage {
    /// At most two for each record of a page of the stream.
    pub findings: Vec<Finding>,
    /// What the part behind it begins after; none if this is the last.
    pub next: Option<String>,
}

fn prefix(replay: &str) -> String {
    format!("replay-findings/{replay}/")
}

/// Writes a page of findings of a part, the `number`-th. The same number again takes the first one's place.
pub(crate) async fn write(
    replays: &Replays,
    replay: &str,
    part: &Part,
    number: u32,
    findings: &[Finding],
) -> Result<(), PortError> {
    let key = format!("{}{}.{number:010}.json", prefix(replay), part.name());
    replays.objects.put(&key, encode(&key, &findings)?, Condition::Always).await?;
    Ok(())
}

/// Reads what a replay found, part by part, behind `after`, the `next` of the part before.
///
/// # Errors
/// Bad luck of any kind.
pub async fn findings(replays: &Replays, replay: &str, after: Option<&str>) -> Result<FindingsPage, PortError> {
    let prefix = prefix(replay);
    let after = after.map(|after| format!("{prefix}{after}"));
    let keys = replays.objects.list(&prefix, after.as_deref(), 2).await?;
    let Some(key) = keys.first() else { return Ok(FindingsPage { findings: Vec::new(), next: None }) };
    let object = replays.objects.get(key).await?;
    let unreadable = |error| PortError::new(PortErrorKind::Invalid, "replay.findings", format!("{key}: {error}"));
    let findings = object.map(|object| serde_json::from_slice(&object.bytes)).transpose().map_err(unreadable)?;
    let name = || key.strip_prefix(&prefix).map(str::to_owned);
    let next = if keys.len() > 1 { name() } else { None };
    Ok(FindingsPage { findings: findings.unwrap_or_default(), next })
}
