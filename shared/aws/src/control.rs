//! Control over the workers' event source mappings.

use async_trait::async_trait;
use aws_sdk_lambda::Client;
use tributary_model::limits;
use tributary_model::store_settings::Batches;
use tributary_ports::{ConsumerState, Control, PortError, PortErrorKind, Target};

use crate::error::port_error;
use crate::sdk::SdkConfig;

const SET: &str = "control.set";
const BATCHES: &str = "control.set_batches";
const STATE: &str = "control.state";

/// The event source mappings of a region's workers.
#[derive(Debug)]
pub struct EventSourceMappings {
    client: Client,
    search: String,
    ledger: String,
}

impl EventSourceMappings {
    /// The mappings with these ids (UUIDs). Nothing is sent.
    #[must_use]
    pub fn new(config: &SdkConfig, search: &str, ledger: &str) -> Self {
        Self { client: Client::new(config), search: search.to_owned(), ledger: ledger.to_owned() }
    }

    const fn id(&self, consumer: Target) -> &String {
        match consumer {
            Target::Search => &self.search,
            Target::Ledger => &self.ledger,
        }
    }

    /// Enables or disables a mapping. One that is being changed refuses to be changed again, for up to a minute; if that
    /// change leads where it is to go, all is well.
    async fn set(&self, consumer: Target, enabled: bool) -> Result<(), PortError> {
        let mut attempts = 1;
        loop {
            let request = self.client.update_event_source_mapping().uuid(self.id(consumer)).enabled(enabled);
            let Err(error) = request.send().await else { return Ok(()) };
            let error = port_error(SET, error);
            if error.kind != PortErrorKind::Conflict {
                return Err(error);
            }
            if leads_to(self.state(consumer).await?) == enabled {
                return Ok(());
            }
            if attempts == limits::MAPPING_ATTEMPTS_MAX {
                return Err(error.retry_after(limits::MAPPING_PAUSE));
            }
            attempts += 1;
            tokio::time::sleep(limits::MAPPING_PAUSE).await;
        }
    }
}

#[async_trait]
impl Control for EventSourceMappings {
    async fn pause(&self, consumer: Target) -> Result<(), PortError> {
        self.set(consumer, false).await
    }

    async fn resume(&self, consumer: Target) -> Result<(), PortError> {
        self.set(consumer, true).await
    }

    async fn state(&self, consumer: Target) -> Result<ConsumerState, PortError> {
        let request = self.client.get_event_source_mapping().uuid(self.id(consumer));
        let answer = request.send().await.map_err(|error| port_error(STATE, error))?;
        state(answer.state.as_deref().unwrap_or_default())
    }

    async fn set_batches(&self, consumer: Target, batches: Batches) -> Result<(), PortError> {
        let records = i32::try_from(batches.records).unwrap_or(i32::MAX);
        let concurrency = i32::try_from(batches.concurrency).unwrap_or(i32::MAX);
        let request = self.client.get_event_source_mapping().uuid(self.id(consumer));
        let mapping = request.send().await.map_err(|error| port_error(BATCHES, error))?;
        let is_settled = matches!(mapping.state.as_deref(), Some("Enabled" | "Disabled"));
        let is_told = (mapping.batch_size, mapping.parallelization_factor) == (Some(records), Some(concurrency));
        if is_told || !is_settled {
            return Ok(());
        }
        let request = self.client.update_event_source_mapping().uuid(self.id(consumer));
        let request = request.batch_size(records).parallelization_factor(concurrency);
        request.send().await.map(drop).map_err(|error| port_error(BATCHES, error))
    }
}

/// Whether a consumer in this state takes batches sooner or later.
const fn leads_to(state: ConsumerState) -> bool {
    matches!(state, ConsumerState::Running | ConsumerState::Resuming)
}

/// A mapping's state as the port knows it. While it is created or updated, it can't be told whether it takes batches;
/// both end in a state of their own.
fn state(name: &str) -> Result<ConsumerState, PortError> {
    Ok(match name {
        "Enabled" => ConsumerState::Running,
        "Disabling" => ConsumerState::Pausing,
        "Disabled" => ConsumerState::Paused,
        "Enabling" | "Creating" | "Updating" => ConsumerState::Resuming,
        "Deleting" => {
            return Err(PortError::new(PortErrorKind::NotFound, STATE, "the event source mapping is being deleted"));
        }
        _ => return Err(PortError::new(PortErrorKind::Unavailable, STATE, "a state that this build does not know")),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Method;
    use serde_json::json;

    use super::*;
    use crate::testing::{Answer, Asked, Scripted};

    async fn control(server: &Scripted) -> EventSourceMappings {
        EventSourceMappings::new(&server.config().await, "11111111", "22222222")
    }

    fn changes(asked: &[Asked]) -> usize {
        asked.iter().filter(|asked| asked.method == Method::PUT).count()
    }

    #[tokio::test]
    async fn every_state_of_a_mapping_is_one_of_the_port() {
        for (name, expected) in [
            ("Creating", ConsumerState::Resuming),
            ("Enabling", ConsumerState::Resuming),
            ("Updating", ConsumerState::Resuming),
            ("Enabled", ConsumerState::Running),
            ("Disabling", ConsumerState::Pausing),
            ("Disabled", ConsumerState::Paused),
        ] {
            let server = Scripted::start(move |_, _| Answer::json(&json!({ "State": name }))).await;
            assert_eq!(control(&server).await.state(Target::Ledger).await.unwrap(), expected);
            let asked = server.asked();
            assert!(asked[0].target.ends_with("/event-source-mappings/22222222"), "{}", asked[0].target);
        }
    }

    #[tokio::test]
    async fn a_mapping_that_goes_or_is_gone_is_not_found() {
        let server = Scripted::start(|_, _| Answer::json(&json!({ "State": "Deleting" }))).await;
        assert_eq!(control(&server).await.state(Target::Search).await.unwrap_err().kind, PortErrorKind::NotFound);
        let server = Scripted::start(|_, _| Answer::error(404, "ResourceNotFoundException")).await;
        assert_eq!(control(&server).await.pause(Target::Search).await.unwrap_err().kind, PortErrorKind::NotFound);
        assert_eq!(server.asked().len(), 1, "no second attempt");
    }

    #[tokio::test]
    async fn a_mapping_that_is_being_changed_is_asked_again() {
        let refusals = Arc::new(AtomicUsize::new(2));
        let server = Scripted::start(move |_, asked| {
            if asked.method == Method::GET {
                return Answer::json(&json!({ "State": "Enabling" }));
            }
            let left = refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if left.is_ok() {
                return Answer::error(400, "ResourceInUseException");
            }
            assert_eq!(asked.json()["Enabled"], false);
            Answer::json(&json!({ "State": "Disabling" }))
        })
        .await;
        control(&server).await.pause(Target::Search).await.unwrap();
        assert_eq!(changes(&server.asked()), 3);
    }

    #[tokio::test]
    async fn a_change_under_way_that_leads_there_is_enough() {
        let server = Scripted::start(|_, asked| match asked.method {
            Method::GET => Answer::json(&json!({ "State": "Disabling" })),
            _ => Answer::error(409, "ResourceConflictException"),
        })
        .await;
        control(&server).await.pause(Target::Search).await.unwrap();
        assert_eq!(changes(&server.asked()), 1);
    }

    #[tokio::test]
    async fn batches_are_told_once_and_not_while_a_mapping_is_being_changed() {
        for (state, batch_size, changed) in
            [("Enabled", 500, 1), ("Disabled", 500, 1), ("Enabled", 7, 0), ("Updating", 500, 0)]
        {
            let server = Scripted::start(move |_, asked| {
                if asked.method == Method::PUT {
                    assert_eq!(asked.json(), json!({ "BatchSize": 7, "ParallelizationFactor": 3 }));
                }
                Answer::json(&json!({ "State": state, "BatchSize": batch_size, "ParallelizationFactor": 3 }))
            })
            .await;
            control(&server).await.set_batches(Target::Search, Batches { records: 7, concurrency: 3 }).await.unwrap();
            assert_eq!(changes(&server.asked()), changed, "{state}, {batch_size}");
        }
    }

    #[tokio::test]
    async fn one_that_never_settles_is_a_conflict_in_bounded_calls() {
        let server = Scripted::start(|_, asked| match asked.method {
            Method::GET => Answer::json(&json!({ "State": "Updating" })),
            _ => Answer::error(400, "ResourceInUseException"),
        })
        .await;
        let error = control(&server).await.pause(Target::Search).await.unwrap_err();
        assert_eq!((error.kind, error.retry_after), (PortErrorKind::Conflict, Some(limits::MAPPING_PAUSE)));
        assert_eq!(changes(&server.asked()), limits::MAPPING_ATTEMPTS_MAX);
    }
}
