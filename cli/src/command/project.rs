//! `tributary project`: on the data folder, whether or not an `up` runs on it, or on an installation on AWS.

use tributary_access::{ProjectRequest, add_project, change_retention, set_signed_only};
use tributary_model::directory::Project;
use tributary_model::{Day, ProjectId, TimestampMs};

use crate::arguments::{Form, ProjectCommand};
use crate::clock;
use crate::failure::{Context, Failure};
use crate::folder::Stores;
use crate::output::{Output, TableRow};

pub(super) async fn run(stores: &Stores, output: &Output, command: ProjectCommand) -> Result<(), Failure> {
    let now = clock::now();
    match command {
        ProjectCommand::Add { name, account, retention, signed_only } => {
            let request = ProjectRequest { project: name, account, retention, signed_only };
            add_project(&*stores.objects, &request, now).await.context("project")?;
            output.line(format_args!("added {}", request.project))
        }
        ProjectCommand::List { output: form } => list(stores, output, form.output, now),
        ProjectCommand::Set { name, retention, from, signed_only } => {
            if let Some(retention) = retention {
                let from = from.unwrap_or_else(|| earliest(now));
                change_retention(&*stores.objects, &name, retention, from, now).await.context("project")?;
                output.line(format_args!("{name} keeps invocations of {from} and later for {retention}"))?;
            }
            if let Some(signed_only) = signed_only {
                set_signed_only(&*stores.objects, &name, signed_only, now).await.context("project")?;
                let takes = if signed_only { "signed reports only" } else { "reports with or without a signature" };
                output.line(format_args!("{name} takes {takes}"))?;
            }
            Ok(())
        }
    }
}

/// Two days from now no function holds a directory from before the change.
fn earliest(now: TimestampMs) -> Day {
    now.day().plus_days(3)
}

fn list(stores: &Stores, output: &Output, form: Form, now: TimestampMs) -> Result<(), Failure> {
    if form == Form::Json {
        let items: Vec<_> = stores.directory.projects.iter().map(|(name, project)| described(name, project)).collect();
        return output.json(&serde_json::json!({"items": items, "next": null}));
    }
    let row = |(name, project): (&ProjectId, &Project)| {
        let takes = if project.signed_only { "signed only" } else { "all" };
        let retention = project.retention_on(now.day()).to_string();
        let keys = project.sender_keys.values().filter(|key| key.revoked_at.is_none()).count().to_string();
        TableRow::new(vec![name.to_string(), project.account.to_string(), retention, takes.to_owned(), keys])
    };
    let rows = stores.directory.projects.iter().map(row).collect();
    output.table(&["project", "account", "retention", "takes", "keys"], rows)
}

fn described(name: &ProjectId, project: &Project) -> serde_json::Value {
    let mut value = serde_json::to_value(project).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("name".to_owned(), name.as_str().into());
    }
    value
}
