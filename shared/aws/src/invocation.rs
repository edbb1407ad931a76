//! Invoking a function without waiting for its answer.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::InvocationType;
use tributary_ports::PortError;

use crate::error::port_error;
use crate::sdk::SdkConfig;

/// The next invocation of a function.
#[derive(Debug)]
pub struct Invocation {
    client: Client,
    function: String,
}

impl Invocation {
    /// That of the function of this name. Nothing is sent.
    #[must_use]
    pub fn of(config: &SdkConfig, function: &str) -> Self {
        Self { client: Client::new(config), function: function.to_owned() }
    }

    /// Has Lambda start it, now or as soon as there is room.
    ///
    /// # Errors
    /// Bad luck of any kind.
    pub async fn start(&self) -> Result<(), PortError> {
        let request = self.client.invoke().function_name(&self.function).invocation_type(InvocationType::Event);
        request.send().await.map(drop).map_err(|error| port_error("invocation.start", error))
    }
}
