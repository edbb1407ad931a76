//! `tributary aws`: the stores of an installation on AWS, which `TRIBUTARY_` variables name, in the data folder's place.
//!
//! What changes the directory changes the core's first and then every region's copy. A copy that can't be written is
//! named and the command fails, though its change is made: the next command that changes something, or `setup`, writes it.

use std::sync::Arc;

use tokio::task::JoinSet;
use tributary_access::{Copied, copy_directory, ensure_directory};
use tributary_aws::keys::KmsKeys;
use tributary_aws::ledger::RdsLedger;
use tributary_aws::objects::S3Objects;
use tributary_aws::sdk::{self, SdkConfig};
use tributary_aws::search::{Access, OpenSearch};
use tributary_config::{Bucket, OperatorSettings, environment};
use tributary_model::Directory;
use tributary_model::directory::OBJECT_KEY;
use tributary_ports::Objects;

use super::{key, ledger, project, setting, token};
use crate::arguments::{AwsCommand, KeyCommand, ProjectCommand, TokenCommand};
use crate::clock;
use crate::failure::{Context, Failure};
use crate::folder::Stores;
use crate::output::Output;

pub(super) async fn run(output: &Output, command: AwsCommand) -> Result<(), Failure> {
    let installation = Installation::open().await?;
    let changes = changes_directory(&command);
    match command {
        AwsCommand::Setup => installation.set_up(output).await?,
        AwsCommand::Token(command) => token::run(&installation.stores().await?, output, command).await?,
        AwsCommand::Project(command) => project::run(&installation.stores().await?, output, command).await?,
        AwsCommand::Key(command) => key::run(&installation.stores().await?, output, command).await?,
        AwsCommand::Ledger(command) => ledger::run(&installation.stores().await?, output, command).await?,
        AwsCommand::Setting(command) => setting::run(&*installation.objects, output, command).await?,
    }
    if changes { installation.publish_copies(output).await } else { Ok(()) }
}

const fn changes_directory(command: &AwsCommand) -> bool {
    !matches!(
        command,
        AwsCommand::Token(TokenCommand::Issue { .. } | TokenCommand::List { .. })
            | AwsCommand::Project(ProjectCommand::List { .. })
            | AwsCommand::Key(KeyCommand::List { .. })
            | AwsCommand::Ledger(_)
            | AwsCommand::Setting(_)
    )
}

/// An installation on AWS.
struct Installation {
    settings: OperatorSettings,
    config: SdkConfig,
    objects: Arc<S3Objects>,
    keys: Arc<KmsKeys>,
    ledger: Arc<RdsLedger>,
}

impl Installation {
    /// Reads the settings; calls nothing.
    async fn open() -> Result<Self, Failure> {
        let settings = OperatorSettings::read(environment).map_err(|problems| Failure::new(problems.to_string()))?;
        let (data, signing, ledger) = (&settings.objects.key, &settings.signing_key, &settings.ledger);
        let config = sdk::config(data.region.as_str()).await;
        let keys = KmsKeys::signing(&config, data.region.as_str(), &data.text, signing.region.as_str(), &signing.text);
        let ledger = RdsLedger::new(&config, &ledger.cluster.text, &ledger.secret.text, &ledger.database);
        Ok(Self { objects: bucket(&config, &settings.objects), keys, ledger, config, settings })
    }

    /// What commands work on.
    async fn stores(&self) -> Result<Stores, Failure> {
        let missing = || Failure::new("there is no directory yet").hint("run `tributary aws setup` first");
        let object = self.objects.get(OBJECT_KEY).await.context("directory")?.ok_or_else(missing)?;
        let directory: Directory = serde_json::from_slice(&object.bytes).context("directory")?;
        Ok(Stores {
            objects: self.objects.clone(),
            keys: self.keys.clone(),
            ledger: self.ledger.clone(),
            directory,
            issuer: self.settings.issuer.clone(),
        })
    }

    /// Each step does nothing where it was done before.
    async fn set_up(&self, output: &Output) -> Result<(), Failure> {
        let applied = self.ledger.migrate().await.context("ledger")?;
        output.line(format_args!("ledger: {applied} new migrations"))?;
        let search = OpenSearch::new(&self.settings.opensearch_url, &self.config).context("search")?;
        search.create_templates().await.context("search")?;
        output.line("search: index templates are in place")?;
        for access in Access::ALL {
            // Behind the function's name stands its region, and the worker is in each of them.
            let role = format!("{}{}-*", self.settings.function_roles, access.function());
            search.grant(access, &role).await.context("search")?;
        }
        output.line("search: the functions are let in")?;
        let (objects, keys, issuer) = (&*self.objects, &*self.keys, &self.settings.issuer);
        let directory = ensure_directory(objects, keys, issuer, clock::now()).await.context("directory")?;
        output.line(format_args!("directory: version {}, issuer {}", directory.version, directory.issuer))
    }

    /// Brings all copies of the directory up to the core's, at the same time; one that fails holds up none.
    async fn publish_copies(&self, output: &Output) -> Result<(), Failure> {
        let mut copying = JoinSet::new();
        for copy in &self.settings.copies {
            let (core, to, name) = (Arc::clone(&self.objects), bucket(&self.config, copy), copy.name.clone());
            copying.spawn(async move { (name, copy_directory(&*core, &*to).await) });
        }
        let mut failed = Vec::new();
        while let Some(copied) = copying.join_next().await {
            match copied.context("copy of the directory")? {
                (name, Ok(Copied::Written(version))) => {
                    output.line(format_args!("{name}: directory version {version}"))?
                }
                (_, Ok(Copied::AlreadyThere(_))) => {}
                (name, Err(error)) => failed.push(format!("{name}: {error}")),
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        failed.sort();
        Err(Failure::new(format!("the change is made, but not in every region:\n  {}", failed.join("\n  ")))
            .hint("those regions go on with the directory they have; run `tributary aws setup` to write it there"))
    }
}

fn bucket(config: &SdkConfig, bucket: &Bucket) -> Arc<S3Objects> {
    S3Objects::new(config, bucket.key.region.as_str(), &bucket.name, &bucket.key.text)
}
