//! The agent's plugins.

use tributary_model::invocation::Plugin;
use tributary_model::json::Value;
use tributary_model::limits::PLUGINS_MAX;

use super::reading::Reading;

/// The plugins in their order. Of its uploads the number is kept: the texts themselves are access tokens.
pub(super) fn plugins(reading: &mut Reading, plugins: Option<Value<'_, '_>>) -> Vec<Plugin> {
    let items = reading.objects("plugins", plugins, PLUGINS_MAX).into_iter();
    items.map(|(at, item)| plugin(reading, at, item)).collect()
}

fn plugin(reading: &mut Reading, at: usize, item: Value<'_, '_>) -> Plugin {
    let [name, version, enabled, uploads] = item.pick(["name", "version", "enabled", "uploads"]);
    let name = reading.text(format_args!("plugins[{at}].name"), name);
    Plugin {
        name: name.strip_prefix("@iopipe/").unwrap_or(&name).to_owned(),
        version: reading.text(format_args!("plugins[{at}].version"), version),
        enabled: reading.flag(format_args!("plugins[{at}].enabled"), enabled).unwrap_or(true),
        uploads: uploads.map_or(0, |uploads| u32::try_from(uploads.items().count()).unwrap_or(u32::MAX)),
    }
}
