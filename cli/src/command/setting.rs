//! `tributary setting`: on the data folder, whether or not an `up` runs on it, or on an installation on AWS.

use serde_json::json;
use tributary_model::StoreSettings;
use tributary_model::store_settings::{SETTINGS, Setting};
use tributary_ports::Objects;
use tributary_ports::settings::{choose, chosen};

use crate::arguments::{Form, SettingCommand};
use crate::failure::{Context, Failure};
use crate::output::{Output, TableRow};

pub(super) async fn run(objects: &dyn Objects, output: &Output, command: SettingCommand) -> Result<(), Failure> {
    match command {
        SettingCommand::List { output: form } => list(objects, output, form.output).await,
        SettingCommand::Set { name, value } => {
            choose(objects, named(&name)?, Some(value)).await.context("setting")?;
            output.line(format_args!("{name} is {value}"))
        }
        SettingCommand::Unset { name } => {
            let setting = named(&name)?;
            choose(objects, setting, None).await.context("setting")?;
            output.line(format_args!("{name} is {}, the default", setting.value(&StoreSettings::default())))
        }
    }
}

fn named(name: &str) -> Result<&'static Setting, Failure> {
    let unknown =
        || Failure::new(format!("there is no setting {name:?}")).hint("`tributary setting list` has them all");
    Setting::named(name).ok_or_else(unknown)
}

async fn list(objects: &dyn Objects, output: &Output, form: Form) -> Result<(), Failure> {
    let chosen = chosen(objects).await.context("setting")?;
    let (settings, defaults) = (StoreSettings::of(&chosen), StoreSettings::default());
    if form == Form::Json {
        let item = |setting: &Setting| {
            json!({
                "name": setting.name, "value": setting.value(&settings), "default": setting.value(&defaults),
                "min": setting.range.start(), "max": setting.range.end(), "meaning": setting.meaning,
            })
        };
        return output.json(&json!({"items": SETTINGS.iter().map(item).collect::<Vec<_>>(), "next": null}));
    }
    let row = |setting: &Setting| {
        let (value, default) = (setting.value(&settings), setting.value(&defaults));
        let range = format!("{} to {}", setting.range.start(), setting.range.end());
        let cells =
            [setting.name.to_owned(), value.to_string(), default.to_string(), range, setting.meaning.to_owned()];
        TableRow::new(cells.to_vec())
    };
    output.table(&["setting", "value", "default", "may be", "meaning"], SETTINGS.iter().map(row).collect())
}
